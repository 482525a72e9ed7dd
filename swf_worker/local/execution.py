"""moto's workflow executions and domains, completed: events on the local clock, decision tasks that
time out, nothing handed out once an execution is closed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from moto.swf.models import HistoryEvent, WorkflowExecution
from moto.swf.models.domain import Domain

from .history import LocalHistoryEvent
from .tasks import NONE, LocalActivityTask, LocalDecisionTask


class Host(Protocol):
    """What executions need of the service that they are in."""

    def now(self) -> float: ...
    def call_later(self, delay: float, function: Callable[[float], object], /) -> object: ...
    def note_change(self, execution: LocalExecution, /) -> None: ...
    def offer_activity(self, task: LocalActivityTask, /) -> None: ...
    def offer_decision(self, execution: LocalExecution, /) -> None: ...


class LocalExecution(WorkflowExecution):
    """A workflow execution. What decisions do to it is in ``decisions.py``, ``activities.py`` and
    ``timers.py``."""

    domain: LocalDomain

    def __init__(self, backend: Host, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.backend = backend
        self.open_activities: dict[str, LocalActivityTask] = {}
        self.scheduled_decision: LocalDecisionTask | None = None
        self.started_decision: LocalDecisionTask | None = None
        self.timers: dict[str, int] = {}
        self._previous_started_event_id = 0
        self.should_schedule_decision_next = False

    # --- events ---------------------------------------------------------------------------------

    def add_event(self, event_type: str, **members: Any) -> HistoryEvent:
        """Add an event to the history, now or at its ``event_timestamp``."""
        at = members.pop("event_timestamp", None) or self.backend.now()
        event = LocalHistoryEvent(len(self._events) + 1, event_type, at, **members)
        self._events.append(event)
        self.backend.note_change(self)
        return event

    _add_event = add_event  # moto's own methods call it so

    def start(self) -> None:
        """Record the start, arm the execution's timeout, schedule the first decision."""
        self.start_timestamp = self.backend.now()
        self.add_event(
            "WorkflowExecutionStarted",
            child_policy=self.child_policy,
            execution_start_to_close_timeout=self.execution_start_to_close_timeout,
            parent_initiated_event_id=0,
            task_list=self.task_list,
            task_start_to_close_timeout=self.task_start_to_close_timeout,
            workflow_type=self.workflow_type,
            tag_list=self.tag_list or None,
            input=self.input,
        )
        if self.execution_start_to_close_timeout != NONE:
            self.backend.call_later(float(self.execution_start_to_close_timeout), self._time_out)
        self.schedule_decision_task()

    def _time_out(self, at: float) -> None:
        if not self.open:
            return
        self.add_event(
            "WorkflowExecutionTimedOut",
            child_policy=self.child_policy,
            timeout_type="START_TO_CLOSE",
            event_timestamp=at,
        )
        self.timeout_type = "START_TO_CLOSE"
        self.close("TIMED_OUT")

    def close(self, status: str) -> None:
        """Hand out nothing any more."""
        self.execution_status = "CLOSED"
        self.close_status = status
        self.close_timestamp = self.backend.now()
        self.open_counts["openActivityTasks"] = 0
        self.open_counts["openDecisionTasks"] = 0
        self.open_activities.clear()
        self.scheduled_decision = self.started_decision = None
        self.backend.note_change(self)

    # --- decision tasks -------------------------------------------------------------------------

    def schedule_decision_task(self) -> None:
        """One decision task more, unless one waits already: it will see all events anyway."""
        if not self.open or self.scheduled_decision is not None:
            return
        event = self.add_event(
            "DecisionTaskScheduled",
            start_to_close_timeout=self.task_start_to_close_timeout,
            task_list=self.task_list,
        )
        self.scheduled_decision = LocalDecisionTask(self, event.event_id)
        self.open_counts["openDecisionTasks"] += 1
        self.backend.offer_decision(self)

    def begin_decision(self, identity: str | None) -> LocalDecisionTask:
        """Hand out the waiting decision task."""
        task = self.scheduled_decision
        assert task is not None
        event = self.add_event(
            "DecisionTaskStarted", scheduled_event_id=task.scheduled_event_id, identity=identity
        )
        task.start(event.event_id, self._previous_started_event_id)
        self._previous_started_event_id = event.event_id
        self.scheduled_decision, self.started_decision = None, task
        if task.start_to_close_timeout != NONE:
            self.backend.call_later(
                float(task.start_to_close_timeout), lambda at: self._decision_timed_out(task, at)
            )
        return task

    def _decision_timed_out(self, task: LocalDecisionTask, at: float) -> None:
        if self.started_decision is not task:
            return
        task.state, task.timeout_type = "TIMED_OUT", "START_TO_CLOSE"
        self.end_decision()
        self.add_event(
            "DecisionTaskTimedOut",
            event_timestamp=at,
            scheduled_event_id=task.scheduled_event_id,
            started_event_id=task.started_event_id,
            timeout_type="START_TO_CLOSE",
        )
        self.schedule_decision_task()
        self.backend.offer_decision(self)

    def end_decision(self) -> None:
        """The decision task that was handed out is over."""
        self.started_decision = None
        self.open_counts["openDecisionTasks"] -= 1

    # --- from outside ---------------------------------------------------------------------------

    def terminate(
        self, child_policy: str | None = None, details: Any = None, reason: str | None = None
    ) -> None:
        """TerminateWorkflowExecution."""
        super().terminate(child_policy=child_policy, details=details, reason=reason)
        self.close("TERMINATED")

    def request_cancel(self) -> None:
        """RequestCancelWorkflowExecution: the decider is told, and decides."""
        self.cancel_requested = True
        self.add_event("WorkflowExecutionCancelRequested", external_initiated_event_id=0)
        self.schedule_decision_task()


class LocalDomain(Domain):
    """A domain that finds its executions without a search."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.open_by_id: dict[str, LocalExecution] = {}

    def add_workflow_execution(self, workflow_execution: Any) -> None:
        """Add one; a second open one with the same id is a fault."""
        before = self.open_by_id.get(workflow_execution.workflow_id)
        if before is not None and before.open:
            super().add_workflow_execution(workflow_execution)  # raises SWF's fault
        self.workflow_executions.append(workflow_execution)
        self.open_by_id[workflow_execution.workflow_id] = workflow_execution
