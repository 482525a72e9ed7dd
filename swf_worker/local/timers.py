"""A decider's timers."""

from __future__ import annotations

from typing import Any

from .execution import LocalExecution


def start(execution: LocalExecution, event_id: int, given: dict[str, Any]) -> None:
    """The StartTimer decision."""
    timer_id = given["timerId"]
    if timer_id in execution.timers:
        execution.add_event(
            "StartTimerFailed",
            timer_id=timer_id,
            cause="TIMER_ID_ALREADY_IN_USE",
            decision_task_completed_event_id=event_id,
        )
        execution.should_schedule_decision_next = True
        return
    event = execution.add_event(
        "TimerStarted",
        timer_id=timer_id,
        control=given.get("control"),
        start_to_fire_timeout=given["startToFireTimeout"],
        decision_task_completed_event_id=event_id,
    )
    execution.timers[timer_id] = event.event_id
    delay = float(given["startToFireTimeout"])
    execution.backend.call_later(delay, lambda at: _due(execution, timer_id, event.event_id, at))


def _due(execution: LocalExecution, timer_id: str, started_event_id: int, at: float) -> None:
    if execution.open and execution.timers.get(timer_id) == started_event_id:
        del execution.timers[timer_id]
        execution.add_event(
            "TimerFired",
            timer_id=timer_id,
            started_event_id=started_event_id,
            event_timestamp=at,
        )
        execution.schedule_decision_task()


def cancel(execution: LocalExecution, event_id: int, given: dict[str, Any]) -> None:
    """The CancelTimer decision."""
    timer_id = given["timerId"]
    started = execution.timers.pop(timer_id, None)
    if started is None:
        execution.add_event(
            "CancelTimerFailed",
            timer_id=timer_id,
            cause="TIMER_ID_UNKNOWN",
            decision_task_completed_event_id=event_id,
        )
        execution.should_schedule_decision_next = True
        return
    execution.add_event(
        "TimerCanceled",
        timer_id=timer_id,
        started_event_id=started,
        decision_task_completed_event_id=event_id,
    )
