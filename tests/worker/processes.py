"""What the tests of handler processes share."""

from __future__ import annotations

import json

from swf_worker.local import Failed
from tests.worker import children as handlers


def envelope(outcome):
    assert isinstance(outcome, Failed)
    return json.loads(outcome.details)


hidden = handlers.in_process("Hidden")(lambda: None)


hidden.__name__ = hidden.__qualname__ = "pid"


hidden.__module__ = handlers.__name__
