"""A small world in a local SWF without its socket, and what the model says of requests and answers:
odd members for the first, a check of the second."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

from swf_worker.local import ManualClock, validation
from swf_worker.local.backend import LocalBackend
from swf_worker.local.operations import answering

MODEL = validation.swf_model()
ARN = "arn:aws:swf:us-east-1:123456789012:/domain/plain"
FLOW, WORK = ({"name": name, "version": "1"} for name in ("Flow", "Work"))


class World:
    """A domain with types, an open execution with an open activity, a closed one, and their
    tokens."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.answers: list[tuple[str, Any]] = []
        self.backend = LocalBackend(self.clock, poll_hold=0)
        self.call(
            "RegisterDomain",
            name="plain",
            workflowExecutionRetentionPeriodInDays="1",
            tags=[{"key": "k", "value": "v"}],
        )
        never = dict.fromkeys(
            (
                "defaultTaskHeartbeatTimeout",
                "defaultTaskScheduleToCloseTimeout",
                "defaultTaskScheduleToStartTimeout",
                "defaultTaskStartToCloseTimeout",
            ),
            "NONE",
        )
        self.call(
            "RegisterActivityType", domain="plain", **WORK, **never, defaultTaskList={"name": "l"}
        )
        self.call(
            "RegisterWorkflowType",
            domain="plain",
            **FLOW,
            defaultTaskList={"name": "l"},
            defaultChildPolicy="TERMINATE",
            defaultTaskStartToCloseTimeout="60",
            defaultExecutionStartToCloseTimeout="600",
        )
        self.runs = {name: self.start(name) for name in ("closed", "open")}
        self.call("TerminateWorkflowExecution", domain="plain", workflowId="closed")
        polled = {"domain": "plain", "taskList": {"name": "l"}}
        first = self.call("PollForDecisionTask", **polled)["taskToken"]
        schedule = {"activityId": "a", "activityType": WORK, "heartbeatTimeout": "30"}
        self.call(
            "RespondDecisionTaskCompleted",
            taskToken=first,
            decisions=[
                {
                    "decisionType": "ScheduleActivityTask",
                    "scheduleActivityTaskDecisionAttributes": schedule,
                }
            ],
        )
        self.call("SignalWorkflowExecution", domain="plain", workflowId="open", signalName="s")
        self.activity_token = self.call("PollForActivityTask", **polled)["taskToken"]
        self.decision_token = self.call("PollForDecisionTask", **polled)["taskToken"]

    def start(self, workflow_id: str, **given: Any) -> str:
        answer = self.call(
            "StartWorkflowExecution",
            domain="plain",
            workflowId=workflow_id,
            workflowType=FLOW,
            **given,
        )
        return answer["runId"]

    def call(self, operation: str, **members: Any) -> dict[str, Any]:
        """What the operation says; it has to be accepted."""
        status, answer = self.ask(operation, members)
        assert status == 200, answer
        return answer

    def ask(self, operation: str, members: Any) -> tuple[int, dict[str, Any]]:
        status, text = answering.answer(
            self.backend, f"SimpleWorkflowService.{operation}", json.dumps(members).encode()
        )
        answer = json.loads(text or "{}")
        if status == 200:
            self.answers.append((operation, answer))
        return status, answer

    def close(self) -> None:
        self.backend.close()


# --- odd requests -------------------------------------------------------------------------------

