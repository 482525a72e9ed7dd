"""What reaches an execution from outside: signals and cancel requests, by a call or by another
execution's decision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from . import deciding
from .execution import Execution


@dataclass(frozen=True, slots=True)
class Sender:
    """The execution that decided to send it, and the event in its history."""

    execution: Execution
    initiated_event_id: int


def signal(execution: Execution, name: str, text: str | None, sender: Sender | None = None) -> None:
    """The decider is told of a signal."""
    execution.add_event("WorkflowExecutionSignaled", signalName=name, input=text, **_by(sender))
    deciding.schedule(execution)


def request_cancel(
    execution: Execution, sender: Sender | None = None, cause: str | None = None
) -> None:
    """The decider is told of a cancel request, and decides."""
    execution.cancel_requested = True
    execution.add_event("WorkflowExecutionCancelRequested", cause=cause, **_by(sender))
    deciding.schedule(execution)


def _by(sender: Sender | None) -> dict[str, Any]:
    if sender is None:
        return {"externalInitiatedEventId": 0}
    return {
        "externalWorkflowExecution": sender.execution.key,
        "externalInitiatedEventId": sender.initiated_event_id,
    }
