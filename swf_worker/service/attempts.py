"""An overall limit for each attempt of a call.

botocore's read timeout starts anew with every byte, so an answer that trickles outlasts it.
Here the attempt's connection is cut instead: the blocked read ends at once, with an error. One
timer watches all attempts. ``connections`` tells them which connection they are on.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from math import inf
from typing import Protocol

from ..clock import now
from .api import Overtime, Timers


class Connection(Protocol):
    """What an attempt is blocked in."""

    def blame(self) -> None:
        """Its address comes last from now on."""

    def cut(self) -> None:
        """End what is read from it and written to it."""


class _Current(threading.local):
    """What this thread is at."""

    attempt: Attempt | None = None
    attempts: Attempts


current = _Current()


class Attempt:
    """One attempt of a call, on one thread."""

    seconds: float
    until: float
    overtime: Overtime | None = None
    close_idle: Callable[[], None] | None = None
    connection: Connection | None = None
    cut_short = False
    sent: bool | None = None
    """Whether its request may have left; None where nobody can tell."""

    def goes_on(self) -> bool:
        """Its time is over: whether it is given more. What goes out beside it takes a fresh
        connection: what died in silence on the way may have taken all that were kept."""
        if self.overtime is None or not self.sent:
            return False
        if self.close_idle is not None:
            self.blame()
            self.close_idle()
            self.close_idle = None
        more = self.overtime()
        self.until += more
        self.seconds += more
        return more > 0

    def blame(self) -> None:
        """Nobody answered on this connection: the next one is to another address of the host."""
        if self.connection is not None:
            self.connection.blame()

    def cut(self) -> None:
        """The time is over: end whatever the attempt is blocked in."""
        self.cut_short = True
        connection = self.connection  # once: its own thread may leave it
        if connection is not None:
            connection.blame()
            connection.cut()


class Attempts:
    """Those that run now. One timer watches the one whose time is over first."""

    def __init__(self, timers: Timers) -> None:
        self._timers = timers
        self._running: set[Attempt] = set()
        self._watched = inf
        """When the timer looks; inf for no timer."""
        self._lock = threading.Lock()
        self._closed = False

    def begin(
        self,
        seconds: float,
        overtime: Overtime | None = None,
        close_idle: Callable[[], None] | None = None,
    ) -> Attempt:
        """One of this thread, of ``seconds`` at most, or more where it is given overtime."""
        attempt = Attempt()
        attempt.seconds, attempt.until = seconds, now() + seconds
        if overtime is not None:
            attempt.overtime, attempt.close_idle = overtime, close_idle
        self._running.add(attempt)
        current.attempts, current.attempt = self, attempt
        if attempt.until < self._watched:
            self._watch(attempt.until)
        if self._closed:
            attempt.cut()
        return attempt

    def end(self, attempt: Attempt) -> None:
        """It is over."""
        current.attempt = None
        self._running.discard(attempt)
        attempt.connection = None  # an error that is kept must not keep its socket open

    def give(self, attempt: Attempt, seconds: float) -> None:
        """It has so many seconds from now."""
        attempt.until = now() + seconds
        if attempt.until < self._watched:
            self._watch(attempt.until)

    def longest_unanswered(self, limit: float) -> float:
        """For how many seconds a request, of those with this ``limit``, has waited for its answer;
        0 where none has left."""
        moment = now()
        return max(
            (moment - (each.until - limit) for each in list(self._running) if _waits(each, limit)),
            default=0.0,
        )

    def close(self) -> None:
        """Cut those that run, and those that are about to."""
        self._closed = True
        for attempt in list(self._running):
            attempt.cut()

    def _watch(self, until: float) -> None:
        with self._lock:
            if until < self._watched:
                self._watched = until
                self._timers.call_later(until - now(), self._look)

    def _look(self) -> None:
        with self._lock:
            self._watched = inf  # before the look: who begins now is seen by it, or sees this
        moment, following = now(), inf
        for attempt in list(self._running):
            if attempt.cut_short:
                continue
            if attempt.until > moment or _goes_on(attempt):
                following = min(following, attempt.until)
            else:
                attempt.cut()
        if following < inf:
            self._watch(following)


def _waits(attempt: Attempt, limit: float) -> bool:
    return attempt.sent is True and attempt.seconds == limit


def _goes_on(attempt: Attempt) -> bool:
    try:
        return attempt.goes_on()
    except Exception:  # others' time is watched here, too
        return False
