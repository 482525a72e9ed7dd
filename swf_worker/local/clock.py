"""The local SWF's clock: the machine's, or one that tests move."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

from .. import clock

Tick = Callable[[], float | None]
"""Processes everything that is due; returns when the next thing is due, or None."""


class LocalClock(Protocol):
    """What time it is in the local SWF, in seconds since 1970."""

    def now(self) -> float: ...

    def drive(self, tick: Tick) -> Driver:
        """Have ``tick`` called when something is due."""


class Driver(Protocol):
    """What calls a local SWF's ``tick``."""

    def sooner(self) -> None:
        """Something is due earlier than the last tick said."""

    def stop(self) -> None: ...


class SystemClock:
    """Time as it passes. A jump of the machine's wall clock doesn't show."""

    def __init__(self) -> None:
        self._offset = clock.wall() - clock.now()

    def now(self) -> float:
        """Seconds since 1970."""
        return self._offset + clock.now()

    def drive(self, tick: Tick) -> Driver:
        """One thread that sleeps until the next deadline."""
        return _Ticker(self, tick)


class _Ticker:
    def __init__(self, clock: SystemClock, tick: Tick) -> None:
        self._clock = clock
        self._tick = tick
        self._wake = threading.Event()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="local-swf-ticker", daemon=True)
        self._thread.start()

    def sooner(self) -> None:
        self._wake.set()

    def stop(self) -> None:
        self._stopped = True
        self._wake.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped:
            self._wake.clear()
            due = self._tick()
            wait = None if due is None else max(0.0, due - self._clock.now())
            self._wake.wait(wait)


class ManualClock:
    """Time that stands still until ``advance``: an hour of timeouts runs in a moment.

    Long polls are held in real time, so that a worker's polls don't hang on a clock that stands.
    """

    def __init__(self, start: float = 1_700_000_000.0) -> None:
        self._now = start
        self._ticks: list[Tick] = []

    def now(self) -> float:
        """Seconds since 1970, as far as ``advance`` has brought it."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Let time pass. Every deadline on the way is processed, in order and at its own time,
        before this returns."""
        if seconds < 0:
            raise ValueError("time doesn't run backwards")
        target = self._now + seconds
        while True:
            dues = [due for tick in list(self._ticks) if (due := tick()) is not None]
            soonest = min(dues, default=target)
            if soonest >= target:
                break
            self._now = max(self._now, soonest)
        self._now = target
        for tick in list(self._ticks):
            tick()

    def drive(self, tick: Tick) -> Driver:
        """Nothing runs by itself: ``advance`` calls ``tick``."""
        self._ticks.append(tick)
        return _Manual(self._ticks, tick)


class _Manual:
    def __init__(self, ticks: list[Tick], tick: Tick) -> None:
        self._ticks = ticks
        self._tick = tick

    def sooner(self) -> None:
        pass

    def stop(self) -> None:
        if self._tick in self._ticks:
            self._ticks.remove(self._tick)
