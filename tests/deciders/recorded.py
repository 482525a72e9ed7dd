"""What the real libraries wrote: the files that their scripts in ``real/`` made."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from swf_worker.failure import Failure
from swf_worker.payloads.parameters import Parameter

REAL = Path(__file__).parent / "real"
ANY_CALL = (Parameter("args", kind="args"), Parameter("kwargs", kind="kwargs"))
"""The parameters of a handler that takes everything as it comes."""


def recorded(name: str) -> dict[str, Any]:
    return json.loads((REAL / f"{name}.json").read_text("utf-8"))


def ran(*command: Any, said: str = "", env: dict[str, str] | None = None) -> dict[str, Any]:
    """The JSON that a real library's script printed."""
    done = subprocess.run(
        [str(part) for part in command],
        input=said.encode(),
        capture_output=True,
        env=os.environ | {"LANG": "C.UTF-8"} | (env or {}),
    )
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout.decode("utf-8"))


FRAMES = """\
  File "/srv/acme/orders.py", line 12, in charge
    pay(order)
  File "/srv/acme/payments.py", line 34, in pay
    raise CardDeclined("no € left")
"""


def failure(**members: Any) -> Failure:
    given: dict[str, Any] = {
        "reason": "ValueError",
        "message": "no € left: \U0001f600 'x' \"y\"\n\x00: z",
        "type": "ValueError",
        "module": "builtins",
        "retryable": True,
        "traceback": FRAMES,
        "causes": (("KeyError", "'card'"), ("OSError", "gone")),
    }
    return Failure(**(given | members))
