"""An activity task's life: offered, started, beating, answered, canceled, timed out in four
ways."""

from __future__ import annotations

from typing import Any

from . import deciding
from .execution import ActivityTask


def offer(task: ActivityTask) -> None:
    """A task that was scheduled waits in its list from now on."""
    execution = task.execution
    execution.activities[task.activity_id] = task
    execution.first_activity = execution.first_activity or task
    execution.latest_activity_task_timestamp = execution.host.now()
    _arm(task, "scheduleToStartTimeout", "SCHEDULE_TO_START")
    _arm(task, "scheduleToCloseTimeout", "SCHEDULE_TO_CLOSE")
    execution.host.offer_activity(task)


def begin(task: ActivityTask, identity: str | None) -> None:
    """Hand out a scheduled task."""
    execution = task.execution
    task.started_event_id = execution.add_event(
        "ActivityTaskStarted", scheduledEventId=task.scheduled_event_id, identity=identity
    )
    task.state = "STARTED"
    task.last_heartbeat = execution.latest_activity_task_timestamp = execution.host.now()
    _arm(task, "startToCloseTimeout", "START_TO_CLOSE")
    _arm_heartbeat(task)


def beat(task: ActivityTask, details: str | None) -> bool:
    """A heartbeat; returns whether the task's cancellation was requested."""
    task.last_heartbeat = task.execution.host.now()
    task.heartbeats += 1
    if details is not None:
        task.details = details
    task.execution.host.note_change()
    return task.cancel_requested_event_id is not None


def close(task: ActivityTask, event: str, **attributes: Any) -> None:
    """The task ends with this event."""
    execution = task.execution
    task.state = "CLOSED"
    execution.activities.pop(task.activity_id, None)
    execution.latest_activity_task_timestamp = execution.host.now()
    execution.add_event(
        event,
        scheduledEventId=task.scheduled_event_id,
        startedEventId=task.started_event_id,
        **attributes,
    )
    deciding.schedule(execution)


def request_cancel(task: ActivityTask, event_id: int) -> None:
    """Its cancellation was requested by this event: the next heartbeat tells."""
    task.cancel_requested_event_id = event_id


def cancel_untaken(task: ActivityTask) -> None:
    """Nobody works on it: it is canceled."""
    if task.wanted:
        requested = task.cancel_requested_event_id
        close(task, "ActivityTaskCanceled", latestCancelRequestedEventId=requested)


def _arm(task: ActivityTask, timeout: str, kind: str) -> None:
    seconds = task.seconds(timeout)
    if seconds is not None:
        task.execution.host.call_later(seconds, lambda: _timed_out(task, kind))


def _arm_heartbeat(task: ActivityTask) -> None:
    seconds = task.seconds("heartbeatTimeout")
    if seconds:  # 0 would time out before any worker could beat; SWF's answer is not known
        due = task.last_heartbeat + seconds - task.execution.host.now()
        task.execution.host.call_later(due, lambda: _heartbeat_due(task, seconds))


def _heartbeat_due(task: ActivityTask, seconds: float) -> None:
    if not task.open or task.execution.host.now() >= task.last_heartbeat + seconds - 1e-6:
        _timed_out(task, "HEARTBEAT")
    else:
        _arm_heartbeat(task)


def _timed_out(task: ActivityTask, kind: str) -> None:
    if task.open and (kind != "SCHEDULE_TO_START" or task.state == "SCHEDULED"):
        close(task, "ActivityTaskTimedOut", timeoutType=kind, details=task.details)
