"""One thread and a heap of due times: beats, retries, deadlines and limits wait here, and no
thread of a pool sleeps."""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Callable

from .clock import Clock, StartThread


class Entry:
    """Something to run at a time."""

    __slots__ = ("_owner", "function")

    def __init__(self, function: Callable[[], object], owner: Scheduler) -> None:
        self.function: Callable[[], object] | None = function
        self._owner = owner

    def cancel(self) -> None:
        """Don't run it any more."""
        if self.function is not None:
            self.function = None
            self._owner.note_canceled()


class Scheduler:
    """Runs functions at their time, in its one thread. They must not block."""

    def __init__(
        self, clock: Clock, start_thread: StartThread, on_error: Callable[[BaseException], None]
    ) -> None:
        self._clock = clock
        self._start_thread = start_thread
        self._on_error = on_error
        self._order = itertools.count()
        self._heap: list[tuple[float, int, Entry]] = []
        self._canceled = 0
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False

    def call_later(self, delay: float, function: Callable[[], object]) -> Entry:
        """Run ``function`` after ``delay`` seconds."""
        due = self._clock.now() + max(0.0, delay)
        entry = Entry(function, self)
        with self._changed:
            heapq.heappush(self._heap, (due, next(self._order), entry))
            if self._thread is None and not self._closed:
                self._thread = self._start_thread("scheduler", self._run)
            if self._heap[0][2] is entry:
                self._changed.notify()
        return entry

    def note_canceled(self) -> None:
        """Canceled entries stay in the heap until there are too many of them."""
        with self._changed:
            self._canceled += 1
            if self._canceled > 1000 and self._canceled * 2 > len(self._heap):
                self._heap = [item for item in self._heap if item[2].function is not None]
                heapq.heapify(self._heap)
                self._canceled = 0

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
            while not self._closed:
                if not self._heap:
                    self._changed.wait()
                    continue
                due, _, entry = self._heap[0]
                wait = due - self._clock.now()
                if entry.function is None:
                    heapq.heappop(self._heap)
                    self._canceled = max(0, self._canceled - 1)
                elif wait > 0:
                    self._changed.wait(min(wait, threading.TIMEOUT_MAX))
                else:
                    heapq.heappop(self._heap)
                    function, entry.function = entry.function, None
                    return function
        return None
