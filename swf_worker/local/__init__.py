"""A local SWF, on moto: long polls, cancellation, all timeouts, over real HTTP.

It needs the extra ``swf_worker[local]``.
"""

from __future__ import annotations

try:
    import moto.swf as _moto
except ImportError as error:
    raise ImportError("swf_worker.local needs moto: pip install 'swf_worker[local]'") from error

from ..outcome import Canceled, Completed, Failed
from .activity import LocalActivity, TimedOut
from .clock import ManualClock, SystemClock
from .injection import Fault, FaultKind
from .swf import LocalSwf

del _moto

__all__ = [
    "Canceled",
    "Completed",
    "Failed",
    "Fault",
    "FaultKind",
    "LocalActivity",
    "LocalSwf",
    "ManualClock",
    "SystemClock",
    "TimedOut",
]
