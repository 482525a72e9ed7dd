"""All tasks' heartbeats: one scheduler decides when, a few senders send, and a stuck attempt
blocks nobody else's."""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from ...core import verdicts
from ...core.heartbeats import LONGEST_ATTEMPT, BeatPlan, ProgressBudget
from ...errors import ServiceError, UnknownResourceFault
from ...observations import HeartbeatAccepted, HeartbeatFailed, HeartbeatLate, Observation
from ...service.api import Backoff, SwfService, Timer, Timers
from ...status import HeartbeatStatus
from ...task import ActivityTask, CancelReason
from ..threads.clock import Clock
from ..threads.thread_pool import Job, Pool

OVERTIME = 1.0
"""Seconds that a slow attempt gets at a time; then it is asked again who waits."""


class Senders(Pool, Protocol):
    """The threads that send beats."""

    def are_wanted(self) -> bool: ...
    def submit_if_free(self, job: Job, /) -> bool: ...


class BeatingTask(Protocol):
    """A task, as the heartbeater needs it."""

    @property
    def task(self) -> ActivityTask: ...

    def stop_cause(self, reason: CancelReason) -> None:
        """A beat's news, or its long absence, asks the handler to stop."""


@dataclass(slots=True, eq=False)
class TaskBeats:
    """One task's heartbeats."""

    owner: BeatingTask
    plan: BeatPlan
    lease: float | None
    """``heartbeat_deadline``."""
    timer: Timer | None = None
    lease_timer: Timer | None = None


@dataclass(slots=True, eq=False)
class _Attempt:
    """One call of one beat."""

    beats: TaskBeats
    left_at: float
    details: str | None
    late_by: float
    second: _Attempt | None = None
    """The one beside it."""
    heard: bool = False


