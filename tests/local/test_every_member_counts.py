"""No member of the model is accepted and then dropped: of every operation's request, each member
that is left out or changed changes the answer, or what the local SWF tells afterwards. Decisions'
members: ``test_no_member_is_dropped``."""

from __future__ import annotations

import copy
import functools
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from swf_worker.local.decisions.checking import attributes_key
from tests.local.test_types_and_domains import DEFAULTS
from tests.local.world import ARN, MODEL, WORK, World

BEGAN = 1_700_000_000
OTHER = {"name": "Other", "version": "2"}
OLD = {"name": "Old", "version": "1"}
ABSENT: Any = object()
RANDOM = re.compile(r"[A-Za-z0-9+/]{44,}=*")


class Wider(World):
    """With something else of each kind, and the time it was then."""

    def __init__(self) -> None:
        super().__init__()
        self.call("RegisterDomain", name="other", workflowExecutionRetentionPeriodInDays="1")
        self.call("RegisterDomain", name="old", workflowExecutionRetentionPeriodInDays="1")
        self.call("DeprecateDomain", name="old")
        self.clock.advance(10)
        for kind in ("Activity", "Workflow"):
            for each in (OTHER, OLD):
                self.call(f"Register{kind}Type", domain="plain", **each)
            self.call(f"Deprecate{kind}Type", domain="plain", **{f"{kind.lower()}Type": OLD})
        given = {"workflowType": OTHER, "tagList": ["t"], "taskList": {"name": "m"}}
        given |= {"childPolicy": "ABANDON", "taskStartToCloseTimeout": "9"}
        for name in ("closed-2", "open-2"):
            given |= {"executionStartToCloseTimeout": "99"}
            self.runs[name] = self.call(
                "StartWorkflowExecution", domain="plain", workflowId=name, **given
            )["runId"]
        self.clock.advance(10)
        self.call("TerminateWorkflowExecution", domain="plain", workflowId="closed-2")

    def key(self, name: str) -> dict[str, str]:
        return {"workflowId": name, "runId": self.runs[name]}

    def page_token(self, operation: str, members: dict[str, Any]) -> str:
        return self.call(operation, **members)["nextPageToken"]

    def told(self) -> Any:
        """All that it tells, when all timeouts are over."""
        self.clock.advance(1_000_000)
        told: list[Any] = []
        for name, domain in sorted(self.backend.domains.items()):
            arn = ARN.replace("plain", name)
            told.append(self.call("DescribeDomain", name=name))
            told.append(self.call("ListTagsForResource", resourceArn=arn))
            for each in domain.types.values():
                asked = {"domain": name, f"{each.kind}Type": each.key}
                told.append(self.call(f"Describe{each.kind.capitalize()}Type", **asked))
            for execution in domain.executions:
                asked = {"domain": name, "execution": execution.key}
                told.append(self.call("DescribeWorkflowExecution", **asked))
                told.append(self.call("GetWorkflowExecutionHistory", **asked))
        return told


def plainly(value: Any) -> str:
    """Without what is random."""
    return RANDOM.sub("*", json.dumps(value, sort_keys=True))


# --- one request of each operation, and another value of each of its members ------------------


class Asked:
    """A request, and what its members are changed to, by their paths. A change may bring a request
    of its own. Both may be made of the world that they go to."""

    def __init__(self, base: Any, **changes: Any) -> None:
        self.base = base
        self.changes = {name.replace("__", "."): change for name, change in changes.items()}


def instead(base: Any, change: Any) -> Callable[[], tuple[Any, Any]]:
    return lambda: (base, change)


def _type(kind: str, which: dict[str, str]) -> Asked:
    base = {"domain": "plain", f"{kind}Type": which}
    return Asked(
        base,
        domain="other",
        **{f"{kind}Type__name": "Nobody", f"{kind}Type__version": "77"},
    )


def _register(kind: str) -> Asked:
    changes = {
        member: {"name": "changed"} if member == "defaultTaskList" else ABSENT
        for member in DEFAULTS[kind]
    }
    changes["defaultTaskList__name"] = changes.pop("defaultTaskList")["name"]
    base = {"domain": "plain", "name": "N", "version": "1", "description": "d"} | DEFAULTS[kind]
    return Asked(base, domain="other", name="M", version="2", description=ABSENT, **changes)


def _executions(kind: str, listed: bool) -> Asked:
    every = {"domain": "plain", "startTimeFilter": {"oldestDate": 0}}
    named = "closed" if kind == "Closed" else "open"
    changes = {
        "domain": "other",
        "startTimeFilter__oldestDate": BEGAN + 5,
        "startTimeFilter__latestDate": BEGAN + 5,
        "executionFilter__workflowId": instead(
            every | {"executionFilter": {"workflowId": named}}, "nobody"
        ),
        "typeFilter__name": instead(every | {"typeFilter": {"name": "Flow"}}, "Other2"),
        "typeFilter__version": instead(every | {"typeFilter": OTHER}, "3"),
        "tagFilter__tag": instead(every | {"tagFilter": {"tag": "t"}}, "u"),
    }
    if kind == "Closed":
        by_close = {"domain": "plain", "closeTimeFilter": {"oldestDate": 0}}
        changes |= {
            "closeTimeFilter__oldestDate": instead(by_close, BEGAN + 15),
            "closeTimeFilter__latestDate": instead(by_close, BEGAN + 15),
            "closeStatusFilter__status": instead(
                every | {"closeStatusFilter": {"status": "TERMINATED"}}, "FAILED"
            ),
        }
    if listed:
        changes |= _pages(f"List{kind}WorkflowExecutions", every)
    return Asked(every, **changes)


