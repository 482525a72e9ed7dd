"""Tells observers what happened, from one thread of its own: a log that blocks or an observer that
takes its time must not hold up a beat, an answer or a stop."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Container, Sequence
from contextlib import suppress
from typing import Protocol

from ...clock import now
from ...observations import (
    HandlerStarted,
    HeartbeatAccepted,
    InternalError,
    Observation,
    Observer,
    PollSucceeded,
    TaskStarted,
)
from .clock import StartThread

MOST_WAITING = 100_000
"""Records that wait for slow observers, at most; more are dropped and counted."""
END_LIMIT = 2.0
"""Seconds that the last records get to be told."""
ROUND = 0.02
"""Seconds between two rounds of telling: a busy worker wakes this thread 50 times a second, not
for each record."""
OFTEN = (PollSucceeded, TaskStarted, HandlerStarted, HeartbeatAccepted)
"""Records of each poll, task and beat: whoever makes them asks before whether they are wanted."""
ASKED_EACH = 1.0
"""Seconds between two questions whether they are, while there is something to tell."""
ASKED_WHILE_IDLE = 5.0


class Observers(Protocol):
    """Where the engine's parts report."""

    @property
    def unwanted(self) -> Container[type[Observation]]:
        """Kinds of records, of those that are made often, that no observer wants now."""

    def tell(self, record: Observation, /) -> None: ...
    def close(self) -> None: ...


class ObserverThread:
    """One thread, one queue, all observers in turn."""

    def __init__(self, observers: Sequence[Observer], start_thread: StartThread) -> None:
        self._observers = observers
        self._start_thread = start_thread
        self._records: deque[Observation] = deque()
        self._waiting = False
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._thread: threading.Thread | None = None
        self._closed = threading.Event()
        self._dropped = 0
        self.unwanted: set[type[Observation]] = set()
        self._wanted_by: dict[type[Observation], Sequence[Observer]] = {}
        self._asked_at = 0.0
        self._ask_what_is_wanted()

    def tell(self, record: Observation) -> None:
        """Have it told; never blocks on an observer."""
        with self._lock:
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
            self._thread.join(END_LIMIT)

    def _run(self) -> None:
        while records := self._next():
            if now() - self._asked_at > ASKED_EACH:
                self._ask_what_is_wanted()
            for record in records:
                for observer in self._wanted_by.get(type(record), self._observers):
                    try:
                        observer.observe(record)
                    except BaseException as error:
                        self._broken(observer, record, error)
            self._closed.wait(ROUND)

    def _next(self) -> list[Observation]:
        with self._changed:
            while not self._records and not self._closed.is_set():
                self._waiting = True
                if not self._changed.wait(ASKED_WHILE_IDLE if self.unwanted else None):
                    self._ask_what_is_wanted()
            self._waiting = False
            records = list(self._records)
            self._records.clear()
            if self._dropped:
                lost = RuntimeError(f"{self._dropped} observations dropped: observers are slow")
                self._dropped = 0
                records.append(InternalError("observers", lost))
            return records

    def _broken(self, observer: Observer, record: Observation, error: BaseException) -> None:
        """What one raises is told to the others, and touches no task."""
        if isinstance(record, InternalError):
            return
        told = InternalError(f"the observer {type(observer).__name__}", error)
        for other in self._observers:
            if other is not observer:
                with suppress(BaseException):
                    other.observe(told)

    def _ask_what_is_wanted(self) -> None:
        self._asked_at = now()
        for kind in OFTEN:
            wanting = [observer for observer in self._observers if _wants(observer, kind)]
            self._wanted_by[kind] = wanting
            if wanting:
                self.unwanted.discard(kind)
            else:
                self.unwanted.add(kind)


def _wants(observer: Observer, kind: type[Observation]) -> bool:
    try:
        asked = getattr(observer, "wants", None)
        return asked is None or bool(asked(kind))
    except Exception:  # somebody's own
        return True
