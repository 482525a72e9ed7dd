"""Lists of executions, by their filters, in pages."""

from __future__ import annotations

import json
from typing import Any

from moto.swf.exceptions import SWFDomainDeprecatedFault

from .. import faults
from ..executions.describing import info
from ..executions.execution import Execution
from .request import Operation, Request

MAX_PAGE = 1_000
_TIMES = {"startTimeFilter": "start_timestamp", "closeTimeFilter": "close_timestamp"}
_FILTERS = ("executionFilter", "typeFilter", "tagFilter", "closeStatusFilter")


def _list_open(request: Request) -> dict[str, Any]:
    return _listed(request, [each for each in request.domain.executions if each.open])


def _list_closed(request: Request) -> dict[str, Any]:
    return _listed(request, [each for each in request.domain.executions if not each.open])


def _listed(request: Request, executions: list[Execution]) -> dict[str, Any]:
    """The newest first, unless the reverse is asked for."""
    given, pages = request.given, request.backend.pages
    if request.domain.status == "DEPRECATED":
        raise SWFDomainDeprecatedFault(request.domain.name)
    time = _time_filter(given)
    if sum(name in given for name in _FILTERS) > 1:
        raise faults.exclusive_filters([name for name in _FILTERS if name in given])
    found = [each for each in executions if _matches(each, given, time)]
    found.sort(key=lambda each: getattr(each, _TIMES[time]), reverse=not given.get("reverseOrder"))
    subject = json.dumps({n: v for n, v in given.items() if n != "nextPageToken"}, sort_keys=True)
    token = given.get("nextPageToken")
    start = pages.read(token, subject)[0] if token else 0
    end = start + min(given.get("maximumPageSize") or MAX_PAGE, MAX_PAGE)
    answer: dict[str, Any] = {"executionInfos": [info(each) for each in found[start:end]]}
    if end < len(found):
        answer["nextPageToken"] = pages.make(subject, end)
    return answer


def _time_filter(given: dict[str, Any]) -> str:
    chosen = [name for name in _TIMES if given.get(name) is not None]
    if len(chosen) != 1:
        raise faults.exclusive_filters(chosen) if chosen else faults.time_filter_needed()
    return chosen[0]


def _matches(execution: Execution, given: dict[str, Any], time: str) -> bool:
    between = given[time]
    at = getattr(execution, _TIMES[time])
    if not between["oldestDate"] <= at <= between.get("latestDate", at):
        return False
    if "executionFilter" in given:
        return bool(execution.workflow_id == given["executionFilter"]["workflowId"])
    if "typeFilter" in given:  # with a version or without
        return given["typeFilter"].items() <= execution.workflow_type.items()
    if "tagFilter" in given:
        return given["tagFilter"]["tag"] in execution.tag_list
    if "closeStatusFilter" in given:
        return bool(execution.close_status == given["closeStatusFilter"]["status"])
    return True


OPERATIONS: dict[str, Operation] = {
    "ListOpenWorkflowExecutions": _list_open,
    "ListClosedWorkflowExecutions": _list_closed,
}
