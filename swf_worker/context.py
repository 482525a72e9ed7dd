"""``ActivityContext``: what a handler sees of its task, and ``current_context()``."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from contextlib import suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol

from .coded import heartbeat_text
from .errors import ActivityCanceled
from .log import identity_of, logger_for
from .task import ActivityTask, CancelReason

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from .codecs.chain import Codec


class TaskLink(Protocol):
    """What a context needs of whoever runs the task."""

    def progress(self, details: str | None) -> None:
        """Take details for the next heartbeat; None asks for one with the last details."""

    def shortened(self, why: str) -> None:
        """Be told that details were shortened or reworded."""

    def worker_stopping(self) -> bool:
        """Whether the worker has been told to stop."""

    def time_remaining(self) -> float | None:
        """Seconds until the nearest known limit of time, or None."""


current: ContextVar[ActivityContext] = ContextVar("swf_worker.current_context")


def current_context() -> ActivityContext:
    """The context of the handler this code runs in; LookupError outside of one.

    Threads that a handler starts itself don't inherit it: hand the context over, or run them in
    ``contextvars.copy_context()``.
    """
    try:
        return current.get()
    except LookupError:
        raise LookupError("current_context() was called outside of an activity handler") from None


NOWHERE: Mapping[str, str] = {}


class ActivityContext:
    """One task, as its handler sees it. All of it may be used from any thread."""

    def __init__(
        self,
        task: ActivityTask,
        link: TaskLink,
        codecs: tuple[Codec, ...] = (),
        place: Mapping[str, str] = NOWHERE,
    ) -> None:
        self.task = task
        self._place = place
        self._codecs = codecs
        self._link = link
        self._lock = threading.Lock()
        self._causes: list[CancelReason] = []
        self._stop = threading.Event()
        self._async_waiters: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []
        self._warned = False

    def heartbeat(self, details: Any = None) -> None:
        """Report progress: ``details`` replaces those of the next heartbeat
        (RecordActivityTaskHeartbeat), which goes out early where the budget allows.

        Never blocks, never raises for the network, and costs nothing when called often: the last
        details win. A str goes out as it is, anything else as JSON; over 2,048 characters it
        is shortened. After the task has ended it does nothing. Beats that keep the task alive go
        out by themselves: without progress to tell there is no need to call this.
        """
        text, why = heartbeat_text(details, self._codecs)
        if why is not None:
            self._warn(why)
        self._link.progress(text)

    def _warn(self, why: str) -> None:
        if not self._warned:
            self._warned = True
            self._link.shortened(why)

    @property
    def should_stop(self) -> bool:
        """Whether anything asks the handler to stop: the one to ask in loops."""
        return self._stop.is_set()

    @property
    def cancel_requested(self) -> bool:
        """Whether SWF asked for the task's cancellation (a heartbeat's ``cancelRequested``)."""
        return CancelReason.REQUESTED in self._causes

    @property
    def cancel_reason(self) -> CancelReason | None:
        """Why the handler should stop: TASK_CLOSED, else REQUESTED, else the first cause."""
        causes = list(self._causes)
        for strongest in (CancelReason.TASK_CLOSED, CancelReason.REQUESTED):
            if strongest in causes:
                return strongest
        return causes[0] if causes else None

    def raise_if_canceled(self) -> None:
        """Raise ActivityCanceled if anything asks the handler to stop."""
        if self.should_stop:
            raise ActivityCanceled

    def wait_for_stop(self, timeout: float | None = None) -> bool:
        """Block until something asks the handler to stop, ``timeout`` seconds at most; returns
        ``should_stop``. Use it instead of ``time.sleep``."""
        return self._stop.wait(timeout)

    async def wait_for_stop_async(self) -> None:
        """Return when something asks the handler to stop. (An async handler also gets
        ``asyncio.CancelledError`` at its await then; this is for the tasks it starts.)"""
        event = asyncio.Event()
        waiter = (asyncio.get_running_loop(), event)
        with self._lock:
            if self._stop.is_set():
                return
            self._async_waiters.append(waiter)
        try:
            await event.wait()
        finally:
            with self._lock, suppress(ValueError):
                self._async_waiters.remove(waiter)

    @property
    def worker_stopping(self) -> bool:
        """Whether the worker is draining. The handler isn't asked to stop yet: a long one may
        use the time to save what it has."""
        return self._link.worker_stopping()

    @property
    def time_remaining(self) -> float | None:
        """Seconds until the activity's deadline or its start-to-close timeout as registered, or
        None. An estimate: deciders may override timeouts, and the poll doesn't tell them."""
        return self._link.time_remaining()

    @property
    def logger(self) -> FilteringBoundLogger:
        """A structlog logger, bound to the task's identity. Where the program has not configured
        structlog, it writes to the standard library's logger ``swf_worker``."""
        return logger_for(**self._identity())

    def _identity(self) -> dict[str, Any]:
        """Which task it is, and where it was polled: what each of its lines in the log carries."""
        return {**self._place, **identity_of(self.task)}

    def _ask_to_stop(self, reason: CancelReason) -> None:
        with self._lock:
            if reason not in self._causes:
                self._causes.append(reason)
            self._stop.set()
            waiters = list(self._async_waiters)
        for loop, event in waiters:
            with suppress(RuntimeError):  # that loop is closed: nobody waits there any more
                loop.call_soon_threadsafe(event.set)


def ask_to_stop(context: ActivityContext, reason: CancelReason) -> None:
    """For the runtime and the test kit: make ``context`` tell its handler to stop."""
    context._ask_to_stop(reason)


def current_identity() -> dict[str, Any]:
    """For the log: which task's handler this runs in, if any."""
    context = current.get(None)
    return {} if context is None else context._identity()


def identity_in(context: ActivityContext) -> dict[str, Any]:
    """For the log: which task that is."""
    return context._identity()


def causes_of(context: ActivityContext) -> tuple[CancelReason, ...]:
    """For the runtime: what asked this handler to stop, in the order in which it came."""
    return tuple(context._causes)


__all__ = ["ActivityContext", "TaskLink", "ask_to_stop", "causes_of", "current", "current_context"]
