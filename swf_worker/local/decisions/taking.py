"""RespondDecisionTaskCompleted: a batch of decisions, in one moment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..executions import deciding
from ..executions.execution import DecisionTask, Execution
from . import activities, checking, children, closing, external, timers

Decision = Callable[[Execution, int, dict[str, Any]], None]
"""Performs a decision, for the execution, the DecisionTaskCompleted event and its attributes."""

DECISIONS: dict[str, Decision] = {
    "ScheduleActivityTask": activities.schedule,
    "RequestCancelActivityTask": activities.request_cancel,
    "CompleteWorkflowExecution": closing.complete,
    "FailWorkflowExecution": closing.fail,
    "CancelWorkflowExecution": closing.cancel,
    "ContinueAsNewWorkflowExecution": closing.continue_as_new,
    "RecordMarker": timers.record_marker,
    "StartTimer": timers.start,
    "CancelTimer": timers.cancel,
    "StartChildWorkflowExecution": children.start,
    "SignalExternalWorkflowExecution": external.signal,
    "RequestCancelExternalWorkflowExecution": external.request_cancel,
}
"""Those that are implemented."""


def take(
    task: DecisionTask,
    decisions: list[dict[str, Any]],
    *,
    context: str | None,
    task_list: str | None,
    schedule_to_start: str | None,
) -> None:
    """Take a decider's decisions, all or none. What they begin elsewhere (a child, a signal) comes
    right after the batch, as on SWF."""
    checking.check(decisions, DECISIONS)
    execution = task.execution
    with execution.host.one_moment():
        execution.in_batch = True
        event_id = deciding.complete(task, context, task_list, schedule_to_start)
        for decision in decisions:
            kind = decision["decisionType"]
            given = decision.get(checking.attributes_key(kind)) or {}
            DECISIONS[kind](execution, event_id, given)
        execution.in_batch = False
        deciding.settle(execution)
    begun, execution.after_batch = execution.after_batch, []
    for begin in begun:
        begin()
