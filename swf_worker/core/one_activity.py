"""The decider of a workflow of one activity: what has happened -> what to do next. It schedules the
activity, unless its cancellation was requested before, passes a later request on, and closes the
workflow as the activity ends."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

ACTIVITY_ID = "activity-1"
CLOSES = {
    "ActivityTaskCompleted": "CompleteWorkflowExecution",
    "ActivityTaskFailed": "FailWorkflowExecution",
    "ActivityTaskTimedOut": "FailWorkflowExecution",
    "ActivityTaskCanceled": "CancelWorkflowExecution",
    "ScheduleActivityTaskFailed": "FailWorkflowExecution",
}
"""Events that end the activity, and the decision that then ends its workflow."""


def decide(kinds: Collection[str], attributes: dict[str, Any]) -> list[dict[str, Any]]:
    """The decisions for a history with events of these kinds; ``attributes`` are those of the
    ScheduleActivityTask decision."""
    for kind, decision in CLOSES.items():
        if kind in kinds:
            return [{"decisionType": decision}]
    asked = "WorkflowExecutionCancelRequested" in kinds
    if "ActivityTaskScheduled" not in kinds:
        if asked:  # nothing that happens to the activity would bring another decision task in time
            return [{"decisionType": "CancelWorkflowExecution"}]
        return [
            {
                "decisionType": "ScheduleActivityTask",
                "scheduleActivityTaskDecisionAttributes": attributes,
            }
        ]
    if asked and "ActivityTaskCancelRequested" not in kinds:
        return [
            {
                "decisionType": "RequestCancelActivityTask",
                "requestCancelActivityTaskDecisionAttributes": {"activityId": ACTIVITY_ID},
            }
        ]
    return []
