"""Executions from outside: start, signal, cancel, terminate, describe, history."""

from __future__ import annotations

from typing import Any

from moto.swf.exceptions import SWFWorkflowExecutionAlreadyStartedFault

from .. import faults
from ..executions import closing, describing, outside, starting
from ..executions.history import Window
from .request import Operation, Request

MAX_PAGE = 1_000


def _start(request: Request) -> dict[str, Any]:
    domain, given = request.domain, request.given
    wanted = given["workflowType"]
    workflow_type = domain.type("workflow", wanted["name"], wanted["version"])
    if workflow_type.deprecated is not None:
        raise faults.type_deprecated(str(workflow_type))
    if domain.deprecated:
        raise faults.domain_deprecated(domain.name)
    chosen = starting.choose(domain, wanted, given)
    if chosen.undefined is not None:
        raise faults.default_undefined(chosen.undefined)
    if domain.is_open(given["workflowId"]):
        raise SWFWorkflowExecutionAlreadyStartedFault()
    if domain.open_count >= starting.MAX_OPEN:
        raise faults.too_many_executions()
    execution = starting.start(request.backend, domain, given["workflowId"], chosen)
    return {"runId": execution.run_id}


def _signal(request: Request) -> None:
    given = request.given
    execution = request.domain.find_open(given["workflowId"], given.get("runId"))
    outside.signal(execution, given["signalName"], given.get("input"))


def _request_cancel(request: Request) -> None:
    given = request.given
    outside.request_cancel(request.domain.find_open(given["workflowId"], given.get("runId")))


def _terminate(request: Request) -> None:
    given = request.given
    closing.terminate(
        request.domain.find_open(given["workflowId"], given.get("runId")),
        closing.OPERATOR_INITIATED,
        child_policy=given.get("childPolicy"),
        reason=given.get("reason"),
        details=given.get("details"),
    )


def _describe(request: Request) -> dict[str, Any]:
    wanted = request.given["execution"]
    return describing.description(request.domain.find(wanted["workflowId"], wanted["runId"]))


def _history(request: Request) -> dict[str, Any]:
    given, pages = request.given, request.backend.pages
    execution = request.domain.find(given["execution"]["workflowId"], given["execution"]["runId"])
    reverse = bool(given.get("reverseOrder"))
    subject = f"history {execution.run_id} {reverse}"
    token = given.get("nextPageToken")
    if token:
        at, last = pages.read(token, subject)
    else:
        at, last = None, len(execution.events)
    window = Window(1, last if reverse else len(execution.events), reverse)
    size = min(given.get("maximumPageSize") or MAX_PAGE, MAX_PAGE)
    events, following = window.page(execution.events, at or window.start(), size)
    answer: dict[str, Any] = {"events": events}
    if following is not None:
        answer["nextPageToken"] = pages.make(subject, following, last)
    return answer


OPERATIONS: dict[str, Operation] = {
    "StartWorkflowExecution": _start,
    "SignalWorkflowExecution": _signal,
    "RequestCancelWorkflowExecution": _request_cancel,
    "TerminateWorkflowExecution": _terminate,
    "DescribeWorkflowExecution": _describe,
    "GetWorkflowExecutionHistory": _history,
}
