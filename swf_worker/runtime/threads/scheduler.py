"""One thread and a heap of due times: beats, retries, deadlines and limits wait here, and no
thread of a pool sleeps."""

from __future__ import annotations

import heapq
import itertools
import math
import threading
from collections.abc import Callable
from typing import Any

from .clock import Clock, StartThread

MOST_CANCELED = 1000
"""Canceled entries in the heap; more are swept out where they are most of it."""
DUE, FUNCTION = 0, 2
LOCK_LIMIT = 1.0
"""Seconds for which whoever asks how it goes waits for the lock."""


class Entry(list[Any]):
    """Something to run at a time: when, its number, the function (None: not any more), and the
    scheduler. A list is what a heap compares without asking us."""

    __slots__ = ()

    def cancel(self) -> None:
        """Don't run it any more. It stays in the heap until there are too many like it."""
        _, _, function, scheduler = self
        if function is not None:
            self[FUNCTION] = None
            scheduler.canceled += 1
            if scheduler.canceled > MOST_CANCELED:
                scheduler.sweep()


class Scheduler:
    """Runs functions at their time, in its one thread. They must not block."""

    def __init__(
        self, clock: Clock, start_thread: StartThread, on_error: Callable[[BaseException], None]
    ) -> None:
        self._clock = clock
        self._start_thread = start_thread
        self._on_error = on_error
        self._order = itertools.count()
        self._heap: list[Entry] = []
        self.canceled = 0
        """About so many of them are; exact only where nobody looks at it meanwhile."""
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._due: float | None = None
        """When what runs now was due; None while nothing does."""

    def call_later(self, delay: float, function: Callable[[], object]) -> Entry:
        """Run ``function`` after ``delay`` seconds."""
        due = self._clock.now() + max(0.0, delay)
        entry = Entry((due, next(self._order), function, self))
        with self._changed:
            heapq.heappush(self._heap, entry)
            if self._thread is None and not self._closed:
                self._thread = self._start_thread("scheduler", self._run)
            if self._heap[0] is entry:
                self._changed.notify()
        return entry

    def behind(self) -> float:
        """How many seconds what should have run by now has waited, or has been running."""
        if not self._changed.acquire(timeout=LOCK_LIMIT):
            return math.inf
        try:
            due = self._heap[0][DUE] if self._heap else math.inf
            return max(0.0, self._clock.now() - min(due, self._due or math.inf))
        finally:
            self._changed.release()

    def sweep(self) -> None:
        """Forget what is canceled, where that is most of all."""
        with self._changed:
            if self.canceled * 2 > len(self._heap):
                self._heap = [entry for entry in self._heap if entry[FUNCTION] is not None]
                heapq.heapify(self._heap)
                self.canceled = 0

    def close(self) -> threading.Thread | None:
        """Run nothing more; returns the thread that is ending."""
        with self._changed:
            self._closed = True
            self._heap.clear()
            self._changed.notify()
            return self._thread

    def _run(self) -> None:
        while (function := self._next()) is not None:
            try:
                function()
            except BaseException as error:  # one entry's bug must not stop everybody's beats
                self._on_error(error)

    def _next(self) -> Callable[[], object] | None:
        with self._changed:
            self._due = None
            while not self._closed:
                if not self._heap:
                    self._changed.wait()
                    continue
                entry = self._heap[0]
                wait = entry[DUE] - self._clock.now()
                if entry[FUNCTION] is None:
                    heapq.heappop(self._heap)
                    self.canceled = max(0, self.canceled - 1)
                elif wait > 0:
                    self._changed.wait(min(wait, threading.TIMEOUT_MAX))
                else:
                    heapq.heappop(self._heap)
                    function: Callable[[], object] | None
                    function, entry[FUNCTION] = entry[FUNCTION], None
                    if function is not None:  # canceled just now
                        self._due = entry[DUE]
                        return function
        return None