def _pages(operation: str, base: Any) -> dict[str, Any]:
    def paged(world: Wider) -> dict[str, Any]:
        asked = (base(world) if callable(base) else base) | {"maximumPageSize": 1}
        return asked | {"nextPageToken": world.page_token(operation, asked)}

    return {
        "maximumPageSize": 1,
        "reverseOrder": True,
        "nextPageToken": instead(paged, ABSENT),
    }


def _types(kind: str) -> Asked:
    base = {"domain": "plain", "registrationStatus": "REGISTERED"}
    return Asked(
        base,
        domain="other",
        name="Other",
        registrationStatus="DEPRECATED",
        **_pages(f"List{kind}Types", base),
    )


def _of_run(**more: Any) -> Asked:
    def base(world: Wider) -> dict[str, Any]:
        return {"domain": "plain"} | world.key("open") | {k: v for k, (v, _) in more.items()}

    changes = {name: change for name, (_, change) in more.items()}
    return Asked(base, domain="other", workflowId="open-2", runId="another", **changes)


def _answer(**more: Any) -> Asked:
    def base(world: Wider) -> dict[str, Any]:
        return {"taskToken": world.activity_token} | {name: f"a {name}" for name in more}

    return Asked(base, taskToken="another", **more)


def _canceled(world: Wider) -> dict[str, Any]:
    """Where a cancellation was requested."""
    request = {"activityId": "a"}
    world.call(
        "RespondDecisionTaskCompleted",
        taskToken=world.decision_token,
        decisions=[decision("RequestCancelActivityTask", request)],
    )
    return {"taskToken": world.activity_token, "details": "d"}


def decision(kind: str, attributes: dict[str, Any]) -> dict[str, Any]:
    return {"decisionType": kind, attributes_key(kind): attributes}


def _history(world: Wider) -> dict[str, Any]:
    return {"domain": "plain", "execution": world.key("open")}


def _decided(world: Wider) -> dict[str, Any]:
    return {
        "taskToken": world.decision_token,
        "decisions": [decision("ScheduleActivityTask", {"activityId": "b", "activityType": WORK})],
        "executionContext": "c",
        "taskList": {"name": "later"},
        "taskListScheduleToStartTimeout": "12",
    }


def _again(world: Wider) -> dict[str, Any]:
    """An execution that has been decided for once has another decision task."""
    world.call("RespondDecisionTaskCompleted", taskToken=world.decision_token)
    world.call("SignalWorkflowExecution", domain="plain", workflowId="open", signalName="s")
    return {"domain": "plain", "taskList": {"name": "l"}, "identity": "me"}


POLL = {"domain": "plain", "taskList": {"name": "m"}, "identity": "me"}
STARTED = {
    "domain": "plain",
    "workflowId": "new",
    "workflowType": OTHER,
    "taskList": {"name": "l"},
    "taskPriority": "5",
    "input": "i",
    "executionStartToCloseTimeout": "60",
    "tagList": ["t"],
    "taskStartToCloseTimeout": "6",
    "childPolicy": "ABANDON",
    "lambdaRole": "arn:role",
}
DOMAIN = {
    "name": "new",
    "description": "d",
    "workflowExecutionRetentionPeriodInDays": "1",
    "tags": [{"key": "k", "value": "v"}],
}


def _waiting(world: Wider) -> dict[str, Any]:
    """An activity waits in the list."""
    world.call("RespondDecisionTaskCompleted", **_decided(world))
    return {"domain": "plain", "taskList": {"name": "l"}, "identity": "me"}


