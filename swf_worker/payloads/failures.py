"""A failure, as a converter sees it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Failure:
    """What a task failed with, before it is written as text.

    ``reason`` is what would be the reason: the class's name, ActivityFailed's reason, or a
    FailureReason. ``type`` is the class name of the error, or the FailureReason's value;
    ``module`` the error's module, "" for failures that the SDK words itself. ``details`` are
    ActivityFailed's (a Python value), ``traceback`` is "" where there is none or it is switched
    off, ``causes`` are (type, message) from the nearest to the deepest.
    """

    reason: str
    message: str
    type: str
    module: str
    retryable: bool
    details: Any = None
    traceback: str = ""
    causes: tuple[tuple[str, str], ...] = ()
