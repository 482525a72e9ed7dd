"""What a decider decides, performed: all of it or nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import activities, faults, timers
from .execution import LocalExecution
from .tasks import LocalDecisionTask


def take_decisions(
    execution: LocalExecution,
    task: LocalDecisionTask,
    decisions: list[dict[str, Any]],
    context: str | None,
) -> None:
    """Take a decider's decisions, all or none."""
    execution.validate_decisions(decisions)
    for decision in decisions:
        if decision["decisionType"] not in DECISIONS:
            raise faults.not_implemented(f"the decision {decision['decisionType']}")
    task.state = "COMPLETED"
    execution.end_decision()
    event = execution.add_event(
        "DecisionTaskCompleted",
        scheduled_event_id=task.scheduled_event_id,
        started_event_id=task.started_event_id,
        execution_context=context,
    )
    execution.latest_execution_context = context
    execution.should_schedule_decision_next = False
    for decision in decisions:
        kind = decision["decisionType"]
        key = f"{kind[0].lower()}{kind[1:]}DecisionAttributes"
        DECISIONS[kind](execution, event.event_id, decision.get(key) or {})
    if execution.open and execution.should_schedule_decision_next:
        execution.schedule_decision_task()
    if execution.open:
        execution.backend.offer_decision(execution)


def _refuse_close(execution: LocalExecution, decision: str, event_id: int) -> bool:
    """Events that the decider has not seen keep the execution open."""
    if execution.scheduled_decision is None:
        return False
    execution.add_event(
        f"{decision}Failed",
        cause="UNHANDLED_DECISION",
        decision_task_completed_event_id=event_id,
    )
    return True


def _complete(execution: LocalExecution, event_id: int, given: dict[str, Any]) -> None:
    if not _refuse_close(execution, "CompleteWorkflowExecution", event_id):
        execution.add_event(
            "WorkflowExecutionCompleted",
            decision_task_completed_event_id=event_id,
            result=given.get("result"),
        )
        execution.close("COMPLETED")


def _fail(execution: LocalExecution, event_id: int, given: dict[str, Any]) -> None:
    if not _refuse_close(execution, "FailWorkflowExecution", event_id):
        execution.add_event(
            "WorkflowExecutionFailed",
            decision_task_completed_event_id=event_id,
            reason=given.get("reason"),
            details=given.get("details"),
        )
        execution.close("FAILED")


def _cancel(execution: LocalExecution, event_id: int, given: dict[str, Any]) -> None:
    if not _refuse_close(execution, "CancelWorkflowExecution", event_id):
        execution.add_event(
            "WorkflowExecutionCanceled",
            decision_task_completed_event_id=event_id,
            details=given.get("details"),
        )
        execution.close("CANCELED")


def _record_marker(execution: LocalExecution, event_id: int, given: dict[str, Any]) -> None:
    execution.record_marker(event_id, given)


DECISIONS: dict[str, Callable[[LocalExecution, int, dict[str, Any]], None]] = {
    "ScheduleActivityTask": activities.schedule,
    "RequestCancelActivityTask": activities.request_cancel,
    "CompleteWorkflowExecution": _complete,
    "FailWorkflowExecution": _fail,
    "CancelWorkflowExecution": _cancel,
    "RecordMarker": _record_marker,
    "StartTimer": timers.start,
    "CancelTimer": timers.cancel,
}
"""Those that are implemented."""
