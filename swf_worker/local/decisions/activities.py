"""ScheduleActivityTask and RequestCancelActivityTask."""

from __future__ import annotations

from typing import Any

from ..executions import activities
from ..executions.execution import ActivityTask, Execution
from ..registry import RegisteredType

MAX_OPEN = 1_000
_TIMEOUTS = {
    "scheduleToStartTimeout": "SCHEDULE_TO_START_TIMEOUT",
    "scheduleToCloseTimeout": "SCHEDULE_TO_CLOSE_TIMEOUT",
    "startToCloseTimeout": "START_TO_CLOSE_TIMEOUT",
    "heartbeatTimeout": "HEARTBEAT_TIMEOUT",
}


def schedule(execution: Execution, event_id: int, given: dict[str, Any]) -> None:
    """The ScheduleActivityTask decision."""
    name, version = given["activityType"]["name"], given["activityType"]["version"]
    activity_type = execution.domain.types.get(("activity", name, version))
    common = {
        "activityId": given["activityId"],
        "activityType": {"name": name, "version": version},
        "decisionTaskCompletedEventId": event_id,
    }
    cause, task_list, timeouts = _schedulable(execution, activity_type, given)
    if activity_type is None or cause is not None:
        execution.add_event("ScheduleActivityTaskFailed", cause=cause, **common)
        execution.decision_wanted = True
        return
    priority = given.get("taskPriority") or activity_type.default("taskPriority")
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
    execution: Execution, activity_type: RegisteredType | None, given: dict[str, Any]
) -> tuple[str | None, str, dict[str, str]]:
    """The cause of a ScheduleActivityTaskFailed, or the task list and the timeouts."""
    if activity_type is None:
        return "ACTIVITY_TYPE_DOES_NOT_EXIST", "", {}
    if activity_type.deprecated is not None:
        return "ACTIVITY_TYPE_DEPRECATED", "", {}
    if given["activityId"] in execution.activities:
        return "ACTIVITY_ID_ALREADY_IN_USE", "", {}
    if len(execution.activities) >= MAX_OPEN:
        return "OPEN_ACTIVITIES_LIMIT_EXCEEDED", "", {}
    task_list = given.get("taskList") or activity_type.default("taskList")
    if not task_list:
        return "DEFAULT_TASK_LIST_UNDEFINED", "", {}
    timeouts: dict[str, str] = {}
    for member, in_capitals in _TIMEOUTS.items():
        value = given.get(member) or activity_type.default(member)
        if not value:
            return f"DEFAULT_{in_capitals}_UNDEFINED", "", {}
        timeouts[member] = value
    return None, task_list["name"], timeouts


def request_cancel(execution: Execution, event_id: int, given: dict[str, Any]) -> None:
    """The RequestCancelActivityTask decision. A task that nobody took is canceled after the batch:
    where that closes the execution, its history tells of the request only (recorded)."""
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
    execution.after_batch.append(lambda: activities.cancel_untaken(task))
