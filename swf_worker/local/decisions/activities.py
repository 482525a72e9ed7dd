"""ScheduleActivityTask and RequestCancelActivityTask."""

from __future__ import annotations

from typing import Any

from ..executions import activities
from ..executions.execution import ActivityTask, Execution

MAX_OPEN = 1_000
_TIMEOUTS = (
    ("scheduleToStartTimeout", "schedule_to_start_timeout"),
    ("scheduleToCloseTimeout", "schedule_to_close_timeout"),
    ("startToCloseTimeout", "start_to_close_timeout"),
    ("heartbeatTimeout", "heartbeat_timeout"),
)


def schedule(execution: Execution, event_id: int, given: dict[str, Any]) -> None:
    """The ScheduleActivityTask decision."""
    name, version = given["activityType"]["name"], given["activityType"]["version"]
    activity_type = execution.domain.get_type("activity", name, version, ignore_empty=True)
    common = {
        "activityId": given["activityId"],
        "activityType": {"name": name, "version": version},
        "decisionTaskCompletedEventId": event_id,
    }
    cause, task_list, timeouts = _schedulable(execution, activity_type, given)
    if cause is not None:
        execution.add_event("ScheduleActivityTaskFailed", cause=cause, **common)
        execution.decision_wanted = True
        return
    default = getattr(activity_type, "default_task_priority", None)
    priority = given.get("taskPriority") or default
    scheduled = execution.add_event(
        "ActivityTaskScheduled",
        **common,
        **timeouts,
        control=given.get("control"),
        input=given.get("input"),
        taskList={"name": task_list},
        taskPriority=priority,
    )
    task = ActivityTask(
        execution,
        activity_id=given["activityId"],
        activity_type=common["activityType"],
        input=given.get("input"),
        task_list=task_list,
        priority=int(priority or 0),
        timeouts=timeouts,
        scheduled_event_id=scheduled,
    )
    activities.offer(task)


def _schedulable(
    execution: Execution, activity_type: Any, given: dict[str, Any]
) -> tuple[str | None, str, dict[str, str]]:
    """The cause of a ScheduleActivityTaskFailed, or the task list and the timeouts."""
    if activity_type is None:
        return "ACTIVITY_TYPE_DOES_NOT_EXIST", "", {}
    if activity_type.status == "DEPRECATED":
        return "ACTIVITY_TYPE_DEPRECATED", "", {}
    if given["activityId"] in execution.activities:
        return "ACTIVITY_ID_ALREADY_IN_USE", "", {}
    if len(execution.activities) >= MAX_OPEN:
        return "OPEN_ACTIVITIES_LIMIT_EXCEEDED", "", {}
    task_list = (given.get("taskList") or {}).get("name") or activity_type.task_list
    if not task_list:
        return "DEFAULT_TASK_LIST_UNDEFINED", "", {}
    timeouts: dict[str, str] = {}
    for member, attribute in _TIMEOUTS:
        value = given.get(member) or getattr(activity_type, f"default_task_{attribute}", None)
        if not value:
            return f"DEFAULT_{attribute.upper()}_UNDEFINED", "", {}
        timeouts[member] = value
    return None, task_list, timeouts


def request_cancel(execution: Execution, event_id: int, given: dict[str, Any]) -> None:
    """The RequestCancelActivityTask decision."""
    common = {"activityId": given["activityId"], "decisionTaskCompletedEventId": event_id}
    task = execution.activities.get(given["activityId"])
    if task is None:
        execution.add_event(
            "RequestCancelActivityTaskFailed", cause="ACTIVITY_ID_UNKNOWN", **common
        )
        execution.decision_wanted = True
        return
    requested = execution.add_event("ActivityTaskCancelRequested", **common)
    activities.request_cancel(task, requested)
