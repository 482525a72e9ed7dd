"""Lists of executions and their counts, by the same filters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import faults
from ..executions.describing import info
from ..executions.execution import Execution
from .paging import page
from .request import Operation, Request

_TIMES = {"startTimeFilter": "start_timestamp", "closeTimeFilter": "close_timestamp"}
_FILTERS = {
    "executionFilter": "WorkflowExecutionFilter",
    "typeFilter": "WorkflowTypeFilter",
    "tagFilter": "TagFilter",
    "closeStatusFilter": "CloseStatusFilter",
}
"""Those that exclude each other, and what SWF's fault calls them."""


def _open(request: Request) -> list[Execution]:
    return _found(request, [each for each in request.domain.executions if each.open])


def _closed(request: Request) -> list[Execution]:
    return _found(request, [each for each in request.domain.executions if not each.open])


def _found(request: Request, executions: list[Execution]) -> list[Execution]:
    given = request.given
    time = _time_filter(given)
    exclusive = [named for name, named in _FILTERS.items() if name in given]
    if len(exclusive) > 1:
        raise faults.exclusive_filters(exclusive)
    return [each for each in executions if _matches(each, given, time)]


def _time_filter(given: dict[str, Any]) -> str:
    chosen = [name for name in _TIMES if given.get(name) is not None]
    if len(chosen) != 1:
        raise faults.two_time_filters() if chosen else faults.time_filter_needed()
    return chosen[0]


def _matches(execution: Execution, given: dict[str, Any], time: str) -> bool:
    between = given[time]
    at = getattr(execution, _TIMES[time])
    if not between["oldestDate"] <= at <= between.get("latestDate", at):
        return False
    if "executionFilter" in given:
        return bool(execution.workflow_id == given["executionFilter"]["workflowId"])
    if "typeFilter" in given:  # with a version or without
        wanted = {name: text for name, text in given["typeFilter"].items() if text}
        return wanted.items() <= execution.workflow_type.items()
    if "tagFilter" in given:
        return given["tagFilter"]["tag"] in execution.tag_list
    if "closeStatusFilter" in given:
        return bool(execution.close_status == given["closeStatusFilter"]["status"])
    return True


def _listed(find: Callable[[Request], list[Execution]]) -> Operation:
    """The newest first, unless the reverse is asked for."""

    def listed(request: Request) -> dict[str, Any]:
        found = find(request)
        time = _TIMES[_time_filter(request.given)]
        return page(
            request,
            "executionInfos",
            found,
            info,
            key=lambda each: [getattr(each, time), each.number],
            descending=not request.given.get("reverseOrder"),
        )

    return listed


def _counted(find: Callable[[Request], list[Execution]]) -> Operation:
    return lambda request: {"count": len(find(request)), "truncated": False}


OPERATIONS: dict[str, Operation] = {
    "ListOpenWorkflowExecutions": _listed(_open),
    "ListClosedWorkflowExecutions": _listed(_closed),
    "CountOpenWorkflowExecutions": _counted(_open),
    "CountClosedWorkflowExecutions": _counted(_closed),
}
