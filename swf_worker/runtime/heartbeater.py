"""All tasks' heartbeats: one scheduler decides when, a few senders send, and a stuck attempt
blocks nobody else's."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Container
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from ..core import verdicts
from ..core.heartbeats import BeatPlan, ProgressBudget
from ..errors import ServiceError, UnknownResourceFault
from ..observations import HeartbeatAccepted, HeartbeatFailed, HeartbeatLate, Observation
from ..service.api import Backoff, SwfService, Timer, Timers
from ..task import ActivityTask, CancelReason
from .clock import Clock
from .crew import Crew, Job


class BeatingTask(Protocol):
    """A task, as the heartbeater needs it."""

    @property
    def task(self) -> ActivityTask: ...

    def stop_cause(self, reason: CancelReason) -> None:
        """A beat's news, or its long absence, asks the handler to stop."""


@dataclass(slots=True, eq=False)
class Beats:
    """One task's heartbeats."""

    owner: BeatingTask
    plan: BeatPlan
    lease: float | None
    """``heartbeat_deadline``."""
    timer: Timer | None = None
    lease_timer: Timer | None = None


@dataclass(slots=True)
class Heartbeater:
    """Sends every task's beats. One lock guards all plans; nothing blocks under it."""

    service: SwfService
    clock: Clock
    timers: Timers
    backoff: Backoff
    senders: Crew
    budget: ProgressBudget
    observe: Callable[[Observation], None]
    unwanted: Container[type[Observation]] = frozenset()
    """Records that nobody wants aren't made."""
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _waiting: deque[Beats] = field(default_factory=deque)
    _pumping: bool = False

    def watch(
        self, owner: BeatingTask, interval: float, since: float, lease: float | None
    ) -> Beats:
        """Beat for a task from now on; its first beat is due one interval after ``since``."""
        beats = Beats(owner, BeatPlan(interval=interval, last_left=since), lease)
        wait = since + interval - self.clock.now()
        beats.timer = self.timers.call_later(wait, partial(self._fire, beats))
        if lease is not None:
            self._arm_lease(beats)
        return beats

    def progress(self, beats: Beats, details: str | None) -> None:
        """A handler told its progress: the last details win, and go out inside the budget."""
        with self._lock:
            if beats.plan.progress(details):
                self._waiting.append(beats)
                if not self._pumping:
                    self._pump()

    def adopt_interval(self, beats: Beats, interval: float) -> None:
        """The interval is known now (a look-up has ended)."""
        with self._lock:
            beats.plan.interval = interval
        self._arm(beats)

    def end(self, beats: Beats) -> None:
        """No more beats for this task."""
        with self._lock:
            beats.plan.ended = True
        for timer in (beats.timer, beats.lease_timer):
            if timer is not None:
                timer.cancel()

    # --- liveness -------------------------------------------------------------------------------

    def _arm(self, beats: Beats) -> None:
        with self._lock:
            if beats.plan.ended:
                return
            if beats.timer is not None:
                beats.timer.cancel()
            wait = beats.plan.due - self.clock.now()
            beats.timer = self.timers.call_later(wait, partial(self._fire, beats))

    def _fire(self, beats: Beats) -> None:
        with self._lock:
            early = beats.plan.due - self.clock.now() > 1e-6
            if not early:
                self._leave(beats)
        if early:  # a progress beat went out since: the next liveness beat is due later
            self._arm(beats)

    def _leave(self, beats: Beats) -> None:
        left = beats.plan.leave(self.clock.now())
        if left is None:
            return  # one is in flight: its end arms the next
        details, late_by = left
        limit = beats.plan.limit
        token = beats.owner.task.task_token

        def call() -> bool | ServiceError:
            try:
                return self.service.heartbeat(token, details, limit)
            except ServiceError as error:
                return error

        def done(result: bool | ServiceError) -> None:
            if isinstance(result, ServiceError):
                self._missed(beats, result)
            else:
                self._accepted(beats, result, late_by)

        self.senders.submit(Job(call, done))

    def _accepted(self, beats: Beats, cancel_requested: bool, late_by: float) -> None:
        with self._lock:
            ended = beats.plan.ended
            if beats.plan.accept(self.clock.now()):
                self._waiting.append(beats)
                if not self._pumping:
                    self._pump()
        self._arm(beats)
        if ended:
            return
        if HeartbeatAccepted not in self.unwanted:
            self.observe(HeartbeatAccepted(beats.owner.task, cancel_requested, late_by))
        if late_by > beats.plan.interval / 2:
            self.observe(HeartbeatLate(beats.owner.task, beats.plan.interval, late_by))
        if cancel_requested:
            beats.owner.stop_cause(CancelReason.REQUESTED)

    def _missed(self, beats: Beats, error: ServiceError) -> None:
        if verdicts.closes_task(error):
            with self._lock:
                beats.plan.in_flight = False
            if not isinstance(error, UnknownResourceFault):  # no closed task, but no token at all
                self.observe(HeartbeatFailed(beats.owner.task, error, 0.0))
            beats.owner.stop_cause(CancelReason.TASK_CLOSED)
            return
        with self._lock:
            ended = beats.plan.ended
            wait = self.backoff.wait(beats.plan.failures + 1, denied=verdicts.is_denied(error))
            unheard = error.ambiguous and not error.code
            wait = beats.plan.miss(self.clock.now(), wait, unheard=unheard)
        self._arm(beats)
        if not ended:
            self.observe(HeartbeatFailed(beats.owner.task, error, wait))

    # --- progress -------------------------------------------------------------------------------

    def _pump(self) -> None:
        while self._waiting:
            beats = self._waiting.popleft()
            if not beats.plan.unqueue():
                continue  # a liveness beat took the details along, or the task has ended
            wait = self.budget.take(self.clock.now())
            if wait > 0:
                beats.plan.queued = True
                self._waiting.appendleft(beats)
                self._pumping = True
                self.timers.call_later(wait, self._pump_later)
                return
            self._leave(beats)

    def _pump_later(self) -> None:
        with self._lock:
            self._pumping = False
            self._pump()

    # --- the lease ------------------------------------------------------------------------------

    def _arm_lease(self, beats: Beats) -> None:
        assert beats.lease is not None
        with self._lock:
            held = beats.plan.lease_from
            since = beats.plan.last_left if held is None else held
            wait = since + beats.lease - self.clock.now()
            if not beats.plan.ended and wait > 1e-6:
                beats.lease_timer = self.timers.call_later(wait, partial(self._arm_lease, beats))
                return
            ended = beats.plan.ended
        if not ended:
            beats.owner.stop_cause(CancelReason.LEASE_LOST)
