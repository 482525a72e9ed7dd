"""Tells observers what happened, from one thread of its own: a log that blocks or an observer that
takes its time must not hold up a beat, an answer or a stop."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from typing import Protocol

from ..observations import InternalError, Observation, Observer
from .clock import StartThread

MOST_WAITING = 100_000
"""Records that wait for slow observers, at most; more are dropped and counted."""
FAREWELL = 2.0
"""Seconds that the last records get to be told."""
BREATH = 0.02
"""Seconds between two rounds of telling: a busy worker wakes this thread 50 times a second, not
for each record."""


class Bulletin(Protocol):
    """Where the engine's parts report."""

    def tell(self, record: Observation, /) -> None: ...
    def close(self) -> None: ...


class ThreadBulletin:
    """One thread, one queue, all observers in turn."""

    def __init__(self, observers: Sequence[Observer], start_thread: StartThread) -> None:
        self._observers = observers
        self._start_thread = start_thread
        self._records: deque[Observation] = deque()
        self._waiting = False
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = threading.Event()
        self._dropped = 0

    def tell(self, record: Observation) -> None:
        """Have it told; never blocks on an observer."""
        with self._changed:
            if len(self._records) >= MOST_WAITING:
                self._dropped += 1
                return
            self._records.append(record)
            if self._thread is None and not self._closed.is_set():
                self._thread = self._start_thread("observers", self._run)
            elif self._waiting:
                self._waiting = False
                self._changed.notify()

    def close(self) -> None:
        """Tell what waits, for a moment at most, and end."""
        self._closed.set()
        with self._changed:
            self._changed.notify()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(FAREWELL)

    def _run(self) -> None:
        while records := self._next():
            for record in records:
                tell_all(self._observers, record)
            self._closed.wait(BREATH)

    def _next(self) -> list[Observation]:
        with self._changed:
            while not self._records and not self._closed.is_set():
                self._waiting = True
                self._changed.wait()
            self._waiting = False
            records = list(self._records)
            self._records.clear()
            if self._dropped:
                lost = RuntimeError(f"{self._dropped} observations dropped: observers are slow")
                self._dropped = 0
                records.append(InternalError("observers", lost))
            return records


def tell_all(observers: Sequence[Observer], record: Observation) -> None:
    """Tell each observer; what one raises is told to the others, and touches no task."""
    for observer in observers:
        try:
            observer.observe(record)
        except BaseException as error:
            if not isinstance(record, InternalError):
                others = [other for other in observers if other is not observer]
                tell_all(others, InternalError(f"the observer {type(observer).__name__}", error))
