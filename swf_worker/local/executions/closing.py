"""How executions end: the closing event, what a parent is told, what happens to children."""

from __future__ import annotations

from typing import Any

from . import deciding, outside
from .execution import Execution

CHILD_POLICY_APPLIED = "CHILD_POLICY_APPLIED"
EVENT_LIMIT_EXCEEDED = "EVENT_LIMIT_EXCEEDED"
OPERATOR_INITIATED = "OPERATOR_INITIATED"
_CLOSES = {
    "COMPLETED": "Completed",
    "FAILED": "Failed",
    "CANCELED": "Canceled",
    "TERMINATED": "Terminated",
    "TIMED_OUT": "TimedOut",
    "CONTINUED_AS_NEW": "ContinuedAsNew",
}
_TOLD = ("result", "reason", "details", "timeoutType")
"""What a parent's event repeats of the child's, unless the child was terminated."""


def close(execution: Execution, status: str, **attributes: Any) -> None:
    """Close an execution with the event of this status. What is open in it stays as it is, and is
    handed out no more."""
    execution.add_event(f"WorkflowExecution{_CLOSES[status]}", **attributes)
    execution.close_status = status
    execution.close_timestamp = execution.host.now()
    execution.cancel_requested = False
    execution.domain.closed(execution)
    execution.host.note_change()
    if status != "CONTINUED_AS_NEW":  # of that a parent hears nothing: the child goes on
        _tell_parent(execution, status, attributes)


def _tell_parent(execution: Execution, status: str, attributes: dict[str, Any]) -> None:
    parent = execution.parent
    if parent is None or not parent.execution.open:
        return
    told = {} if status == "TERMINATED" else {n: attributes[n] for n in _TOLD if n in attributes}
    parent.execution.children.pop(parent.initiated_event_id, None)
    parent.execution.add_event(
        f"ChildWorkflowExecution{_CLOSES[status]}",
        workflowExecution=execution.key,
        workflowType=execution.workflow_type,
        initiatedEventId=parent.initiated_event_id,
        startedEventId=parent.started_event_id,
        **told,
    )
    deciding.schedule(parent.execution)


def terminate(
    execution: Execution,
    cause: str,
    *,
    child_policy: str | None = None,
    reason: str | None = None,
    details: str | None = None,
) -> None:
    """Terminate an execution, and do with its children what its policy says."""
    policy = child_policy or execution.configuration["childPolicy"]
    close(execution, "TERMINATED", childPolicy=policy, cause=cause, reason=reason, details=details)
    _apply(policy, execution)


def time_out(execution: Execution) -> None:
    """Its time is over."""
    if execution.open:
        policy = execution.configuration["childPolicy"]
        close(execution, "TIMED_OUT", childPolicy=policy, timeoutType="START_TO_CLOSE")
        _apply(policy, execution)


def end_of_history(execution: Execution) -> None:
    """It has as many events as a history may have."""
    if execution.open:
        terminate(execution, EVENT_LIMIT_EXCEEDED)


def _apply(policy: str, execution: Execution) -> None:
    """Down the generations, each by the policy of its own; there may be thousands."""
    left = [(policy, execution)]
    while left:
        policy, parent = left.pop()
        for child in list(parent.children.values()):
            if child is None or not child.open:
                continue
            if policy == "TERMINATE":
                own = child.configuration["childPolicy"]
                close(child, "TERMINATED", childPolicy=own, cause=CHILD_POLICY_APPLIED)
                left.append((own, child))
            elif policy == "REQUEST_CANCEL":
                by = outside.Sender(parent, 0)  # it sent none: no event of it says so
                outside.request_cancel(child, by, CHILD_POLICY_APPLIED)
