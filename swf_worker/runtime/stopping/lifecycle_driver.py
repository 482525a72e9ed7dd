"""Drives ``core/lifecycle.py``: takes its events from any thread, has its commands performed."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from ...clock import now
from ...core import lifecycle
from ...core.lifecycle import LAST_ANSWERS, Command, Lifecycle
from ...service.api import Timer, Timers


@dataclass(frozen=True, slots=True)
class DrainChanged:
    """Not the lifecycle's to know: only the timer changes."""


DriverEvent = (
    lifecycle.Event | DrainChanged | type[lifecycle.Counts] | type[lifecycle.PollingClosed]
)
"""A type stands for counts that are to be read when it is their turn."""


class Member(Protocol):
    """One worker."""

    @property
    def drain_timeout(self) -> float: ...

    @property
    def cancel_grace(self) -> float: ...

    @property
    def timers(self) -> Timers: ...

    def perform(self, command: Command) -> None:
        """Do the worker's part of a command."""

    def counts(self) -> tuple[int, int]:
        """Its open polls, and its tasks that are not over."""

    def internal_error(self, error: BaseException) -> None:
        """Something broke; the stop goes on."""


@dataclass(slots=True)
class LifecycleDriver:
    """The life of one worker, or of several that stop together (``run_workers``).

    No lock is held that anybody waits for: events go into a queue, and one thread at a time
    steps and performs; what it is told meanwhile, by itself or by others, it takes next. So
    ``tell`` may be called from anywhere, signal handlers included.
    """

    members: list[Member] = field(default_factory=list)
    on_exit_now: Callable[[], None] = lambda: None
    on_stopping: Callable[[], None] = lambda: None
    kept_for_the_end: float = 0.0
    """Seconds of the bound that the last answers leave to the end of the process."""
    began_at: float | None = None
    """When it was told to stop."""
    state: Lifecycle = field(default_factory=Lifecycle)
    _stop_wanted: bool = False
    _timer: Timer | None = None
    _events: queue.SimpleQueue[DriverEvent] = field(default_factory=queue.SimpleQueue)
    _performing: threading.Lock = field(default_factory=threading.Lock)

    # --- what may be asked of it ----------------------------------------------------------------

    def open(self) -> None:
        """Open the first polls; or end, if a stop was asked for meanwhile."""
        if not self._stop_wanted:
            self.tell(lifecycle.Started())
        if self._stop_wanted:  # also just now
            self.tell(lifecycle.StopRequested(once=True))

    def request_stop(self) -> None:
        """Begin to stop, once. Never blocks."""
        self._stop_wanted = True  # while the start is under way, its end sees this
        if self.state.phase is not lifecycle.Phase.NEW:
            self.tell(lifecycle.StopRequested(once=True))

    def signaled(self) -> None:
        """A signal: one more step down."""
        self.tell(lifecycle.StopRequested())

    def recount(self) -> None:
        """Open polls or tasks have become fewer."""
        self.tell(lifecycle.Counts)

    def drain_changed(self) -> None:
        """A member's ``drain_timeout`` has changed: a drain that runs gets its time anew."""
        self.tell(DrainChanged())

    @property
    def longest_stop(self) -> float:
        """The bound of a whole stop, in seconds."""
        return lifecycle.longest_stop(
            (member.drain_timeout for member in self.members),
            (member.cancel_grace for member in self.members),
        )

    @property
    def longest_drain(self) -> float:
        """The longest of the members' drains, in seconds."""
        return max(member.drain_timeout for member in self.members)

    @property
    def ends_by(self) -> float | None:
        """When the bound of the stop is over, by our clock; None before a stop."""
        return None if self.began_at is None else self.began_at + self.longest_stop

    # --- events in, commands out ----------------------------------------------------------------

    def tell(self, event: DriverEvent) -> None:
        """Take an event. Counts are read when their turn comes: one that was read earlier and
        told later would hide the last change."""
        self._events.put(event)
        while not self._events.empty() and self._performing.acquire(blocking=False):
            try:
                self._step_through()
            finally:
                self._performing.release()

    def _step_through(self) -> None:
        while True:
            try:
                event = self._events.get_nowait()
            except queue.Empty:
                return
            if isinstance(event, DrainChanged):
                if self.state.phase is lifecycle.Phase.DRAINING:
                    self._arm_drain()
                continue
            if isinstance(event, type):
                event = event(*self._counts())
            self.state, commands = lifecycle.step(self.state, event)
            for command in commands:
                self._perform(command)

    def _counts(self) -> tuple[int, int]:
        counts = [member.counts() for member in self.members]
        return sum(polls for polls, _ in counts), sum(tasks for _, tasks in counts)

    def _perform(self, command: Command) -> None:
        if command is Command.EXIT_NOW:
            self.on_exit_now()
            return
        for member in self.members:
            try:
                member.perform(command)
            except Exception as error:  # a stop must go on, whatever breaks in it
                member.internal_error(error)
        match command:
            case Command.CLOSE_POLLING:
                self._begin()
                self._arm_drain()
                self._events.put(lifecycle.PollingClosed)
            case Command.ASK_HANDLERS:
                self._arm(lifecycle.Phase.ASKING, self._grace())
            case Command.ANSWER_RUNNING:
                self._arm(lifecycle.Phase.ANSWERING, self._last_answers())
            case Command.FINISH:
                self._begin()  # of one that was stopped before it began to poll

    def _begin(self) -> None:
        if self.began_at is None:
            self.began_at = now()
            self.on_stopping()

    def _arm_drain(self) -> None:
        self._arm(lifecycle.Phase.DRAINING, self.longest_drain)

    def _last_answers(self) -> float:
        if self.ends_by is None or not self.kept_for_the_end:
            return LAST_ANSWERS
        left = self.ends_by - self.kept_for_the_end - now()
        return min(LAST_ANSWERS, max(0.0, left))

    def _grace(self) -> float:
        return max(member.cancel_grace for member in self.members)

    def _arm(self, phase: lifecycle.Phase, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.members[0].timers.call_later(
            seconds, lambda: self.tell(lifecycle.TimerOver(phase))
        )
