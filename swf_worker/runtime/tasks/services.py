"""What a task needs of the worker, and of the place where its handler runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ...activity import ActivityDefinition
from ...core.heartbeats import INTERVAL_UNKNOWN
from ...failure import FailureWording
from ...observations import Observation
from ...service.api import Backoff, SwfService, Timers
from ..heartbeats.heartbeater import Heartbeater
from ..threads.clock import Clock
from ..threads.thread_pool import Pool

if TYPE_CHECKING:
    from .task_run import TaskRun


class Runner(Protocol):
    """Where a handler runs. Runners differ in how they start, interrupt and kill; no more."""

    killable: bool

    def start(self, run: TaskRun) -> None:
        """Run the handler; call ``run.handler_ended`` when it has ended."""

    def ask(self, run: TaskRun, *, interrupt: bool) -> None:
        """The context says that the handler should stop: have it heard. ``interrupt``: a handler
        that waits is to notice (an async one gets a CancelledError)."""

    def kill(self, run: TaskRun) -> None:
        """Kill the handler's process."""

    def stack(self, run: TaskRun) -> str:
        """Where the handler is, for a report."""


@dataclass(frozen=True, slots=True)
class ServedType:
    """What is the same for all tasks of a type. Without a definition: of one that isn't run."""

    definition: ActivityDefinition | None = None
    runner: Runner | None = None
    interval: float = INTERVAL_UNKNOWN
    """Seconds between heartbeats."""
    time_limit: float | None = None
    """The registered start-to-close timeout: an estimate."""
    settled: bool = True
    """No look-up will change it."""


@dataclass(frozen=True, slots=True)
class TaskServices:
    """What every task run needs."""

    service: SwfService
    clock: Clock
    timers: Timers
    backoff: Backoff
    answers: Pool
    """The threads that send what no slot thread sends."""
    heartbeater: Heartbeater
    observe: Callable[[Observation], None]
    task_over: Callable[[TaskRun], None]
    """It is over for this worker."""
    free_slot: Callable[[], None]
    """It is over, and its handler has ended."""
    worker_stopping: Callable[[], bool]
    cancel_grace: float
    wording: FailureWording