@dataclass(slots=True)
class Heartbeater:
    """Sends every task's beats. One lock guards all plans; nothing blocks under it."""

    service: SwfService
    clock: Clock
    timers: Timers
    backoff: Backoff
    senders: Senders
    budget: ProgressBudget
    observe: Callable[[Observation], None]
    unwanted: Container[type[Observation]] = frozenset()
    """Records that nobody wants aren't made."""
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _waiting: deque[TaskBeats] = field(default_factory=deque)
    _waits_for_budget: bool = False
    moved_at: float = 0.0
    """When an attempt last ended."""

    def watch(
        self, owner: BeatingTask, interval: float, since: float, lease: float | None
    ) -> TaskBeats:
        """Beat for a task from now on; its first beat is due one interval after ``since``."""
        beats = TaskBeats(owner, BeatPlan(interval=interval, last_left=since), lease)
        wait = since + interval - self.clock.now()
        beats.timer = self.timers.call_later(wait, partial(self._fire, beats))
        if lease is not None:
            self._arm_lease(beats)
        return beats

    def progress(self, beats: TaskBeats, details: str | None) -> None:
        """A handler told its progress: the last details win, and go out inside the budget."""
        with self._lock:
            if beats.plan.progress(details):
                self._queue(beats)

    def adopt_interval(self, beats: TaskBeats, interval: float) -> None:
        """The interval is known now (a look-up has ended)."""
        with self._lock:
            beats.plan.interval = interval
        self._arm(beats)

    def end(self, beats: TaskBeats) -> None:
        """No more beats for this task."""
        with self._lock:
            beats.plan.ended = True
        for timer in (beats.timer, beats.lease_timer):
            if timer is not None:
                timer.cancel()

    # --- liveness -------------------------------------------------------------------------------

    def _arm(self, beats: TaskBeats) -> None:
        with self._lock:
            if beats.plan.ended:
                return
            if beats.timer is not None:
                beats.timer.cancel()
            wait = beats.plan.due - self.clock.now()
            beats.timer = self.timers.call_later(wait, partial(self._fire, beats))

    def _fire(self, beats: TaskBeats) -> None:
        with self._lock:
            early = beats.plan.due - self.clock.now() > 1e-6
            if not early:
                self._leave(beats)
        if early:  # a progress beat went out since: the next liveness beat is due later
            self._arm(beats)

    def _leave(self, beats: TaskBeats) -> None:
        moment = self.clock.now()
        beat = beats.plan.leave(moment)
        if beat is not None:  # else one is under way: its end arms the next
            details, late_by = beat
            self.senders.submit(self._job(_Attempt(beats, moment, details, late_by)))

    def _job(self, attempt: _Attempt) -> Job:
        token = attempt.beats.owner.task.task_token
        limit = attempt.beats.plan.limit
        overtime = partial(self._overtime, attempt)

        def call() -> bool | ServiceError:
            try:
                return self.service.heartbeat(token, attempt.details, limit, overtime)
            except ServiceError as error:
                return error
            except Exception as error:  # a bug of ours must not end a task's beats
                return ServiceError("RecordActivityTaskHeartbeat", "", repr(error))

        def done(result: bool | ServiceError) -> None:
            if isinstance(result, ServiceError):
                self._missed(attempt.beats, attempt.left_at, result)
            else:
                self._accepted(attempt, result)

        return Job(call, done)

    def _overtime(self, attempt: _Attempt) -> float:
        """An attempt has had its time: how many seconds more it gets. A service or a proxy that
        takes 6 s has every beat, and cut at 5 we would hear of none. But another goes out beside
        it, and its sender may be needed: what died in silence must not hold up everybody's."""
        plan, moment = attempt.beats.plan, self.clock.now()
        left_over = attempt.left_at + LONGEST_ATTEMPT - moment
        if plan.ended or plan.last_left >= attempt.left_at or left_over <= 0:
            return 0.0  # it is of no use any more
        if self.senders.are_wanted() or not self._has_second(attempt, moment):
            return 0.0
        return min(OVERTIME, plan.interval / 3, left_over)

    def _has_second(self, attempt: _Attempt, moment: float) -> bool:
        plan = attempt.beats.plan
        if attempt.second is not None and not attempt.second.heard:
            return plan.in_flight == 2  # else it has failed: begin anew
        with self._lock:
            if not plan.leave_beside():
                return False
            attempt.second = _Attempt(attempt.beats, moment, plan.details, 0.0, attempt)
        if self.senders.submit_if_free(self._job(attempt.second)):
            return True
        with self._lock:
            plan.in_flight -= 1
        return False

    def _accepted(self, attempt: _Attempt, cancel_requested: bool) -> None:
        beats, late_by = attempt.beats, attempt.late_by
        attempt.heard = True
        with self._lock:
            ended = beats.plan.ended
            self.moved_at = self.clock.now()
            stale = attempt.details != beats.plan.details
            if beats.plan.accept(self.moved_at, attempt.left_at, stale=stale):
                self._queue(beats)
        self._arm(beats)
        if ended:
            return
        if HeartbeatAccepted not in self.unwanted:
            self.observe(HeartbeatAccepted(beats.owner.task, cancel_requested, late_by))
        if late_by > beats.plan.interval / 2:
            self.observe(HeartbeatLate(beats.owner.task, beats.plan.interval, late_by))
        if cancel_requested:
            beats.owner.stop_cause(CancelReason.REQUESTED)

    def _missed(self, beats: TaskBeats, left_at: float, error: ServiceError) -> None:
        self.moved_at = self.clock.now()
        if verdicts.closes_task(error):
            with self._lock:
                beats.plan.in_flight -= 1
            if not isinstance(error, UnknownResourceFault):  # no closed task, but no token at all
                self.observe(HeartbeatFailed(beats.owner.task, error, 0.0))
            beats.owner.stop_cause(CancelReason.TASK_CLOSED)
            return
        with self._lock:
            ended = beats.plan.ended
            wait = self.backoff.wait(beats.plan.failures + 1, denied=verdicts.is_denied(error))
            unheard = error.ambiguous and not error.code
            planned = beats.plan.miss(self.moved_at, left_at, wait, unheard=unheard)
        self._arm(beats)
        if not ended and planned is not None:
            self.observe(HeartbeatFailed(beats.owner.task, error, planned))

    # --- how it goes ----------------------------------------------------------------------------

    def status(self, beats: TaskBeats) -> HeartbeatStatus:
        """One task's heartbeats."""
        plan, moment = beats.plan, self.clock.now()
        heard = plan.heard_at
        return HeartbeatStatus(
            plan.details,
            None if heard is None else round(moment - heard, 3),
            None if plan.ended else round(plan.due - moment, 3),
        )

    def stands_still(self, watched: Iterable[TaskBeats]) -> float:
        """For how many seconds a beat of one of these tasks has been due, and no attempt of any
        has ended. (With SWF away they end, one after the other.)"""
        due = min((each.plan.due for each in watched if not each.plan.ended), default=math.inf)
        return max(0.0, self.clock.now() - max(due, self.moved_at))

    def refused_for(self, watched: Iterable[TaskBeats]) -> float:
        """For how many seconds SWF has accepted no beat of these tasks, though some were sent."""
        plans = [each.plan for each in watched if not each.plan.ended]
        missed = min((p.missed_since for p in plans if p.missed_since is not None), default=None)
        if missed is None or any((p.heard_at or 0.0) > missed for p in plans):
            return 0.0
        return self.clock.now() - missed

    # --- progress -------------------------------------------------------------------------------

    def _queue(self, beats: TaskBeats) -> None:
        self._waiting.append(beats)
        if not self._waits_for_budget:
            self._send_queued()

    def _send_queued(self) -> None:
        while self._waiting:
            beats = self._waiting.popleft()
            if not beats.plan.unqueue():
                continue  # a liveness beat took the details along, or the task has ended
            wait = self.budget.take(self.clock.now())
            if wait > 0:
                beats.plan.queued = True
                self._waiting.appendleft(beats)
                self._waits_for_budget = True
                self.timers.call_later(wait, self._budget_is_there)
                return
            self._leave(beats)

    def _budget_is_there(self) -> None:
        with self._lock:
            self._waits_for_budget = False
            self._send_queued()

    # --- the lease ------------------------------------------------------------------------------

    def _arm_lease(self, beats: TaskBeats) -> None:
        assert beats.lease is not None
        with self._lock:
            wait = beats.plan.lease_over(beats.lease) - self.clock.now()
            if not beats.plan.ended and wait > 1e-6:
                beats.lease_timer = self.timers.call_later(wait, partial(self._arm_lease, beats))
                return
            ended = beats.plan.ended
        if not ended:
            beats.owner.stop_cause(CancelReason.LEASE_LOST)
