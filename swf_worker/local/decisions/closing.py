"""The decisions that end an execution: complete, fail, cancel, continue as new."""

from __future__ import annotations

from typing import Any

from .. import ids
from ..executions import closing, starting
from ..executions.execution import Execution


def complete(execution: Execution, event_id: int, given: dict[str, Any]) -> None:
    """The CompleteWorkflowExecution decision."""
    _close(execution, event_id, "Complete", "COMPLETED", result=given.get("result"))


def fail(execution: Execution, event_id: int, given: dict[str, Any]) -> None:
    """The FailWorkflowExecution decision."""
    told = {"reason": given.get("reason"), "details": given.get("details")}
    _close(execution, event_id, "Fail", "FAILED", **told)


def cancel(execution: Execution, event_id: int, given: dict[str, Any]) -> None:
    """The CancelWorkflowExecution decision."""
    _close(execution, event_id, "Cancel", "CANCELED", details=given.get("details"))


def _close(
    execution: Execution, event_id: int, decision: str, status: str, **attributes: Any
) -> None:
    if execution.scheduled_decision is not None:
        _fail(execution, event_id, decision, "UNHANDLED_DECISION")
    else:
        closing.close(execution, status, **attributes, decisionTaskCompletedEventId=event_id)


def _fail(execution: Execution, event_id: int, decision: str, cause: str) -> None:
    """Events that the decider has not seen keep the execution open, among other causes."""
    execution.add_event(
        f"{decision}WorkflowExecutionFailed", cause=cause, decisionTaskCompletedEventId=event_id
    )
    execution.decision_wanted = True


def continue_as_new(execution: Execution, event_id: int, given: dict[str, Any]) -> None:
    """The ContinueAsNewWorkflowExecution decision: the same workflow, another run. What isn't
    given is the type's default, not what this run has."""
    name = execution.workflow_type["name"]
    version = given.get("workflowTypeVersion") or execution.workflow_type["version"]
    chosen = starting.choose(execution.domain, {"name": name, "version": version}, given)
    cause = chosen.cause
    if execution.scheduled_decision is not None:
        cause = "UNHANDLED_DECISION"
    if cause is not None:
        _fail(execution, event_id, "ContinueAsNew", cause)
        return
    run_id = ids.run_id()
    closing.close(
        execution,
        "CONTINUED_AS_NEW",
        **chosen.configuration,
        workflowType=chosen.workflow_type,
        input=given.get("input"),
        tagList=given.get("tagList") or None,
        newExecutionRunId=run_id,
        decisionTaskCompletedEventId=event_id,
    )
    continued = starting.start(
        execution.host,
        execution.domain,
        execution.workflow_id,
        chosen,
        parent=execution.parent,
        run_id=run_id,
        continued=execution.run_id,
    )
    if execution.parent is not None:
        children = execution.parent.execution.children
        children[execution.parent.initiated_event_id] = continued
