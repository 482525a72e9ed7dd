"""What is due when, and what time it is while something happens."""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from .clock import Driver, LocalClock

_ROUNDING = 1e-6
"""Sums of fractions of a second are off by less; a clock that tests move must not fall short."""


class Deadlines:
    """The local clock in whole milliseconds, as SWF's events have them, and a heap of what is due.

    Time stands still while something happens that SWF gives one timestamp: a decision's batch, a
    timeout with what follows from it. It never goes back. Deadlines are met to the fraction.
    """

    def __init__(self, clock: LocalClock) -> None:
        self._clock = clock
        self._latest = 0.0
        self._moment: float | None = None
        self._order = itertools.count()
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._driver: Driver | None = None

    def drive(self, tick: Callable[[], float | None]) -> None:
        """Have ``tick``, which calls ``process``, called when something is due."""
        self._driver = self._clock.drive(tick)

    def now(self) -> float:
        """The time of what happens now, as events tell it."""
        stamp = math.floor((self._exact() + _ROUNDING) * 1000) / 1000
        self._latest = max(self._latest, stamp)
        return self._latest

    def _exact(self) -> float:
        return self._clock.now() if self._moment is None else self._moment

    @contextmanager
    def one_moment(self, time: float | None = None) -> Iterator[None]:
        """Let time stand still."""
        self._moment = self._clock.now() if time is None else time
        try:
            yield
        finally:
            self._moment = None

    def call_later(self, delay: float, function: Callable[[], None]) -> None:
        """Call it when it is due."""
        due = self._exact() + max(0.0, delay)
        heapq.heappush(self._heap, (due, next(self._order), function))
        if self._driver is not None and self._heap[0][0] == due:
            self._driver.sooner()

    def process(self) -> float | None:
        """Do what is due, in order; returns when the next thing is due."""
        while self._heap and self._heap[0][0] <= self._clock.now() + _ROUNDING:
            due, _, function = heapq.heappop(self._heap)
            with self.one_moment(due):
                function()
        return self._heap[0][0] if self._heap else None

    def stop(self) -> None:
        """Nothing is due any more."""
        if self._driver is not None:
            self._driver.stop()
