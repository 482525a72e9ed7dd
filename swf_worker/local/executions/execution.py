"""A domain, its workflow executions and their tasks: what they are. How they begin and end is told
in the files beside it."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

from .. import faults
from ..registry import RegisteredType, in_words
from .history import Event

NONE = "NONE"
MAX_EVENTS = 25_000
"""Of a history, more or less: then SWF terminates the execution."""


class Host(Protocol):
    """What executions need of the service that they are in."""

    def now(self) -> float: ...
    def one_moment(self) -> AbstractContextManager[None]: ...
    def call_later(self, delay: float, function: Callable[[], None], /) -> None: ...
    def note_change(self) -> None: ...
    def history_is_full(self, execution: Execution, /) -> None: ...
    def offer_activity(self, task: ActivityTask, /) -> None: ...
    def offer_decision(self, task: DecisionTask, /) -> None: ...


@dataclass(slots=True, eq=False)
class ActivityTask:
    """An activity task. ``timeouts`` are durations in seconds, as text, or NONE."""

    execution: Execution
    activity_id: str
    activity_type: dict[str, str]
    input: str | None
    task_list: str
    priority: int
    timeouts: dict[str, str]
    scheduled_event_id: int
    state: str = "SCHEDULED"
    started_event_id: int = 0
    task_token: str = ""
    heartbeats: int = 0
    last_heartbeat: float = 0.0
    details: str | None = None
    cancel_requested_event_id: int | None = None

    @property
    def open(self) -> bool:
        """Whether it is scheduled or started, in an open execution."""
        return self.state in ("SCHEDULED", "STARTED") and self.execution.open

    @property
    def wanted(self) -> bool:
        """Whether it waits to be handed out."""
        return self.state == "SCHEDULED" and self.execution.open

    def seconds(self, timeout: str) -> float | None:
        """One of its timeouts, None for NONE."""
        value = self.timeouts[timeout]
        return None if value == NONE else float(value)


@dataclass(slots=True, eq=False)
class DecisionTask:
    """A decision task: of a history up to its start, in the task list that held at its
    scheduling."""

    execution: Execution
    scheduled_event_id: int
    task_list: str
    schedule_to_start: str
    priority: int
    started_event_id: int = 0
    previous_started_event_id: int = 0

    @property
    def wanted(self) -> bool:
        """Whether it waits to be handed out."""
        return self.execution.open and self.execution.scheduled_decision is self


@dataclass(slots=True, eq=False)
class Parent:
    """Where a child execution comes from."""

    execution: Execution
    initiated_event_id: int
    started_event_id: int = 0


@dataclass(slots=True)
class TaskListOverride:
    """What a decider said of the task list of the decisions to come."""

    name: str
    schedule_to_start: str


@dataclass(slots=True, eq=False)
class Execution:
    """A workflow execution. ``configuration`` is what it was started with, as it is on the wire:
    timeouts, task list, child policy, and where given priority and role."""

    host: Host
    domain: LocalDomain
    workflow_id: str
    run_id: str
    workflow_type: dict[str, str]
    configuration: dict[str, Any]
    tag_list: list[str]
    parent: Parent | None
    start_timestamp: float
    number: int = 0
    """In the order of the domain's starts."""
    close_timestamp: float | None = None
    close_status: str | None = None
    cancel_requested: bool = False
    latest_execution_context: str | None = None
    latest_activity_task_timestamp: float | None = None
    events: list[Event] = field(default_factory=list)
    # what is open; it stays as it was when the execution closes
    activities: dict[str, ActivityTask] = field(default_factory=dict)
    timers: dict[str, int] = field(default_factory=dict)
    children: dict[int, Execution | None] = field(default_factory=dict)
    """By their Initiated events; None while they are being started."""
    scheduled_decision: DecisionTask | None = None
    started_decision: DecisionTask | None = None
    # what decisions leave
    override: TaskListOverride | None = None
    previous_started_event_id: int = 0
    in_batch: bool = False
    decision_wanted: bool = False
    after_batch: list[Callable[[], None]] = field(default_factory=list)

    first_activity: ActivityTask | None = None
    """The first that was scheduled, open or not."""

    @property
    def open(self) -> bool:
        return self.close_status is None

    @property
    def key(self) -> dict[str, str]:
        """Its ids, as they are on the wire."""
        return {"workflowId": self.workflow_id, "runId": self.run_id}

    @property
    def priority(self) -> int:
        """The priority of its decision tasks."""
        return int(self.configuration.get("taskPriority") or 0)

    def add_event(self, kind: str, **attributes: Any) -> int:
        """Add an event, with those of the attributes that aren't None; returns its id."""
        given = {name: value for name, value in attributes.items() if value is not None}
        event = Event(len(self.events) + 1, kind, self.host.now(), given)
        self.events.append(event)
        self.host.note_change()
        if event.id == MAX_EVENTS:
            self.host.history_is_full(self)
        return event.id


class LocalDomain:
    """A domain: its types, its tags, its executions, each found without a search."""

    def __init__(self, name: str, retention: str, description: str | None) -> None:
        self.name = name
        self.retention = retention
        self.description = description
        self.deprecated = False
        self.tags: dict[str, str] = {}
        self.types: dict[tuple[str, str, str], RegisteredType] = {}
        """By kind, name and version."""
        self.numbers = itertools.count()
        """Of its types, in the order of their registrations."""
        self.executions: list[Execution] = []
        """In the order of their starts."""
        self._runs: dict[tuple[str, str], Execution] = {}
        self._open: dict[str, Execution] = {}

    def type(self, kind: str, name: str, version: str) -> RegisteredType:
        """A type; UnknownResourceFault where there is none."""
        found = self.types.get((kind, name, version))
        if found is None:
            raise faults.unknown_type(in_words(kind, name, version))
        return found

    def add(self, execution: Execution) -> None:
        """Add one; nothing with its workflow id may be open."""
        execution.number = len(self.executions)
        self.executions.append(execution)
        self._runs[execution.workflow_id, execution.run_id] = execution
        self._open[execution.workflow_id] = execution

    def is_open(self, workflow_id: str) -> bool:
        """Whether an execution with this id is open."""
        return workflow_id in self._open

    @property
    def open_count(self) -> int:
        """How many are open."""
        return len(self._open)

    def closed(self, execution: Execution) -> None:
        """It has closed: its id is free."""
        del self._open[execution.workflow_id]

    def find(self, workflow_id: str, run_id: str) -> Execution:
        """One run, open or closed; UnknownResourceFault where there is none."""
        found = self._runs.get((workflow_id, run_id))
        if found is None:
            raise faults.unknown_execution(workflow_id, run_id)
        return found

    def find_open(self, workflow_id: str, run_id: str | None = None) -> Execution:
        """The open execution with this id, which has to be this run where one is given."""
        found = self._open.get(workflow_id)
        if found is not None and run_id in (None, "", found.run_id):
            return found
        if run_id:
            raise faults.unknown_execution(workflow_id, run_id)
        raise faults.unknown_open_execution(workflow_id)
