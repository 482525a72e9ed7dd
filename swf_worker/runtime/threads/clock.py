"""The clock and the thread starter, as protocols: tests hand in virtual ones."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from ... import clock


class Clock(Protocol):
    """Seconds that only ever grow. (A wall clock jumps.)"""

    def now(self) -> float: ...


class MonotonicClock:
    """The machine's. (No layer of ours: it is asked a dozen times a task.)"""

    now = staticmethod(clock.now)


class StartThread(Protocol):
    """Starts a thread."""

    def __call__(self, name: str, target: Callable[[], None], /) -> threading.Thread: ...


def for_at_most(seconds: float, act: Callable[[], None]) -> None:
    """Do what may hang, a line to a stderr that nobody reads, say; it is left behind then."""
    with suppress(RuntimeError):  # no more threads
        start_daemon("last-words", act).join(seconds)


def start_daemon(name: str, target: Callable[[], None]) -> threading.Thread:
    """A daemon thread: a handler that never returns must not keep the process from exiting."""
    thread = threading.Thread(target=target, name=f"swf-worker-{name}", daemon=True)
    thread.start()
    return thread