ASKED: dict[str, Asked] = {
    **{f"Register{kind.capitalize()}Type": _register(kind) for kind in DEFAULTS},
    **{
        f"{verb}{kind.capitalize()}Type": _type(kind, which)
        for kind in DEFAULTS
        for verb, which in (
            ("Describe", OTHER),
            ("Deprecate", OTHER),
            ("Undeprecate", OLD),
            ("Delete", OLD),
        )
    },
    **{f"List{kind.capitalize()}Types": _types(kind.capitalize()) for kind in DEFAULTS},
    **{f"List{kind}WorkflowExecutions": _executions(kind, True) for kind in ("Open", "Closed")},
    **{f"Count{kind}WorkflowExecutions": _executions(kind, False) for kind in ("Open", "Closed")},
    "RegisterDomain": Asked(
        DOMAIN,
        name="newer",
        description=ABSENT,
        workflowExecutionRetentionPeriodInDays="2",
        tags__key="l",
        tags__value="w",
    ),
    "DescribeDomain": Asked({"name": "plain"}, name="other"),
    "DeprecateDomain": Asked({"name": "plain"}, name="other"),
    "UndeprecateDomain": Asked({"name": "old"}, name="other"),
    "ListDomains": Asked(
        {"registrationStatus": "REGISTERED"},
        registrationStatus="DEPRECATED",
        **_pages("ListDomains", {"registrationStatus": "REGISTERED"}),
    ),
    "ListTagsForResource": Asked({"resourceArn": ARN}, resourceArn=ARN.replace("plain", "other")),
    "TagResource": Asked(
        {"resourceArn": ARN, "tags": [{"key": "k2", "value": "v"}]},
        resourceArn=ARN.replace("plain", "other"),
        tags__key="l",
        tags__value=ABSENT,
    ),
    "UntagResource": Asked(
        {"resourceArn": ARN, "tagKeys": ["k"]},
        resourceArn=ARN.replace("plain", "other"),
        tagKeys=["l"],
    ),
    "StartWorkflowExecution": Asked(
        STARTED,
        domain="other",
        workflowId="newer",
        workflowType__name="Nobody",
        workflowType__version="9",
        taskList__name="n",
        taskPriority=ABSENT,
        input=ABSENT,
        executionStartToCloseTimeout="61",
        tagList=["u"],
        taskStartToCloseTimeout="7",
        childPolicy="TERMINATE",
        lambdaRole=ABSENT,
    ),
    "SignalWorkflowExecution": _of_run(signalName=("s", "t"), input=("i", ABSENT)),
    "RequestCancelWorkflowExecution": _of_run(),
    "TerminateWorkflowExecution": _of_run(
        reason=("r", ABSENT), details=("d", ABSENT), childPolicy=("ABANDON", ABSENT)
    ),
    "DescribeWorkflowExecution": Asked(
        _history, domain="other", execution__workflowId="open-2", execution__runId="x"
    ),
    "GetWorkflowExecutionHistory": Asked(
        _history,
        domain="other",
        execution__workflowId="open-2",
        execution__runId="x",
        **_pages("GetWorkflowExecutionHistory", _history),
    ),
    "CountPendingActivityTasks": Asked(_waiting, domain="other", taskList__name="nothing"),
    "CountPendingDecisionTasks": Asked(
        {k: v for k, v in POLL.items() if k != "identity"}, domain="other", taskList__name="nothing"
    ),
    "PollForActivityTask": Asked(
        _waiting, domain="other", taskList__name="nothing", identity="you"
    ),
    "PollForDecisionTask": Asked(
        POLL,
        domain="other",
        taskList__name="nothing",
        identity="you",
        startAtPreviousStartedEvent=instead(_again, True),
        **_pages("PollForDecisionTask", POLL),
    ),
    "RecordActivityTaskHeartbeat": _answer(details=ABSENT),
    "RespondActivityTaskCompleted": _answer(result=ABSENT),
    "RespondActivityTaskFailed": _answer(reason=ABSENT, details=ABSENT),
    "RespondActivityTaskCanceled": Asked(_canceled, taskToken="another", details=ABSENT),
    "RespondDecisionTaskCompleted": Asked(
        _decided,
        taskToken="another",
        decisions=ABSENT,
        executionContext=ABSENT,
        taskList__name="else",
        taskListScheduleToStartTimeout="13",
    ),
}


def members(shape: Any, path: str = "") -> Iterator[str]:
    """The paths of all members of a request that hold a value."""
    for name, member in shape.members.items():
        inner = member.member if member.type_name == "list" else member
        here = f"{path}{name}"
        if inner.type_name == "structure" and inner.name != "Decision":
            yield from members(inner, f"{here}.")
        else:
            yield here


def changed(request: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """The request with another value there."""
    request = copy.deepcopy(request)
    *way, last = path.split(".")
    place = request
    for name in way:
        place = place.setdefault(name, {})
        place = place[0] if isinstance(place, list) else place
    if value is ABSENT:
        assert place.pop(last, None) is not None, "it was not there"
    else:
        assert place.get(last) != value
        place[last] = value
    return request


@pytest.mark.parametrize("operation", MODEL.operation_names)
def test_every_member_is_tried(operation):
    paths = set(members(MODEL.operation_model(operation).input_shape))
    assert paths == ASKED[operation].changes.keys()


@functools.cache
def said(operation: str, path: str, as_it_was: bool) -> str:
    """The answer to a request, and what is told afterwards."""
    asked = ASKED[operation]
    base, change = asked.base, asked.changes[path]
    if callable(change):
        base, change = change()
    world = Wider()
    try:
        request = base(world) if callable(base) else base
        if not as_it_was:
            request = changed(request, path, change)
        answer = world.ask(operation, request)
        if as_it_was:
            assert answer[0] == 200, answer
        return plainly([answer, world.told()])
    finally:
        world.close()


@pytest.mark.parametrize(
    ("operation", "path"),
    [(operation, path) for operation, asked in ASKED.items() for path in asked.changes],
)
def test_a_member_that_changes_changes_something(operation, path):
    assert said(operation, path, True) != said(operation, path, False)
