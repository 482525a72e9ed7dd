"""Which beat is due when: one task's plan, and the budget of progress beats for all.

A *liveness* beat is due one interval after the last beat that left and was accepted (or, for
the first, after the poll's answer). A *progress* beat goes early with new details, where the
budget allows. Details are a latest-wins cell. Times are seconds of a monotonic clock.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..definition import ActivityDefinition
from .registered_types import seconds

LONGEST_DERIVED_INTERVAL = 60.0
INTERVAL_UNKNOWN = 30.0
"""Where nothing tells a type's heartbeat timeout."""
INTERVAL_WHILE_LOOKING_UP = 5.0
"""Until the look-up of a type's registered timeout has ended: beating too often costs a call,
beating too seldom costs the task."""
SENDERS = 16
ATTEMPT_LIMIT = 5.0
LONGEST_ATTEMPT = 30.0


def derived_interval(timeout: float) -> float:
    """A third of a heartbeat timeout, at most 60 s."""
    return max(0.1, min(timeout / 3, LONGEST_DERIVED_INTERVAL))


def interval_set(definition: ActivityDefinition, worker_interval: float | None) -> float | None:
    """Seconds between a type's beats, where its activity or the worker sets them."""
    options = definition.options
    if options.heartbeat_interval is not None:
        return options.heartbeat_interval
    timeout = seconds(options.heartbeat_timeout)
    derived = derived_interval(timeout) if timeout is not None else None
    if worker_interval is not None:
        # Never rarer than the type's own timeout bears.
        return min(worker_interval, derived or worker_interval)
    if options.heartbeat_timeout == "NONE":
        return LONGEST_DERIVED_INTERVAL
    return derived


def interval_registered(timeout: float | None) -> float:
    """The same where nothing sets them, from the timeout that is registered; None: there is none,
    so the task can't time out, and a cancel is still to be heard."""
    return LONGEST_DERIVED_INTERVAL if timeout is None else derived_interval(timeout)


def attempt_limit(interval: float, cuts: int = 0) -> float:
    """How long one attempt of a beat has its sender for itself: min(5 s, interval), and twice as
    long after each one that took longer. After that it goes on as long as no other beat waits for a
    sender, with a second one beside it."""
    return float(min(ATTEMPT_LIMIT * 2**cuts, interval, LONGEST_ATTEMPT))


@dataclass(slots=True)
class BeatPlan:
    """One task's beats. Not thread-safe: the heartbeater's lock guards it."""

    interval: float
    last_left: float
    """When the last accepted beat left (at first: when the poll's answer came)."""
    details: str | None = None
    fresh: bool = False
    """``details`` have not been sent yet, or a beat was asked for."""
    queued: bool = False
    """It waits for the budget of progress beats."""
    in_flight: int = 0
    """Attempts under way: one, and a second beside one that takes long."""
    retry_at: float | None = None
    accepted: int = 0
    heard_at: float | None = None
    """When the last beat was heard to be accepted."""
    unheard_at: float | None = None
    """When the last one left that nobody was heard of: it may have been accepted."""
    failures: int = 0
    ended: bool = False
    missed_since: float | None = None
    """Since when none was accepted; None where the last one was."""
    cuts: int = 0
    """So often were attempts too short, one after the other."""

    @property
    def due(self) -> float:
        """When the next liveness beat (or the retry of a missed one) is due."""
        return self.last_left + self.interval if self.retry_at is None else self.retry_at

    @property
    def limit(self) -> float:
        """How long the next attempt may last."""
        return attempt_limit(self.interval, self.cuts)

    def progress(self, details: str | None) -> bool:
        """Take details for the next beat; True if a progress beat should now be queued."""
        if self.ended:
            return False
        if details is not None:
            self.details = details
        self.fresh = True
        return self._queue()

    def _queue(self) -> bool:
        if not self.fresh or self.queued or self.in_flight or self.ended:
            return False
        self.queued = True
        return True

    def unqueue(self) -> bool:
        """Its turn has come; True if there is still something new to tell."""
        self.queued = False
        return self.fresh and not self.in_flight and not self.ended

    def leave(self, now: float) -> tuple[str | None, float] | None:
        """A beat leaves: its details and how late it is; None if it must not."""
        if self.ended or self.in_flight:
            return None
        late = max(0.0, now - self.due)
        self.in_flight, self.fresh = 1, False
        return self.details, late

    def leave_beside(self) -> bool:
        """A second attempt leaves, with the same details or newer ones; whether it may."""
        if self.ended or self.in_flight != 1:
            return False
        self.in_flight, self.fresh = 2, False
        return True

    def lease_over(self, lease: float) -> float:
        """When a lease of so many seconds is lost. An unheard beat is no proof of that; but many of
        them hold it for one lease more at most."""
        heard = self.last_left if self.heard_at is None else self.heard_at
        unheard = heard if self.unheard_at is None else self.unheard_at
        return max(heard, min(unheard, heard + lease)) + lease

    def accept(self, now: float, left: float, *, stale: bool = False) -> bool:
        """The attempt that left then was accepted; True if newer details wait for a progress
        beat. ``stale``: it carried older ones."""
        self.in_flight -= 1
        self.retry_at, self.failures, self.missed_since = None, 0, None
        self.fresh = self.fresh or stale
        took = now - left
        if took > self.limit:
            self._lengthen()
        while self.cuts and attempt_limit(self.interval, self.cuts - 1) >= 2 * took:
            self.cuts -= 1  # a shorter one is enough again
        self.last_left, self.heard_at = max(self.last_left, left), now
        self.accepted += 1
        return self._queue()

    def miss(self, now: float, left: float, wait: float, *, unheard: bool = False) -> float | None:
        """The attempt that left then was missed: the beat is due again after ``wait``, and soon in
        any case. ``unheard``: nothing came back. Returns the wait that was planned; None where the
        one beside it was heard, or may be."""
        self.in_flight -= 1
        if unheard:
            self.unheard_at = left
        if now - left >= self.limit:
            self._lengthen()
        if self.in_flight or (self.heard_at is not None and self.heard_at > left):
            return None
        self.failures += 1
        if self.missed_since is None:
            self.missed_since = now
        wait = min(wait, max(self.interval / 3, 0.05))
        self.retry_at = now + wait
        return wait

    def _lengthen(self) -> None:
        if self.limit < min(self.interval, LONGEST_ATTEMPT):
            self.cuts += 1


@dataclass(slots=True)
class ProgressBudget:
    """A token bucket for progress beats of the whole process. Not thread-safe."""

    per_second: float
    tokens: float = 1.0
    at: float = 0.0

    def take(self, now: float) -> float:
        """0.0 if a progress beat may go now, else the seconds until one may."""
        most = max(1.0, self.per_second)
        self.tokens = min(most, self.tokens + max(0.0, now - self.at) * self.per_second)
        self.at = now
        if self.tokens >= 1.0 - 1e-9:
            self.tokens -= 1.0
            return 0.0
        return (1.0 - self.tokens) / self.per_second
