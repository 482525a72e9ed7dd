"""Plays a shape: calls at their times on a clock that moves, and the histories that must come of
them. Shapes are written by us; what they look like was recorded (SWF.md 7)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from swf_worker.local import ManualClock

DOMAIN = "plain"
Call = tuple[Any, ...]
"""Seconds since the beginning, the call's name, its arguments, the last of them by name."""
Event = tuple[str, float, dict[str, Any]]
"""Type, seconds since the beginning, attributes: all ids of events, and others as given."""


@dataclass(frozen=True)
class Shape:
    name: str
    source: str
    calls: list[Call]
    histories: dict[str, list[Event]]
    """By workflow id, the last run of each; ``workflow#1`` is its first run."""


@dataclass
class Player:
    swf: Any
    clock: ManualClock
    tokens: dict[str, str] = field(default_factory=dict)

    def play(self, calls: list[Call]) -> None:
        self.began = self.clock.now()
        for at, name, *arguments in calls:
            self.clock.advance(round(self.began + at - self.clock.now(), 3))
            given = arguments.pop() if arguments and isinstance(arguments[-1], dict) else {}
            getattr(self, name)(*arguments, **given)

    def start(self, workflow_id: str, **given: Any) -> None:
        given.setdefault("taskStartToCloseTimeout", "30")
        kind = {"name": "Flow", "version": "1"}
        self.swf.start_workflow_execution(
            domain=DOMAIN, workflowId=workflow_id, workflowType=kind, **given
        )

    def take_decision(self, task_list: str = "decide") -> None:
        task = self.swf.poll_for_decision_task(
            domain=DOMAIN, taskList={"name": task_list}, identity="decider"
        )
        self.tokens["decision"] = task["taskToken"]

    def decide(self, *decisions: tuple[str, dict[str, Any]], **given: Any) -> None:
        self.swf.respond_decision_task_completed(
            taskToken=self.tokens["decision"],
            decisions=[
                {"decisionType": kind, f"{kind[0].lower()}{kind[1:]}DecisionAttributes": attributes}
                for kind, attributes in decisions
            ],
            **given,
        )

    def take_activity(self) -> None:
        task = self.swf.poll_for_activity_task(
            domain=DOMAIN, taskList={"name": "work"}, identity="worker"
        )
        self.tokens[task["activityId"]] = task["taskToken"]

    def complete(self, activity_id: str, **given: Any) -> None:
        token = self.tokens[activity_id]
        self.swf.respond_activity_task_completed(taskToken=token, **given)

    def fail(self, activity_id: str, **given: Any) -> None:
        self.swf.respond_activity_task_failed(taskToken=self.tokens[activity_id], **given)

    def signal(self, workflow_id: str, name: str, **given: Any) -> None:
        self.swf.signal_workflow_execution(
            domain=DOMAIN, workflowId=workflow_id, signalName=name, **given
        )

    def request_cancel(self, workflow_id: str) -> None:
        self.swf.request_cancel_workflow_execution(domain=DOMAIN, workflowId=workflow_id)

    def terminate(self, workflow_id: str, **given: Any) -> None:
        self.swf.terminate_workflow_execution(domain=DOMAIN, workflowId=workflow_id, **given)

    def passing(self) -> None:
        """Only the time passes."""

    def history(self, workflow_id: str) -> list[dict[str, Any]]:
        name, _, number = workflow_id.partition("#")
        listed = []
        for listing in ("open", "closed"):
            call = getattr(self.swf, f"list_{listing}_workflow_executions")
            answer = call(
                domain=DOMAIN,
                startTimeFilter={"oldestDate": 0},
                executionFilter={"workflowId": name},
                reverseOrder=True,
            )
            listed += answer["executionInfos"]
        listed.sort(key=lambda info: (info["startTimestamp"], info["executionStatus"] == "OPEN"))
        chosen = listed[int(number) - 1 if number else -1]["execution"]
        return self.swf.get_workflow_execution_history(domain=DOMAIN, execution=chosen)["events"]

    def told(self, workflow_id: str, wanted: list[Event]) -> list[Event]:
        """The history, with what a shape says of each event."""
        found = []
        for number, event in enumerate(self.history(workflow_id)):
            assert event["eventId"] == number + 1
            kind = event["eventType"]
            attributes = event[f"{kind[0].lower()}{kind[1:]}EventAttributes"]
            asked = wanted[number][2] if number < len(wanted) else {}
            shown = {
                name: value
                for name, value in attributes.items()
                if name in asked or name.endswith("EventId")
            }
            at = round(event["eventTimestamp"].timestamp() - self.began, 3)
            found.append((kind, at, shown))
        return found
