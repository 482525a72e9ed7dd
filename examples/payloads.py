"""Payloads: typed inputs, compressed and encrypted on the wire; and an activity for simpleflow.

KEY=$(python -c "from cryptography.fernet import Fernet as F; print(F.generate_key().decode())")
PAYLOAD_KEY=$KEY python examples/payloads.py  # AWS_ENDPOINT_URL_SWF leads it to the local SWF
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from swf_worker import ActivityWorker, activity
from swf_worker.codecs import EncryptionCodec, GzipCodec
from swf_worker.deciders import SimpleflowConverter


@dataclass
class Line:
    """One line of an invoice."""

    article: str
    price: Decimal
    count: int = 1


@dataclass
class Invoice:
    """What is to be paid, and until when."""

    due: date
    lines: list[Line] = field(default_factory=list)


@activity(name="Total", version="1.0")
def total(invoice: Invoice, discount: Decimal = Decimal(0)) -> Decimal:
    """An invoice alone is the input, as it was before there was a discount; or both by name."""
    return sum((line.price * line.count for line in invoice.lines), Decimal(0)) - discount


@activity(name="Greet", version="1.0", converter=SimpleflowConverter(), codecs=[])
def greet(*names: str, greeting: str = "Hello") -> str:
    """Scheduled by simpleflow, which sends {"args": [...], "kwargs": {...}} and knows no codecs."""
    return f"{greeting}, {' and '.join(names)}!"


# The first key encrypts, and all of them decrypt: that is how they are replaced.
keys = os.environ.get("PAYLOAD_KEY", "").split()

worker = ActivityWorker(
    domain="shop",
    task_list="invoices",
    activities=[total, greet],
    codecs=[GzipCodec(), *([EncryptionCodec(keys)] if keys else [])],
)

if __name__ == "__main__":
    raise SystemExit(worker.run())
