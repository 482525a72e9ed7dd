"""What a poll brings: the identity of one activity task (PollForActivityTask's answer)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class ActivityType:
    """The type of an activity: SWF knows activities by name and version."""

    name: str
    version: str

    def __str__(self) -> str:
        return f"{self.name}/{self.version}"


@dataclass(frozen=True, slots=True)
class WorkflowExecution:
    """The run of a workflow that scheduled the task."""

    workflow_id: str
    run_id: str


@dataclass(frozen=True, slots=True)
class ActivityTask:
    """One activity task. The token is opaque and is all that a heartbeat or an answer needs.

    ``input`` is the raw text the decider gave, or None. The poll tells no timeouts, no attempt
    number and no earlier heartbeat details: SWF doesn't send them.
    """

    task_token: str
    activity_id: str
    activity_type: ActivityType
    workflow_execution: WorkflowExecution
    started_event_id: int
    input: str | None = None


class CancelReason(StrEnum):
    """Why a handler is asked to stop."""

    REQUESTED = "requested"
    """SWF asked: a heartbeat reported ``cancelRequested``."""
    TASK_CLOSED = "task_closed"
    """SWF has closed the task (a timeout, the execution's end): nothing will be answered."""
    LEASE_LOST = "lease_lost"
    """No heartbeat was accepted for ``heartbeat_deadline`` seconds."""
    WORKER_SHUTDOWN = "worker_shutdown"
    """The worker's drain has ended."""
    TIMED_OUT = "timed_out"
    """The activity's own ``deadline`` is near or passed."""
