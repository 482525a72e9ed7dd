"""Polls, heartbeats, answers and counts of tasks."""

from __future__ import annotations

from typing import Any

from .. import faults
from ..decisions.taking import take
from ..executions import activities
from ..executions.execution import DecisionTask
from ..executions.history import Window
from .request import Operation, Request

MAX_PAGE = 100
"""Events that a polled decision task has; larger pages are not given, whatever is asked."""


def _list_name(request: Request) -> str:
    return str(request.given["taskList"]["name"])


# --- decision tasks -----------------------------------------------------------------------------


def _poll_for_decision(request: Request) -> dict[str, Any]:
    backend, given = request.backend, request.given
    subject = f"decision {given['domain']} {_list_name(request)}"
    if given.get("nextPageToken"):
        token, first, reverse, at = backend.pages.read(given["nextPageToken"], subject)
        task = backend.open_decision(token)
        window = Window(first, task.started_event_id, reverse)
    else:
        taken = backend.take_decision(given["domain"], _list_name(request), given.get("identity"))
        if taken is None:
            return {"startedEventId": 0, "previousStartedEventId": 0}
        task, window = taken, _window(taken, given)
        at = window.start()
    size = min(given.get("maximumPageSize") or MAX_PAGE, MAX_PAGE)
    events, following = window.page(task.execution.events, at, size)
    token = backend.new_decision_token(task)
    answer = {
        "taskToken": token,
        "startedEventId": task.started_event_id,
        "previousStartedEventId": task.previous_started_event_id,
        "workflowExecution": task.execution.key,
        "workflowType": task.execution.workflow_type,
        "events": events,
    }
    if following is not None:
        answer["nextPageToken"] = backend.pages.make(
            subject, token, window.first, window.reverse, following
        )
    return answer


def _window(task: DecisionTask, given: dict[str, Any]) -> Window:
    first = 1
    if given.get("startAtPreviousStartedEvent"):
        first = max(1, task.previous_started_event_id)
    return Window(first, task.started_event_id, bool(given.get("reverseOrder")))


def _respond_decision(request: Request) -> None:
    given = request.given
    take(
        request.backend.open_decision(given["taskToken"]),
        given.get("decisions") or [],
        context=given.get("executionContext"),
        task_list=(given.get("taskList") or {}).get("name"),
        schedule_to_start=given.get("taskListScheduleToStartTimeout") or None,
    )


def _count_decisions(request: Request) -> dict[str, Any]:
    waiting = request.backend.decision_lists.waiting(request.domain.name, _list_name(request))
    return {"count": waiting, "truncated": False}


# --- activity tasks -----------------------------------------------------------------------------


def _poll_for_activity(request: Request) -> dict[str, Any]:
    given = request.given
    task = request.backend.take_activity(
        given["domain"], _list_name(request), given.get("identity")
    )
    if task is None:
        return {"startedEventId": 0}
    answer = {
        "taskToken": task.task_token,
        "activityId": task.activity_id,
        "startedEventId": task.started_event_id,
        "workflowExecution": task.execution.key,
        "activityType": task.activity_type,
    }
    return answer if task.input is None else answer | {"input": task.input}


def _heartbeat(request: Request) -> dict[str, Any]:
    backend = request.backend
    task = backend.open_activity(request.given["taskToken"])
    if backend.quotas is not None:
        backend.quotas.take_heartbeat(task.execution.run_id, backend.now())
    return {"cancelRequested": activities.beat(task, request.given.get("details"))}


def _complete(request: Request) -> None:
    task = request.backend.open_activity(request.given["taskToken"])
    activities.close(task, "ActivityTaskCompleted", result=request.given.get("result"))


def _fail(request: Request) -> None:
    given = request.given
    task = request.backend.open_activity(given["taskToken"])
    told = {"reason": given.get("reason"), "details": given.get("details")}
    activities.close(task, "ActivityTaskFailed", **told)


def _cancel(request: Request) -> None:
    """Refused where no cancellation was requested."""
    task = request.backend.open_activity(request.given["taskToken"])
    requested = task.cancel_requested_event_id
    if requested is None and not request.backend.accept_unrequested_cancel:
        raise faults.cancel_not_requested(task.scheduled_event_id)
    activities.close(
        task,
        "ActivityTaskCanceled",
        details=request.given.get("details"),
        latestCancelRequestedEventId=requested,
    )


def _count_activities(request: Request) -> dict[str, Any]:
    waiting = request.backend.activity_lists.waiting(request.domain.name, _list_name(request))
    return {"count": waiting, "truncated": False}


OPERATIONS: dict[str, Operation] = {
    "PollForDecisionTask": _poll_for_decision,
    "RespondDecisionTaskCompleted": _respond_decision,
    "CountPendingDecisionTasks": _count_decisions,
    "PollForActivityTask": _poll_for_activity,
    "RecordActivityTaskHeartbeat": _heartbeat,
    "RespondActivityTaskCompleted": _complete,
    "RespondActivityTaskFailed": _fail,
    "RespondActivityTaskCanceled": _cancel,
    "CountPendingActivityTasks": _count_activities,
}
