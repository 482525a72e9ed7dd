"""Of every operation's answer each member of the model is told at some time, and nothing else: a
world in which all happens that can."""

from __future__ import annotations

import re
from typing import Any

from tests.local.test_every_member_counts import ASKED, OLD, Wider, changed, decision
from tests.local.world import FLOW, MODEL, WORK

NEVER_TOLD = re.compile("[lL]ambdaFunction.*EventAttributes|[rR]ecordMarkerFailed")
"""Lambda tasks aren't there, and markers fail by permissions alone."""


def of_answers(shape: Any, found: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """All members of a shape, as the names of structures and of their members."""
    for name, member in shape.members.items() if shape.type_name == "structure" else ():
        inner = member.member if member.type_name == "list" else member
        if (shape.name, name) not in found:
            found.add((shape.name, name))
            of_answers(inner, found)
    return found


def told_in(shape: Any, value: Any, found: set[tuple[str, str]]) -> None:
    if shape.type_name == "list":
        for each in value:
            told_in(shape.member, each, found)
    elif shape.type_name == "structure":
        for name in value.keys() & shape.members.keys():
            found.add((shape.name, name))
            told_in(shape.members[name], value[name], found)


class Everything(Wider):
    """Executions in which all happens that can."""

    def decide(self, task_list: str, *made: tuple[str, dict[str, Any]], **more: Any) -> str:
        """The next decision task of the list, and these decisions; returns the workflow's id."""
        task = self.call("PollForDecisionTask", domain="plain", taskList={"name": task_list})
        decisions = [decision(*each) for each in made]
        self.call(
            "RespondDecisionTaskCompleted",
            taskToken=task["taskToken"],
            decisions=decisions,
            **more,
        )
        return task["workflowExecution"]["workflowId"]

    def signal(self, workflow_id: str = "all") -> None:
        self.call("SignalWorkflowExecution", domain="plain", workflowId=workflow_id, signalName="s")

    def begins(self) -> None:
        own = {"taskList": {"name": "all"}, "taskPriority": "1", "lambdaRole": "arn:role"}
        self.start("all", **own, input="i", tagList=["t"])
        kid = {"workflowType": FLOW, "taskPriority": "1", "lambdaRole": "arn:role"}
        kid |= {
            "control": "c",
            "input": "i",
            "tagList": ["t"],
            "executionStartToCloseTimeout": "300",
        }
        kids = [
            (
                "StartChildWorkflowExecution",
                kid | {"workflowId": f"kid-{n}", "taskList": {"name": f"kid-{n}"}},
            )
            for n in range(5)
        ]
        work = {"activityType": WORK, "input": "i", "control": "c", "taskPriority": "1"}
        works = [
            (
                "ScheduleActivityTask",
                work
                | {
                    "activityId": f"work-{n}",
                    "taskList": {"name": "works"},
                    "heartbeatTimeout": "20",
                },
            )
            for n in range(4)
        ]
        external = {"runId": self.runs["open"], "workflowId": "open", "control": "c"}
        nobody = external | {"workflowId": "nobody"}
        self.decide(
            "all",
            *kids,
            *works,
            ("StartTimer", {"timerId": "t", "startToFireTimeout": "10", "control": "c"}),
            ("StartTimer", {"timerId": "t", "startToFireTimeout": "10"}),
            ("StartTimer", {"timerId": "u", "startToFireTimeout": "10"}),
            ("CancelTimer", {"timerId": "u"}),
            ("CancelTimer", {"timerId": "u"}),
            ("RecordMarker", {"markerName": "m", "details": "d"}),
            ("ScheduleActivityTask", {"activityId": "x", "activityType": OLD}),
            ("RequestCancelActivityTask", {"activityId": "x"}),
            ("StartChildWorkflowExecution", kid | {"workflowId": "x", "workflowType": OLD}),
            *(
                each
                for target in (external, nobody)
                for each in (
                    ("RequestCancelExternalWorkflowExecution", target),
                    ("SignalExternalWorkflowExecution", target | {"signalName": "s", "input": "i"}),
                )
            ),
            executionContext="c",
            taskList={"name": "all"},
            taskListScheduleToStartTimeout="300",
        )

    def works(self) -> None:
        """Activities end in each way."""
        polled = {"domain": "plain", "taskList": {"name": "works"}, "identity": "me"}
        tokens = [self.call("PollForActivityTask", **polled)["taskToken"] for _ in range(4)]
        self.decide("all", ("RequestCancelActivityTask", {"activityId": "work-0"}))
        self.call("RespondActivityTaskCanceled", taskToken=tokens[0], details="d")
        self.call("RespondActivityTaskCompleted", taskToken=tokens[1], result="r")
        self.call("RespondActivityTaskFailed", taskToken=tokens[2], reason="r", details="d")
        self.call("RecordActivityTaskHeartbeat", taskToken=tokens[3], details="d")

    def kids_end(self) -> None:
        """Children end in each way; the last one times out."""
        self.decide("kid-0", ("CompleteWorkflowExecution", {"result": "r"}))
        self.decide("kid-1", ("FailWorkflowExecution", {"reason": "r", "details": "d"}))
        self.decide("kid-2", ("CancelWorkflowExecution", {"details": "d"}))
        self.call(
            "TerminateWorkflowExecution",
            domain="plain",
            workflowId="kid-3",
            reason="r",
            details="d",
        )

    def cannot_close(self) -> None:
        """What came meanwhile keeps an execution open."""
        closing = ("Complete", "Fail", "Cancel", "ContinueAsNew")
        for kind in closing:
            asked = {"domain": "plain", "taskList": {"name": "all"}, "identity": "me"}
            self.signal()
            token = self.call("PollForDecisionTask", **asked)["taskToken"]
            self.signal()
            made = [decision(f"{kind}WorkflowExecution", {})]
            self.call("RespondDecisionTaskCompleted", taskToken=token, decisions=made)

    def goes_on(self) -> None:
        own = {"taskList": {"name": "all"}, "taskPriority": "1", "lambdaRole": "arn:role"}
        more = {"input": "i", "tagList": ["t"], "childPolicy": "REQUEST_CANCEL"}
        self.decide("all", ("ContinueAsNewWorkflowExecution", own | more))
        child = {"workflowId": "asked", "workflowType": FLOW, "taskList": {"name": "asked"}}
        self.decide("all", ("StartChildWorkflowExecution", child))
        self.call("TerminateWorkflowExecution", domain="plain", workflowId="all", reason="r")


def answers() -> list[tuple[str, Any]]:
    """What all operations say, in worlds where all happens."""
    world, found = Everything(), []
    world.begins()
    world.works()
    world.kids_end()
    world.clock.advance(30)
    world.cannot_close()
    world.clock.advance(300)
    world.goes_on()
    world.told()
    world.close()
    found += world.answers
    for operation, asked in ASKED.items():
        bases = [
            asked.base,
            *(change()[0] for change in asked.changes.values() if callable(change)),
        ]
        for base in bases:
            wider = Wider()
            wider.ask(operation, base(wider) if callable(base) else base)
            wider.told()
            wider.close()
            found += wider.answers
        for path in ("maximumPageSize", "registrationStatus"):
            if path in asked.changes:
                wider = Wider()
                base = asked.base(wider) if callable(asked.base) else asked.base
                wider.ask(operation, changed(base, path, asked.changes[path]))
                wider.close()
                found += wider.answers
    return found


def test_every_member_of_an_answer_is_told_at_some_time():
    wanted: set[tuple[str, str]] = set()
    found: set[tuple[str, str]] = set()
    shapes = {name: MODEL.operation_model(name).output_shape for name in MODEL.operation_names}
    for shape in filter(None, shapes.values()):
        of_answers(shape, wanted)
    for operation, answer in answers():
        if shape := shapes[operation]:
            told_in(shape, answer, found)
    missing = {
        f"{shape}.{name}"
        for shape, name in wanted - found
        if not NEVER_TOLD.search(f"{shape} {name}")
    }
    assert not missing
    assert not [each for each in found if NEVER_TOLD.search(" ".join(each))]
