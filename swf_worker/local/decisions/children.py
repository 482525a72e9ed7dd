"""StartChildWorkflowExecution."""

from __future__ import annotations

from typing import Any

from ..executions import deciding, starting
from ..executions.execution import Execution, Parent
from ..executions.starting import Start

MAX_OPEN = 1_000


def start(execution: Execution, event_id: int, given: dict[str, Any]) -> None:
    """The decision. The child is started after the batch; only then its id may be found in use."""
    chosen = starting.choose(execution.domain, given["workflowType"], given)
    cause = chosen.cause
    if cause is None and len(execution.children) >= MAX_OPEN:
        cause = "OPEN_CHILDREN_LIMIT_EXCEEDED"
    if cause is None and execution.domain.open_count >= starting.MAX_OPEN:
        cause = "OPEN_WORKFLOWS_LIMIT_EXCEEDED"
    common = {
        "workflowId": given["workflowId"],
        "workflowType": chosen.workflow_type,
        "control": given.get("control"),
        "decisionTaskCompletedEventId": event_id,
    }
    if cause is not None:  # there is no Initiated event
        _fail(execution, cause, 0, common)
        return
    initiated = execution.add_event(
        "StartChildWorkflowExecutionInitiated",
        **common,
        **chosen.configuration,
        input=given.get("input"),
        tagList=given.get("tagList") or None,
    )
    execution.children[initiated] = None
    execution.after_batch.append(lambda: _start(execution, initiated, chosen, common))


def _fail(execution: Execution, cause: str, initiated: int, common: dict[str, Any]) -> None:
    execution.add_event(
        "StartChildWorkflowExecutionFailed", cause=cause, initiatedEventId=initiated, **common
    )
    deciding.schedule(execution)


def _start(execution: Execution, initiated: int, chosen: Start, common: dict[str, Any]) -> None:
    workflow_id = common["workflowId"]
    if execution.domain.is_open(workflow_id):
        if execution.open:
            execution.children.pop(initiated)
            _fail(execution, "WORKFLOW_ALREADY_RUNNING", initiated, common)
        return
    parent = Parent(execution, initiated)
    child = starting.start(execution.host, execution.domain, workflow_id, chosen, parent=parent)
    execution.children[initiated] = child
    if execution.open:  # else it closed in the same batch, and the child lives by itself
        parent.started_event_id = execution.add_event(
            "ChildWorkflowExecutionStarted",
            workflowExecution=child.key,
            workflowType=child.workflow_type,
            initiatedEventId=initiated,
        )
        deciding.schedule(execution)
