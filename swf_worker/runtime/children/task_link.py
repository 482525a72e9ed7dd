"""In a handler process: what the handler's context asks and tells, and how its run ended."""

from __future__ import annotations

import threading
from contextlib import suppress

from ...clock import now
from ...core.messages import HandlerCanceled, HandlerFailed, HandlerHandedOver, HandlerReturned
from ...errors import ActivityFailed, PayloadError
from ...log import exception_fields
from ..tasks.invocation import Ended
from .channel import Channel
from .wire import Canceled, Failed, HandedOver, Progress, Raised, Returned, Run, Shortened, TaskEnd

PROGRESS_GAP = 0.05
"""Seconds between two reports of progress: the last details win, as they do on the wire."""


class RemoteTaskLink:
    """What the context of the running task asks (``context.TaskLink``)."""

    def __init__(self, channel: Channel, run: Run) -> None:
        self.stopping = run.worker_stopping
        self._channel = channel
        self._limit = None if run.remaining is None else now() + run.remaining
        self._lock = threading.Lock()
        self._number = run.number
        self._said_at = float("-inf")
        self._unsaid: Progress | None = None
        self._timer_runs = False
        self._over = False

    def progress(self, details: str | None) -> None:
        """Say it now, or shortly, if something was said just before."""
        with self._lock:
            if self._over:
                return
            wait = self._said_at + PROGRESS_GAP - now()
            kept = self._unsaid.details if self._unsaid is not None else None
            self._unsaid = Progress(self._number, details if details is not None else kept)
            if wait <= 0:
                frame, self._unsaid = self._unsaid, None
                self._say(frame)
            elif not self._timer_runs:
                timer = threading.Timer(wait, self._say_last)
                timer.daemon = True
                with suppress(RuntimeError):  # no more threads: the next report says it
                    timer.start()
                    self._timer_runs = True

    def _say_last(self) -> None:
        with self._lock:
            self._timer_runs = False
            frame, self._unsaid = self._unsaid, None
            if frame is not None and not self._over:
                self._say(frame)

    def _say(self, frame: Progress) -> None:
        self._said_at = now()
        self._channel.say(frame)

    def over(self) -> None:
        """The task has ended: what a left-over thread reports means nothing."""
        self._over = True  # no lock: who holds it may be one that waits for good

    def shortened(self, why: str) -> None:
        """Heartbeat details didn't fit."""
        self._channel.say(Shortened(self._number, why))

    def worker_stopping(self) -> bool:
        """Whether the worker drains."""
        return self.stopping

    def time_remaining(self) -> float | None:
        """Until the nearest limit that was known when the task began."""
        return None if self._limit is None else max(0.0, self._limit - now())


def end_of(ended: Ended, number: int) -> TaskEnd:
    """How a handler run ended, as a frame."""
    match ended.event:
        case HandlerReturned(outcome):
            return Returned(number, outcome.result)
        case HandlerCanceled(details):
            return Canceled(number, details)
        case HandlerHandedOver():
            return HandedOver(number)
        case HandlerFailed(outcome):
            return Failed(number, outcome.reason, outcome.details, _raised(ended.error))
    raise AssertionError(ended)


def _raised(error: BaseException | None) -> Raised | None:
    if error is None or isinstance(error, (ActivityFailed, PayloadError)):
        return None  # these are told by their reason
    return told(error)


def told(error: BaseException) -> Raised:
    """An exception, for the worker's log."""
    fields = exception_fields(error)
    return Raised(fields["exc_type"], fields["exc_message"][:4096], fields["exception"][-16_384:])
