"""StartTimer, CancelTimer and RecordMarker: decisions that concern the execution alone."""

from __future__ import annotations

from typing import Any

from ..executions import deciding
from ..executions.execution import Execution

MAX_OPEN = 1_000


def start(execution: Execution, event_id: int, given: dict[str, Any]) -> None:
    """The StartTimer decision."""
    timer_id = given["timerId"]
    common = {"timerId": timer_id, "decisionTaskCompletedEventId": event_id}
    cause = None
    if timer_id in execution.timers:
        cause = "TIMER_ID_ALREADY_IN_USE"
    elif len(execution.timers) >= MAX_OPEN:
        cause = "OPEN_TIMERS_LIMIT_EXCEEDED"
    if cause is not None:
        execution.add_event("StartTimerFailed", cause=cause, **common)
        execution.decision_wanted = True
        return
    started = execution.add_event(
        "TimerStarted",
        **common,
        control=given.get("control"),
        startToFireTimeout=given["startToFireTimeout"],
    )
    execution.timers[timer_id] = started
    delay = float(given["startToFireTimeout"])
    execution.host.call_later(delay, lambda: _fire(execution, timer_id, started))


def _fire(execution: Execution, timer_id: str, started: int) -> None:
    if execution.open and execution.timers.get(timer_id) == started:
        del execution.timers[timer_id]
        execution.add_event("TimerFired", timerId=timer_id, startedEventId=started)
        deciding.schedule(execution)


def cancel(execution: Execution, event_id: int, given: dict[str, Any]) -> None:
    """The CancelTimer decision."""
    common = {"timerId": given["timerId"], "decisionTaskCompletedEventId": event_id}
    started = execution.timers.pop(given["timerId"], None)
    if started is None:
        execution.add_event("CancelTimerFailed", cause="TIMER_ID_UNKNOWN", **common)
        execution.decision_wanted = True
    else:
        execution.add_event("TimerCanceled", startedEventId=started, **common)


def record_marker(execution: Execution, event_id: int, given: dict[str, Any]) -> None:
    """The RecordMarker decision."""
    execution.add_event(
        "MarkerRecorded",
        markerName=given["markerName"],
        details=given.get("details"),
        decisionTaskCompletedEventId=event_id,
    )
