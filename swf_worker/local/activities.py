"""An activity's life: scheduled, started, beating, answered, canceled, timed out in four ways."""

from __future__ import annotations

from typing import Any

from moto.swf.models import ActivityType

from .execution import LocalExecution
from .tasks import LocalActivityTask

MAX_OPEN_ACTIVITIES = 1_000
_TIMEOUTS = (
    ("scheduleToStartTimeout", "DEFAULT_SCHEDULE_TO_START_TIMEOUT_UNDEFINED"),
    ("scheduleToCloseTimeout", "DEFAULT_SCHEDULE_TO_CLOSE_TIMEOUT_UNDEFINED"),
    ("startToCloseTimeout", "DEFAULT_START_TO_CLOSE_TIMEOUT_UNDEFINED"),
    ("heartbeatTimeout", "DEFAULT_HEARTBEAT_TIMEOUT_UNDEFINED"),
)


def schedule(execution: LocalExecution, event_id: int, attributes: dict[str, Any]) -> None:
    """The ScheduleActivityTask decision."""
    wanted = attributes["activityType"]
    found = execution.domain.get_type(
        "activity", wanted["name"], wanted["version"], ignore_empty=True
    )
    activity_type = found or ActivityType(wanted["name"], wanted["version"])
    cause, task_list, timeouts = _schedulable(execution, found, attributes)
    if cause is not None:
        execution.add_event(
            "ScheduleActivityTaskFailed",
            activity_id=attributes["activityId"],
            activity_type=activity_type,
            cause=cause,
            decision_task_completed_event_id=event_id,
        )
        execution.should_schedule_decision_next = True
        return
    priority = attributes.get("taskPriority") or getattr(
        activity_type, "default_task_priority", None
    )
    event = execution.add_event(
        "ActivityTaskScheduled",
        activity_id=attributes["activityId"],
        activity_type=activity_type,
        control=attributes.get("control"),
        input=attributes.get("input"),
        task_list=task_list,
        task_priority=priority,
        decision_task_completed_event_id=event_id,
        schedule_to_start_timeout=timeouts["scheduleToStartTimeout"],
        schedule_to_close_timeout=timeouts["scheduleToCloseTimeout"],
        start_to_close_timeout=timeouts["startToCloseTimeout"],
        heartbeat_timeout=timeouts["heartbeatTimeout"],
    )
    task = LocalActivityTask(
        activity_id=attributes["activityId"],
        activity_type=activity_type,
        workflow_input=attributes.get("input"),
        scheduled_event_id=event.event_id,
        workflow_execution=execution,
        timeouts=timeouts,
        task_list=task_list,
        priority=int(priority or 0),
        now=execution.backend.now(),
    )
    execution.open_activities[task.activity_id] = task
    execution.open_counts["openActivityTasks"] += 1
    execution.latest_activity_task_timestamp = execution.backend.now()
    _arm(execution, task, "scheduleToStartTimeout", "SCHEDULE_TO_START")
    _arm(execution, task, "scheduleToCloseTimeout", "SCHEDULE_TO_CLOSE")
    execution.backend.offer_activity(task)


def _schedulable(
    execution: LocalExecution, activity_type: Any, attributes: dict[str, Any]
) -> tuple[str | None, str, dict[str, str]]:
    """The cause of a ScheduleActivityTaskFailed, or the task list and the timeouts."""
    if activity_type is None:
        return "ACTIVITY_TYPE_DOES_NOT_EXIST", "", {}
    if activity_type.status == "DEPRECATED":
        return "ACTIVITY_TYPE_DEPRECATED", "", {}
    if attributes["activityId"] in execution.open_activities:
        return "ACTIVITY_ID_ALREADY_IN_USE", "", {}
    if len(execution.open_activities) >= MAX_OPEN_ACTIVITIES:
        return "OPEN_ACTIVITIES_LIMIT_EXCEEDED", "", {}
    task_list = (attributes.get("taskList") or {}).get("name") or activity_type.task_list
    if not task_list:
        return "DEFAULT_TASK_LIST_UNDEFINED", "", {}
    timeouts: dict[str, str] = {}
    for name, undefined in _TIMEOUTS:
        # "heartbeatTimeout" is registered as default_task_heartbeat_timeout
        snake = "".join(f"_{c.lower()}" if c.isupper() else c for c in name)
        value = attributes.get(name) or getattr(activity_type, f"default_task_{snake}", None)
        if not value:
            return undefined, "", {}
        timeouts[name] = value
    return None, task_list, timeouts


