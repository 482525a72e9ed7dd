"""A local SWF, on moto: long polls, cancellation, all timeouts, over real HTTP.

It needs the extra ``[local]``.
"""

from __future__ import annotations

from ..extras import missing

try:
    import moto.swf as _moto
except ImportError as error:
    raise ImportError(missing("swf_worker.local", "local")) from error

from ..outcome import Canceled, Completed, Failed
from .activity import LocalActivity, TimedOut
from .clock import ManualClock, SystemClock
from .injection import Fault, FaultKind
from .quotas import QuotaUse
from .swf import LocalSwf

del _moto, missing

__all__ = [
    "Canceled",
    "Completed",
    "Failed",
    "Fault",
    "FaultKind",
    "LocalActivity",
    "LocalSwf",
    "ManualClock",
    "QuotaUse",
    "SystemClock",
    "TimedOut",
]
