"""What a worker is doing now, as frozen values: for pages, probes and gauges.

A task token is in none of them: it is a credential.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from .task import ActivityTask, ActivityType
from .text import printable


@dataclass(frozen=True, slots=True)
class WorkerFacts:
    """Which worker it is."""

    state: str
    """``starting`` until SWF has accepted its first poll, then ``running``; ``draining``,
    ``asking`` (handlers were asked to stop) and ``answering`` while it stops; ``stopped``."""
    domain: str
    task_list: str
    identity: str
    options: Mapping[str, str | int | float | bool | None]
    """The settings that are plain values."""


@dataclass(frozen=True, slots=True)
class Slots:
    """``used`` have a task, ``open_polls`` wait for one: together never more than ``max``."""

    max: int
    used: int
    open_polls: int


@dataclass(frozen=True, slots=True)
class HeartbeatStatus:
    """A task's heartbeats."""

    details: str | None = None
    """What the next one carries, as it goes out."""
    seconds_ago: float | None = None
    """Since one was accepted; None before the first."""
    next_in: float | None = None
    """Seconds until the next is due, below 0 where it is late; None when there are no more."""


@dataclass(frozen=True, slots=True)
class RunningTask:
    """A task that is not over."""

    workflow_id: str
    run_id: str
    activity_id: str
    activity_type: ActivityType
    phase: str
    """``running``; ``sending``, or ``waiting`` to be sent again, where the handler has ended and
    its answer goes out."""
    seconds: float
    """Since the poll's answer."""
    heartbeat: HeartbeatStatus
    cancel_reason: str | None
    """What asked it to stop. ``task_closed``: SWF wants no answer any more, and it still runs."""


@dataclass(frozen=True, slots=True)
class EndedTask:
    """How a task ended: one of the last 100."""

    workflow_id: str
    run_id: str
    activity_id: str
    activity_type: ActivityType
    outcome: str | None
    """``Completed``, ``Canceled``, ``Failed``, or None where nothing was to be answered."""
    disposition: str
    """What came of the answer: one of ``swf_worker.core.messages.Disposition``'s values."""
    reason: str | None
    """A failure's."""
    seconds: float
    ended_at: str
    """When, in UTC."""


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """One worker, at one moment."""

    worker: WorkerFacts
    slots: Slots
    running: tuple[RunningTask, ...]
    """Left out where nobody asked for them."""
    oldest: float
    """Since the poll's answer of the one that has been running for the longest time, seconds."""
    loop_lag: float | None
    """How long the event loop took to turn when it was last asked, seconds; None without one."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """How many tasks wait in the task list: CountPendingActivityTasks."""

    count: int
    truncated: bool
    """There are more than SWF counts."""


def named(task: ActivityTask) -> tuple[str, str, str, ActivityType]:
    """Which task it is: workflow and run, activity and type. (What came over the wire may hold what
    no JSON can carry.)"""
    execution, kind = task.workflow_execution, task.activity_type
    return (
        printable(execution.workflow_id),
        printable(execution.run_id),
        printable(task.activity_id),
        ActivityType(printable(kind.name), printable(kind.version)),
    )


class WorkerView(Protocol):
    """A worker, for those who watch it. Its methods are quick, and may be called from any thread,
    also after its end."""

    def status(self, *, tasks: bool = True) -> WorkerStatus:
        """What it does now; without ``tasks`` not which ones run: there may be thousands."""

    def wedged(self) -> tuple[str, ...]:
        """What of this process stands still that must not: a line each. SWF's silence, a blocked
        event loop and a handler that hangs are none of it."""

    def not_ready(self) -> str | None:
        """Why it takes no tasks now; None where it does."""

    def backlog(self) -> Backlog:
        """Ask SWF how many tasks wait (CountPendingActivityTasks; it blocks). ServiceError."""