def begin(execution: LocalExecution, task: LocalActivityTask, identity: str | None) -> None:
    """Hand out a scheduled task."""
    event = execution.add_event(
        "ActivityTaskStarted", scheduled_event_id=task.scheduled_event_id, identity=identity
    )
    task.start(event.event_id)
    task.last_heartbeat_timestamp = execution.backend.now()
    _arm(execution, task, "startToCloseTimeout", "START_TO_CLOSE")
    _arm_heartbeat(execution, task)


def _arm(execution: LocalExecution, task: LocalActivityTask, timeout: str, kind: str) -> None:
    seconds = task.seconds(timeout)
    if seconds is not None:
        execution.backend.call_later(seconds, lambda at: _timed_out(execution, task, kind, at))


def _arm_heartbeat(execution: LocalExecution, task: LocalActivityTask) -> None:
    seconds = task.seconds("heartbeatTimeout")
    if seconds:  # 0 would time out before any worker could beat; SWF's answer is not known
        due = task.last_heartbeat_timestamp + seconds - execution.backend.now()
        execution.backend.call_later(due, lambda at: _heartbeat_due(execution, task, seconds, at))


def _heartbeat_due(
    execution: LocalExecution, task: LocalActivityTask, seconds: float, at: float
) -> None:
    if not task.open or at >= task.last_heartbeat_timestamp + seconds - 1e-6:
        _timed_out(execution, task, "HEARTBEAT", at)
    else:
        _arm_heartbeat(execution, task)


def _timed_out(execution: LocalExecution, task: LocalActivityTask, kind: str, at: float) -> None:
    if not task.open or not execution.open:
        return
    if kind == "SCHEDULE_TO_START" and task.state != "SCHEDULED":
        return
    task.timeout_type = kind
    _close(
        execution,
        task,
        "TIMED_OUT",
        "ActivityTaskTimedOut",
        timeout_type=kind,
        details=task.details,
        event_timestamp=at,
    )


def answer(
    execution: LocalExecution, task: LocalActivityTask, event_type: str, **members: Any
) -> None:
    """RespondActivityTaskCompleted, …Failed, …Canceled."""
    state = {"ActivityTaskCompleted": "COMPLETED", "ActivityTaskFailed": "FAILED"}
    _close(execution, task, state.get(event_type, "CANCELED"), event_type, **members)


def _close(
    execution: LocalExecution, task: LocalActivityTask, state: str, event_type: str, **members: Any
) -> None:
    task.state = state
    execution.open_activities.pop(task.activity_id, None)
    execution.open_counts["openActivityTasks"] -= 1
    execution.add_event(
        event_type,
        scheduled_event_id=task.scheduled_event_id,
        started_event_id=task.started_event_id or 0,
        **members,
    )
    execution.schedule_decision_task()


def request_cancel(execution: LocalExecution, event_id: int, given: dict[str, Any]) -> None:
    """The RequestCancelActivityTask decision."""
    activity_id = given["activityId"]
    task = execution.open_activities.get(activity_id)
    if task is None:
        execution.add_event(
            "RequestCancelActivityTaskFailed",
            activity_id=activity_id,
            cause="ACTIVITY_ID_UNKNOWN",
            decision_task_completed_event_id=event_id,
        )
        execution.should_schedule_decision_next = True
        return
    event = execution.add_event(
        "ActivityTaskCancelRequested",
        activity_id=activity_id,
        decision_task_completed_event_id=event_id,
    )
    task.cancel_requested_event_id = event.event_id
    if task.state == "SCHEDULED":  # nobody works on it: it is canceled at once
        _close(
            execution,
            task,
            "CANCELED",
            "ActivityTaskCanceled",
            latest_cancel_requested_event_id=event.event_id,
        )
