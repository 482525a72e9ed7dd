"""How many polls should be open now: as many as the flow of tasks needs, one at least.

One at first; one more whenever a poll brings a task, one fewer when it comes back empty, half
as many when the service says there are too many pollers or throttles. A failed poll backs off.
"""

from __future__ import annotations

from dataclasses import dataclass

EMPTY_POLLS_PER_SECOND = 5.0
"""The most polls a second that one poller makes when they come back empty at once."""

LONG_POLL = 60.0
"""Seconds for which SWF holds a poll that has no task."""
IDLE_CUT = (55.0, 65.0)
"""Seconds after which a connection that ends without an answer was only idle."""


@dataclass(slots=True)
class PollPlan:
    """The worker's polling. Not thread-safe: the poller's lock guards it."""

    most: int
    target: int = 1
    failures: int = 0
    not_before: float = 0.0
    """No poll is opened before this time of the monotonic clock."""
    failed_at: float = float("-inf")
    """When the last failure was counted."""
    troubled_since: float | None = None
    """Since when no poll was accepted; None while they are."""

    def brought_task(self) -> None:
        """A poll brought a task: more may be waiting."""
        self.failures, self.troubled_since = 0, None
        self.target = min(self.most, self.target + 1)

    def came_empty(self, now: float, lasted: float) -> float:
        """A poll came back empty; returns the wait before its poller's next one."""
        self.failures, self.troubled_since = 0, None
        self.target = max(1, self.target - 1)
        return max(0.0, 1 / EMPTY_POLLS_PER_SECOND - lasted)

    def was_cut_while_idle(self, lasted: float) -> bool:
        """A poll that somebody on the way ended at about the length of the long poll, as load
        balancers do with idle connections, is an empty one."""
        return IDLE_CUT[0] <= lasted <= IDLE_CUT[1]

    def is_known_trouble(self, began: float) -> bool:
        """A poll that was opened before the last counted failure tells nothing new: one reset
        ends all open polls, and is one failure."""
        return began <= self.failed_at

    def failed(self, now: float, wait: float, began: float, *, shed: bool) -> None:
        """A poll failed that ``began`` then: back off; ``shed``: with fewer pollers from now on."""
        self.failures += 1
        if self.troubled_since is None:  # an answer was due after the long poll at the latest
            self.troubled_since = min(now, began + LONG_POLL)
        self.failed_at = now
        self.not_before = max(self.not_before, now + wait)
        if shed:
            self.target = max(1, self.target // 2)

    def may_open(self, now: float, open_polls: int, running: int, slots: int) -> int:
        """How many polls to open now. Open polls and running tasks never exceed the slots."""
        if now < self.not_before:
            return 0
        return max(0, min(self.target - open_polls, slots - open_polls - running))
