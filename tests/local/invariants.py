"""What holds of every history, whoever did what at the same time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

ENDS = ("Completed", "Failed", "Canceled", "TimedOut", "Terminated")


class Walk:
    """Walks a history, and collects what is wrong with it and what is open at its end."""

    def __init__(self, events: list[dict[str, Any]], others: dict[str, list[dict[str, Any]]]):
        self.others = others
        self.flaws: list[str] = []
        self.waiting: int | None = None
        self.started: tuple[int, int] | None = None
        self.activities: dict[int, tuple[str, int]] = {}
        self.timers: dict[int, str] = {}
        self.children: dict[int, int] = {}
        self.kinds: dict[int, str] = {}
        if [event["eventId"] for event in events] != list(range(1, len(events) + 1)):
            self.flaws.append("ids are not contiguous")
        times = [event["eventTimestamp"] for event in events]
        if times != sorted(times):
            self.flaws.append("times go back")
        for event in events:
            kind = event["eventType"]
            told = event.get(f"{kind[0].lower()}{kind[1:]}EventAttributes", {})
            self.kinds[event["eventId"]] = kind
            self.flaws += [f"{event['eventId']} {kind}: {flaw}" for flaw in self.step(event, told)]
        self.open = (
            len(self.activities),
            len(self.timers),
            int(self.waiting is not None or self.started is not None),
            len(self.children),
        )

    def step(self, event: dict[str, Any], told: dict[str, Any]) -> Iterator[str]:
        kind, number = event["eventType"], event["eventId"]
        cause = told.get("decisionTaskCompletedEventId")
        if cause is not None and self.kinds.get(cause) != "DecisionTaskCompleted":
            yield "its decision task is none"
        if kind.startswith("DecisionTask"):
            yield from self.decision(kind.removeprefix("DecisionTask"), number, told)
        elif kind.startswith("ActivityTask"):
            yield from self.activity(kind.removeprefix("ActivityTask"), number, told)
        elif kind == "TimerStarted":
            if told["timerId"] in self.timers.values():
                yield "its id is in use"
            self.timers[number] = told["timerId"]
        elif kind in ("TimerFired", "TimerCanceled"):
            if self.timers.pop(told["startedEventId"], None) != told["timerId"]:
                yield "no such timer"
        elif kind == "StartChildWorkflowExecutionInitiated":
            self.children[number] = 0
        elif kind == "StartChildWorkflowExecutionFailed":
            self.children.pop(told["initiatedEventId"], None)
        elif kind.startswith("ChildWorkflowExecution"):
            yield from self.child(kind.removeprefix("Child"), number, told)
        elif told.get("externalInitiatedEventId"):
            run = told["externalWorkflowExecution"]["runId"]
            sent = self.others[run][told["externalInitiatedEventId"] - 1]["eventType"]
            if not sent.endswith("Initiated"):
                yield f"sent by {sent}"

    def decision(self, what: str, number: int, told: dict[str, Any]) -> Iterator[str]:
        if what == "Scheduled":
            if self.waiting is not None:
                yield "one waits already"
            self.waiting = number
        elif what == "Started":
            if self.started is not None or told["scheduledEventId"] != self.waiting:
                yield "not the one that waits"
            self.started, self.waiting = (told["scheduledEventId"], number), None
        else:
            if self.started != (told["scheduledEventId"], told["startedEventId"]):
                yield "not the one that was started"
            self.started = None

    def activity(self, what: str, number: int, told: dict[str, Any]) -> Iterator[str]:
        if what == "Scheduled":
            if told["activityId"] in [name for name, _ in self.activities.values()]:
                yield "its id is in use"
            self.activities[number] = told["activityId"], 0
        elif what == "Started":
            name, begun = self.activities[told["scheduledEventId"]]
            if begun:
                yield "handed out twice"
            self.activities[told["scheduledEventId"]] = name, number
        elif what in ENDS:
            _, begun = self.activities.pop(told["scheduledEventId"], ("", -1))
            if begun != told["startedEventId"]:
                yield "not the one that was started"

    def child(self, kind: str, number: int, told: dict[str, Any]) -> Iterator[str]:
        initiated = told["initiatedEventId"]
        if kind == "WorkflowExecutionStarted":
            self.children[initiated] = number
        else:
            if self.children.pop(initiated, None) != told["startedEventId"]:
                yield "not the one that was started"
            last = self.others[told["workflowExecution"]["runId"]][-1]["eventType"]
            if last != kind:
                yield f"the child's last event is {last}"
