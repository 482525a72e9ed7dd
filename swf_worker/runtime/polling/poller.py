"""Where polls come in. A slot is reserved before a poll is opened, so a task is only taken when
it can be run; a stop never cuts a poll that is open."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Container
from dataclasses import dataclass, field

from ...core import verdicts
from ...core.lifecycle import POLL_LIMIT
from ...core.pollers import PollPlan
from ...errors import ServiceError
from ...observations import Observation, PollCut, PollFailed, PollSucceeded
from ...service.api import Backoff, Polled, SwfService, Timers
from ..threads.clock import Clock
from ..threads.scheduler import LOCK_LIMIT
from ..threads.thread_pool import Job, Pool

REFUSED_WITHIN = 2.0
"""Seconds within which SWF refuses a poll that it won't hold; it does so at once."""


@dataclass(slots=True)
class Poller:
    """Keeps as many polls open as the plan says and the slots allow."""

    service: SwfService
    plan: PollPlan
    slots: int
    clock: Clock
    timers: Timers
    backoff: Backoff
    pool: Pool
    observe: Callable[[Observation], None]
    on_task: Callable[[Polled], None]
    """Take a task and its slot; ``free_slot`` gives the slot back."""
    on_accepted: Callable[[], None]
    """The first poll was accepted."""
    on_refused: Callable[[ServiceError], bool]
    """A poll failed; True if that ends the worker."""
    on_change: Callable[[], None]
    """A poll has ended after ``close()``: a stop waits for it."""
    accepted: bool = False
    """SWF took a poll: domain, permissions and credentials are right."""
    open_polls: int = 0
    running: int = 0
    unwanted: Container[type[Observation]] = frozenset()
    """Records that nobody wants aren't made."""
    moved_at: float = 0.0
    """When a poll was last opened, or ended."""
    _resting: int = 0
    _closed: bool = True
    _wake_up_at: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def open(self) -> None:
        """Begin to poll."""
        self._closed, self.moved_at = False, self.clock.now()
        self._pump()

    def close(self) -> None:
        """Open no more polls. Those that are open are waited for."""
        with self._lock:
            self._closed = True

    def is_served(self) -> bool:
        """Whether SWF takes the polls: it has accepted one, or holds one that it would have refused
        by now. (An empty list's first poll is held for 60 s.)"""
        return self.accepted or self.service.holds_poll(REFUSED_WITHIN)

    def free_slot(self) -> None:
        """A task's slot is free again."""
        self._pump(freed=1)

    def _pump(self, freed: int = 0) -> None:
        with self._lock:
            self.running -= freed
            if self._closed:
                return
            now = self.clock.now()
            count = self.plan.may_open(
                now, self.open_polls + self._resting, self.running, self.slots
            )
            if count:
                self.open_polls += count
                self.moved_at = now
            if self.plan.not_before > now:
                self._wake_up_later(now)
        for _ in range(count):
            self.pool.submit(Job(self._poll, self._polled))

    def stands_still(self) -> float:
        """For how many seconds nothing has come of an open poll that should have ended, or no poll
        was opened where one should have been."""
        if not self._lock.acquire(timeout=LOCK_LIMIT):
            return math.inf
        try:
            if self.open_polls:
                since = self.moved_at + POLL_LIMIT
            elif self._closed or self._resting or self.running >= self.slots:
                return 0.0
            else:
                since = max(self.moved_at, self.plan.not_before)
            return max(0.0, self.clock.now() - since)
        finally:
            self._lock.release()

    def refused_for(self) -> float:
        """For how many seconds SWF has been refusing polls, or was not to be reached."""
        since = self.plan.troubled_since
        return 0.0 if since is None else self.clock.now() - since

    def _wake_up_later(self, now: float) -> None:
        at = self.plan.not_before
        if at > self._wake_up_at:
            self._wake_up_at = at
            self.timers.call_later(at - now, self._pump)

    def _poll(self) -> tuple[Polled | ServiceError, float]:
        began = self.clock.now()
        try:
            return self.service.poll(), began
        except ServiceError as error:
            return error, began

    def _polled(self, result: tuple[Polled | ServiceError, float]) -> None:
        polled, began = result
        rest, ended = 0.0, self.clock.now()
        try:
            lasted = ended - began
            if not isinstance(polled, ServiceError):
                rest = self._succeeded(polled, lasted)
            elif polled.ambiguous and self.plan.was_cut_while_idle(lasted):
                rest = self._cut(polled, lasted)
            else:
                self._failed(polled, began)
        finally:
            self._close_poll(rest, ended)

    def _close_poll(self, rest: float, ended: float) -> None:
        with self._lock:
            # Only now: between the poll and its task there must be no moment in which a stop
            # sees neither.
            self.open_polls -= 1
            self.moved_at = ended
            if rest > 0:
                self._resting += 1
                self.timers.call_later(rest, self._rested)
        if self._closed:  # before that, nothing follows from it
            self.on_change()
        self._pump()

    def _succeeded(self, polled: Polled, lasted: float) -> float:
        if PollSucceeded not in self.unwanted:
            self.observe(PollSucceeded(polled.task, lasted))
        if not self.accepted:
            self.accepted = True
            self.on_accepted()
        with self._lock:
            if polled.task is None:
                return self.plan.came_empty(self.clock.now(), lasted)
            self.plan.brought_task()
            self.running += 1
        self.on_task(polled)
        return 0.0

    def _cut(self, error: ServiceError, lasted: float) -> float:
        self.observe(PollCut(error, lasted))
        with self._lock:
            return self.plan.came_empty(self.clock.now(), lasted)

    def _rested(self) -> None:
        with self._lock:
            self._resting -= 1
        self._pump()

    def _failed(self, error: ServiceError, began: float) -> None:
        if self.on_refused(error):
            return
        with self._lock:
            if self.plan.is_known_trouble(began):
                wait = max(0.0, self.plan.not_before - self.clock.now())
            else:
                wait = self._back_off(error, began)
        self.observe(PollFailed(error, wait, task_may_be_lost=error.ambiguous))

    def _back_off(self, error: ServiceError, began: float) -> float:
        wait = self.backoff.wait(self.plan.failures + 1, denied=verdicts.is_denied(error))
        moment = self.clock.now()
        self.plan.failed(moment, wait, began, shed=verdicts.sheds_pollers(error))
        return wait
