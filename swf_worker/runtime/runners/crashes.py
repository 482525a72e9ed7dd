"""How often handler processes crash, or can't be started, in a row: who waits for how long."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ...service.api import Backoff

MOST_FAILED_STARTS = 5
"""In a row: then whoever waits for a process is failed, at each further one that fails."""
LONGEST_TROUBLE = 300.0
"""Seconds for which none could be started, for whatever reason: the same. A machine that gives no
more processes is waited for so long."""


@dataclass(slots=True)
class Crashes:
    """The crashes in a row of one type's handlers, or the failed starts of children. Not
    thread-safe."""

    count: int = 0
    since: float = math.inf
    """When the first of them began."""
    counted_at: float = 0.0
    not_before: float = 0.0
    """When the next process is due."""

    def are_known(self, began: float) -> bool:
        """What began before the last one was counted: those that die together are one."""
        return began <= self.counted_at

    def add(self, now: float, backoff: Backoff) -> float:
        """One more; returns the wait. The first costs none: one child's end is nobody's fault."""
        self.count += 1
        self.counted_at = now
        wait = backoff.wait(self.count - 1) if self.count > 1 else 0.0
        self.not_before = now + wait
        return wait

    def are_too_many(self, began: float, now: float, *, at_once: bool) -> bool:
        """Whether a start that failed, and began then, is one too many. ``at_once``: by their
        number; else by the time alone."""
        self.since = min(self.since, began)
        return (at_once and self.count >= MOST_FAILED_STARTS) or now - self.since >= LONGEST_TROUBLE
