"""SWF's throttling: a token bucket an operation, and what a fleet does to them.

The figures are those of the page "Amazon SWF Quotas" of SWF's developer guide, for what workers and
deciders call all the time, and for what they call at their start. Other operations are counted, and
not throttled.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from . import faults

MAX_POLLERS = 1_000
"""Polls that wait in one task list."""


@dataclass(frozen=True, slots=True)
class Rate:
    """How many calls at once, and how many more each second."""

    size: int
    refill: int


_POLL = _ANSWER = Rate(2_000, 200)
RATES = {
    "PollForActivityTask": _POLL,
    "PollForDecisionTask": _POLL,
    "RecordActivityTaskHeartbeat": Rate(2_000, 160),
    "RespondActivityTaskCompleted": _ANSWER,
    "RespondActivityTaskFailed": _ANSWER,
    "RespondActivityTaskCanceled": _ANSWER,
    "RespondDecisionTaskCompleted": _ANSWER,
    "CountPendingActivityTasks": Rate(200, 6),
    "CountPendingDecisionTasks": Rate(200, 6),
    "DescribeActivityType": Rate(2_000, 6),
    "RegisterActivityType": Rate(200, 60),
}
"""For an account in a region."""
HEARTBEATS_OF_ONE = Rate(1_000, 1_000)
"""For the heartbeats of one workflow execution."""


@dataclass(frozen=True, slots=True)
class QuotaUse:
    """What a fleet did to the quota of one operation."""

    calls: int
    """How many came."""
    throttled: int
    """How many of them were refused with "Rate exceeded"."""
    size: int | None
    """The calls that its bucket holds; None: it has none here."""
    refill: int | None
    """How many more the bucket gets each second."""
    lowest: float | None
    """The fewest that it has held: below 1 calls are refused."""


@dataclass(slots=True)
class _Bucket:
    rate: Rate
    tokens: float
    at: float

    def take(self, now: float) -> bool:
        """Take a token, if there is one."""
        self.tokens = min(self.rate.size, self.tokens + (now - self.at) * self.rate.refill)
        self.at = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


@dataclass(slots=True)
class _Used:
    bucket: _Bucket | None
    calls: int = 0
    throttled: int = 0
    lowest: float = math.inf


@dataclass(slots=True)
class Quotas:
    """The buckets of one local SWF, whose clock fills them."""

    _used: dict[str, _Used] = field(default_factory=dict)
    _of_runs: dict[str, _Bucket] = field(default_factory=dict)

    def take(self, operation: str, now: float) -> None:
        """Count a call; SWF's ThrottlingException where the bucket is empty."""
        used = self._used.get(operation)
        if used is None:
            rate = RATES.get(operation)
            bucket = None if rate is None else _Bucket(rate, rate.size, now)
            used = self._used[operation] = _Used(bucket)
        used.calls += 1
        if used.bucket is None:
            return
        if not used.bucket.take(now):
            used.throttled += 1
            raise faults.throttled()
        used.lowest = min(used.lowest, used.bucket.tokens)

    def take_heartbeat(self, run_id: str, now: float) -> None:
        """The same for a heartbeat of one execution, which ``take`` has counted."""
        bucket = self._of_runs.setdefault(
            run_id, _Bucket(HEARTBEATS_OF_ONE, HEARTBEATS_OF_ONE.size, now)
        )
        if not bucket.take(now):
            self._used["RecordActivityTaskHeartbeat"].throttled += 1
            raise faults.throttled()

    def report(self) -> dict[str, QuotaUse]:
        """By operation, those that were called."""
        told = {}
        for name, used in sorted(self._used.items()):
            bucket: tuple[int | None, int | None, float | None] = (None, None, None)
            if used.bucket is not None:
                rate = used.bucket.rate
                bucket = (rate.size, rate.refill, used.lowest)
            told[name] = QuotaUse(used.calls, used.throttled, *bucket)
        return told