TOKENS = st.sampled_from(["the activity", "the decision"])
"""Stand for those of the world."""
KNOWN: dict[str, st.SearchStrategy[Any]] = {
    "DomainName": st.sampled_from(["plain", "plain", "plain", "new"]),
    "Name": st.sampled_from(["Work", "Flow", "l"]),
    "ActivityType": st.just(WORK),
    "WorkflowType": st.just(FLOW),
    "Version": st.just("1"),
    "VersionOptional": st.sampled_from(["", "1"]),
    "TaskToken": TOKENS,
    "WorkflowId": st.sampled_from(["open", "closed", "new"]),
    "WorkflowRunId": st.sampled_from(["the open run", "the closed run"]),
    "WorkflowRunIdOptional": st.sampled_from(["", "the open run", "the closed run"]),
    "ActivityId": st.sampled_from(["a", "b"]),
    "DurationInDays": st.just("1"),
    "DurationInSeconds": st.sampled_from(["0", "1", "60"]),
    "DurationInSecondsOptional": st.sampled_from(["", "1", "NONE"]),
    "TaskPriority": st.sampled_from(["0", "-5", "7"]),
    "Arn": st.just(ARN),
    "PageToken": st.sampled_from(["", "x", "AAAA"]),
    "PageSize": st.integers(0, 3),
    "Timestamp": st.sampled_from([0, 1_700_000_000, 1.5, 2e9]),
}
ODD = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["\ud800", "x" * 40_000, "NONE", "-1", "\u00b2", "1e3", 10**400, [], {}])
    | st.lists(st.integers(), max_size=2)
    | st.dictionaries(st.sampled_from(["name", "version", "tag"]), st.integers(), max_size=2)
)


def requests(shape: Any) -> st.SearchStrategy[Any]:
    """Values for a shape, nearly all of them as it wants them, and some that are odd."""
    # one part in forty is odd: a request has to get past the first check, too
    return st.integers(0, 39).flatmap(lambda dice: ODD if dice == 0 else _as_wanted(shape))


def _as_wanted(shape: Any) -> st.SearchStrategy[Any]:
    if shape.name in KNOWN:
        return KNOWN[shape.name]
    match shape.type_name:
        case "structure":
            members = {name: requests(member) for name, member in shape.members.items()}
            needed = {name: members.pop(name) for name in shape.required_members}
            if shape.name == "Decision":
                return st.sampled_from(shape.members["decisionType"].enum).flatmap(_decision)
            return st.fixed_dictionaries(needed, optional=members)
        case "list":
            return st.lists(requests(shape.member), max_size=3)
        case "boolean":
            return st.booleans()
        case "integer" | "long":
            return st.integers(0, 5)
    enum = getattr(shape, "enum", None)
    return st.sampled_from(enum) if enum else st.sampled_from(["", "x", "some text"])


def _decision(kind: str) -> st.SearchStrategy[Any]:
    attributes = f"{kind[0].lower()}{kind[1:]}DecisionAttributes"
    shape = MODEL.shape_for("Decision").members[attributes]
    return st.fixed_dictionaries(
        {"decisionType": st.just(kind)}, optional={attributes: requests(shape)}
    )


def settled(world: World, value: Any) -> Any:
    """With the world's own tokens and runs in the place of what stands for them."""
    if isinstance(value, dict):
        return {name: settled(world, each) for name, each in value.items()}
    if isinstance(value, list):
        return [settled(world, each) for each in value]
    own = {
        "the activity": world.activity_token,
        "the decision": world.decision_token,
        "the open run": world.runs["open"],
        "the closed run": world.runs["closed"],
    }
    return own.get(value, value) if isinstance(value, str) else value


# --- answers ------------------------------------------------------------------------------------


def flaws(shape: Any, value: Any, path: str = "") -> Iterator[str]:
    """Where an answer isn't what the model says: unknown members, absent ones, wrong types."""
    kinds = {"structure": dict, "list": list, "string": str, "boolean": bool, "integer": int}
    kind = kinds.get(shape.type_name, (int, float))
    if not isinstance(value, kind):
        yield f"{path}: {value!r} is no {shape.type_name}"
    elif shape.type_name == "structure":
        yield from (f"{path}.{name} is unknown" for name in value.keys() - shape.members.keys())
        yield from (f"{path}.{name} is absent" for name in set(shape.required_members) - {*value})
        for name in value.keys() & shape.members.keys():
            yield from flaws(shape.members[name], value[name], f"{path}.{name}")
    elif shape.type_name == "list":
        for each in value:
            yield from flaws(shape.member, each, f"{path}[]")
    elif (enum := getattr(shape, "enum", None)) and value not in enum:
        yield f"{path}: {value!r} is none of {enum}"
