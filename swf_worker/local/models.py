"""moto's SWF models, completed: tasks, executions and events that can be canceled, that time out
in all four ways, and that know the local clock."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from moto.core.utils import underscores_to_camelcase
from moto.swf.models import (
    ActivityTask,
    ActivityType,
    DecisionTask,
    HistoryEvent,
    WorkflowExecution,
)
from moto.swf.models.domain import Domain

from . import faults

if TYPE_CHECKING:
    from .backend import LocalBackend

NONE = "NONE"
MAX_OPEN_ACTIVITIES = 1_000
_TIMEOUTS = (
    ("scheduleToStartTimeout", "DEFAULT_SCHEDULE_TO_START_TIMEOUT_UNDEFINED"),
    ("scheduleToCloseTimeout", "DEFAULT_SCHEDULE_TO_CLOSE_TIMEOUT_UNDEFINED"),
    ("startToCloseTimeout", "DEFAULT_START_TO_CLOSE_TIMEOUT_UNDEFINED"),
    ("heartbeatTimeout", "DEFAULT_HEARTBEAT_TIMEOUT_UNDEFINED"),
)


class LocalHistoryEvent(HistoryEvent):
    """Any event type, with the members that are 0 or "" kept (moto's drops them)."""

    def __init__(self, event_id: int, event_type: str, at: float, **members: Any) -> None:
        self.event_id = event_id
        self.event_type = event_type
        self.event_timestamp = at
        self.event_attributes = {
            underscores_to_camelcase(name): _wire(name, value)
            for name, value in members.items()
            if value is not None
        }


def _wire(name: str, value: Any) -> Any:
    if name == "task_list":
        return {"name": value}
    if name in ("workflow_type", "activity_type"):
        return {"name": value.name, "version": value.version}
    return value


class LocalActivityTask(ActivityTask):
    """An activity task that can be canceled and times out in all four ways."""

    def __init__(self, *, task_list: str, priority: int, now: float, **given: Any) -> None:
        super().__init__(**given)
        self.task_list = task_list
        self.priority = priority
        self.scheduled_timestamp = now
        self.last_heartbeat_timestamp = now
        self.heartbeats = 0
        self.cancel_requested_event_id: int | None = None

    def seconds(self, timeout: str) -> float | None:
        """One of its timeouts, None for NONE."""
        value = self.timeouts[timeout]
        return None if value == NONE else float(value)


class LocalDecisionTask(DecisionTask):
    """A decision task, on the local clock."""


class LocalExecution(WorkflowExecution):
    """A workflow execution whose activities can be canceled, and which hands out nothing once it
    is closed."""

    domain: LocalDomain

    def __init__(self, backend: LocalBackend, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.backend = backend
        self.open_activities: dict[str, LocalActivityTask] = {}
        self.scheduled_decision: LocalDecisionTask | None = None
        self.started_decision: LocalDecisionTask | None = None
        self.timers: dict[str, int] = {}
        self._previous_started_event_id: int | None = None
        self.should_schedule_decision_next = False

    # --- events ---------------------------------------------------------------------------------

    def _add_event(self, event_type: str, **members: Any) -> HistoryEvent:
        at = members.pop("event_timestamp", None) or self.backend.now()
        event = LocalHistoryEvent(len(self._events) + 1, event_type, at, **members)
        self._events.append(event)
        self.backend.note_change(self)
        return event

    def start(self) -> None:
        """Record the start, arm the execution's timeout, schedule the first decision."""
        self.start_timestamp = self.backend.now()
        self._add_event(
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
        self._add_event(
            "WorkflowExecutionTimedOut",
            child_policy=self.child_policy,
            timeout_type="START_TO_CLOSE",
            event_timestamp=at,
        )
        self.timeout_type = "START_TO_CLOSE"
        self._close("TIMED_OUT")

    def _close(self, status: str) -> None:
        self.execution_status = "CLOSED"
        self.close_status = status
        self.close_timestamp = self.backend.now()
        self.open_counts["openActivityTasks"] = 0
        self.open_counts["openDecisionTasks"] = 0
        self.open_activities.clear()
        self.scheduled_decision = self.started_decision = None
        self.backend.note_change(self)

    # --- decisions ------------------------------------------------------------------------------

    def schedule_decision_task(self) -> None:
        """One decision task more, unless one waits already: it will see all events anyway."""
        if not self.open or self.scheduled_decision is not None:
            return
        event = self._add_event(
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
        event = self._add_event(
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
        self._end_decision()
        self._add_event(
            "DecisionTaskTimedOut",
            event_timestamp=at,
            scheduled_event_id=task.scheduled_event_id,
            started_event_id=task.started_event_id,
            timeout_type="START_TO_CLOSE",
        )
        self.schedule_decision_task()
        self.backend.offer_decision(self)

    def _end_decision(self) -> None:
        self.started_decision = None
        self.open_counts["openDecisionTasks"] -= 1

    def complete_decision(
        self, task: LocalDecisionTask, decisions: list[dict[str, Any]], context: str | None
    ) -> None:
        """Take a decider's decisions, all or none."""
        self.validate_decisions(decisions)
        for decision in decisions:
            if decision["decisionType"] not in self._decisions():
                raise faults.not_implemented(f"the decision {decision['decisionType']}")
        task.state = "COMPLETED"
        self._end_decision()
        event = self._add_event(
            "DecisionTaskCompleted",
            scheduled_event_id=task.scheduled_event_id,
            started_event_id=task.started_event_id,
            execution_context=context,
        )
        self.latest_execution_context = context
        self.should_schedule_decision_next = False
        self.handle_decisions(event.event_id, decisions)
        if self.open and self.should_schedule_decision_next:
            self.schedule_decision_task()
        if self.open:
            self.backend.offer_decision(self)

    def handle_decisions(self, event_id: int, decisions: list[dict[str, Any]]) -> None:
        """Perform them in order."""
        known = self._decisions()
        for decision in decisions:
            kind = decision["decisionType"]
            key = f"{kind[0].lower()}{kind[1:]}DecisionAttributes"
            known[kind](event_id, decision.get(key) or {})

    def _decisions(self) -> dict[str, Callable[[int, dict[str, Any]], None]]:
        return {
            "ScheduleActivityTask": self.schedule_activity_task,
            "RequestCancelActivityTask": self._request_cancel_activity,
            "CompleteWorkflowExecution": self._complete,
            "FailWorkflowExecution": self._fail,
            "CancelWorkflowExecution": self._cancel,
            "RecordMarker": self._record_marker,
            "StartTimer": self._start_timer,
            "CancelTimer": self._cancel_timer,
        }

    def _refuse_close(self, decision: str, event_id: int) -> bool:
        """Events that the decider has not seen keep the execution open."""
        if self.scheduled_decision is None:
            return False
        self._add_event(
            f"{decision}Failed",
            cause="UNHANDLED_DECISION",
            decision_task_completed_event_id=event_id,
        )
        return True

    def _complete(self, event_id: int, given: dict[str, Any]) -> None:
        if not self._refuse_close("CompleteWorkflowExecution", event_id):
            self._add_event(
                "WorkflowExecutionCompleted",
                decision_task_completed_event_id=event_id,
                result=given.get("result"),
            )
            self._close("COMPLETED")

    def _fail(self, event_id: int, given: dict[str, Any]) -> None:
        if not self._refuse_close("FailWorkflowExecution", event_id):
            self._add_event(
                "WorkflowExecutionFailed",
                decision_task_completed_event_id=event_id,
                reason=given.get("reason"),
                details=given.get("details"),
            )
            self._close("FAILED")

    def _cancel(self, event_id: int, given: dict[str, Any]) -> None:
        if not self._refuse_close("CancelWorkflowExecution", event_id):
            self._add_event(
                "WorkflowExecutionCanceled",
                decision_task_completed_event_id=event_id,
                details=given.get("details"),
            )
            self._close("CANCELED")

    def terminate(
        self, child_policy: str | None = None, details: Any = None, reason: str | None = None
    ) -> None:
        """TerminateWorkflowExecution."""
        super().terminate(child_policy=child_policy, details=details, reason=reason)
        self._close("TERMINATED")

    def request_cancel(self) -> None:
        """RequestCancelWorkflowExecution: the decider is told, and decides."""
        self.cancel_requested = True
        self._add_event("WorkflowExecutionCancelRequested", external_initiated_event_id=0)
        self.schedule_decision_task()

    def _record_marker(self, event_id: int, given: dict[str, Any]) -> None:
        self.record_marker(event_id, given)

    # --- timers ---------------------------------------------------------------------------------

    def _start_timer(self, event_id: int, given: dict[str, Any]) -> None:
        timer_id = given["timerId"]
        if timer_id in self.timers:
            self._add_event(
                "StartTimerFailed",
                timer_id=timer_id,
                cause="TIMER_ID_ALREADY_IN_USE",
                decision_task_completed_event_id=event_id,
            )
            self.should_schedule_decision_next = True
            return
        event = self._add_event(
            "TimerStarted",
            timer_id=timer_id,
            control=given.get("control"),
            start_to_fire_timeout=given["startToFireTimeout"],
            decision_task_completed_event_id=event_id,
        )
        self.timers[timer_id] = event.event_id
        delay = float(given["startToFireTimeout"])
        self.backend.call_later(delay, lambda at: self._timer_due(timer_id, event.event_id, at))

    def _timer_due(self, timer_id: str, started_event_id: int, at: float) -> None:
        if self.open and self.timers.get(timer_id) == started_event_id:
            del self.timers[timer_id]
            self._add_event(
                "TimerFired",
                timer_id=timer_id,
                started_event_id=started_event_id,
                event_timestamp=at,
            )
            self.schedule_decision_task()

    def _cancel_timer(self, event_id: int, given: dict[str, Any]) -> None:
        timer_id = given["timerId"]
        started = self.timers.pop(timer_id, None)
        if started is None:
            self._add_event(
                "CancelTimerFailed",
                timer_id=timer_id,
                cause="TIMER_ID_UNKNOWN",
                decision_task_completed_event_id=event_id,
            )
            self.should_schedule_decision_next = True
            return
        self._add_event(
            "TimerCanceled",
            timer_id=timer_id,
            started_event_id=started,
            decision_task_completed_event_id=event_id,
        )

    # --- activities: scheduling -----------------------------------------------------------------

    def schedule_activity_task(self, event_id: int, attributes: dict[str, Any]) -> None:
        """The ScheduleActivityTask decision."""
        wanted = attributes["activityType"]
        found = self.domain.get_type(
            "activity", wanted["name"], wanted["version"], ignore_empty=True
        )
        activity_type = found or ActivityType(wanted["name"], wanted["version"])
        cause, task_list, timeouts = self._schedulable(found, attributes)
        if cause is not None:
            self._add_event(
                "ScheduleActivityTaskFailed",
                activity_id=attributes["activityId"],
                activity_type=activity_type,
                cause=cause,
                decision_task_completed_event_id=event_id,
            )
            self.should_schedule_decision_next = True
            return
        priority = attributes.get("taskPriority") or getattr(
            activity_type, "default_task_priority", None
        )
        event = self._add_event(
            "ActivityTaskScheduled",
            activity_id=attributes["activityId"],
            activity_type=activity_type,
            control=attributes.get("control"),
            input=attributes.get("input"),
            task_list=task_list,
            task_priority=priority,
            decision_task_completed_event_id=event_id,
            schedule_to_start_timeout=timeouts["scheduleToStartTimeout"],
            schedule_to_close_timeout=timeouts["scheduleToCloseTimeout"],
            start_to_close_timeout=timeouts["startToCloseTimeout"],
            heartbeat_timeout=timeouts["heartbeatTimeout"],
        )
        task = LocalActivityTask(
            activity_id=attributes["activityId"],
            activity_type=activity_type,
            workflow_input=attributes.get("input"),
            scheduled_event_id=event.event_id,
            workflow_execution=self,
            timeouts=timeouts,
            task_list=task_list,
            priority=int(priority or 0),
            now=self.backend.now(),
        )
        self.open_activities[task.activity_id] = task
        self.open_counts["openActivityTasks"] += 1
        self.latest_activity_task_timestamp = self.backend.now()
        self._arm(task, "scheduleToStartTimeout", "SCHEDULE_TO_START")
        self._arm(task, "scheduleToCloseTimeout", "SCHEDULE_TO_CLOSE")
        self.backend.offer_activity(task)

    def _schedulable(
        self, activity_type: Any, attributes: dict[str, Any]
    ) -> tuple[str | None, str, dict[str, str]]:
        """The cause of a ScheduleActivityTaskFailed, or the task list and the timeouts."""
        if activity_type is None:
            return "ACTIVITY_TYPE_DOES_NOT_EXIST", "", {}
        if activity_type.status == "DEPRECATED":
            return "ACTIVITY_TYPE_DEPRECATED", "", {}
        if attributes["activityId"] in self.open_activities:
            return "ACTIVITY_ID_ALREADY_IN_USE", "", {}
        if len(self.open_activities) >= MAX_OPEN_ACTIVITIES:
            return "OPEN_ACTIVITIES_LIMIT_EXCEEDED", "", {}
        task_list = (attributes.get("taskList") or {}).get("name") or activity_type.task_list
        if not task_list:
            return "DEFAULT_TASK_LIST_UNDEFINED", "", {}
        timeouts: dict[str, str] = {}
        for name, undefined in _TIMEOUTS:
            # "heartbeatTimeout" is registered as default_task_heartbeat_timeout
            snake = "".join(f"_{c.lower()}" if c.isupper() else c for c in name)
            value = attributes.get(name) or getattr(activity_type, f"default_task_{snake}", None)
            if not value:
                return undefined, "", {}
            timeouts[name] = value
        return None, task_list, timeouts

    # --- activities: their life -----------------------------------------------------------------

    def begin_activity(self, task: LocalActivityTask, identity: str | None) -> None:
        """Hand out a scheduled task."""
        event = self._add_event(
            "ActivityTaskStarted", scheduled_event_id=task.scheduled_event_id, identity=identity
        )
        task.start(event.event_id)
        task.last_heartbeat_timestamp = self.backend.now()
        self._arm(task, "startToCloseTimeout", "START_TO_CLOSE")
        self._arm_heartbeat(task)

    def _arm(self, task: LocalActivityTask, timeout: str, kind: str) -> None:
        seconds = task.seconds(timeout)
        if seconds is not None:
            self.backend.call_later(seconds, lambda at: self._timed_out(task, kind, at))

    def _arm_heartbeat(self, task: LocalActivityTask) -> None:
        seconds = task.seconds("heartbeatTimeout")
        if seconds:  # 0 would time out before any worker could beat; SWF's answer is not known
            due = task.last_heartbeat_timestamp + seconds - self.backend.now()
            self.backend.call_later(due, lambda at: self._heartbeat_due(task, seconds, at))

    def _heartbeat_due(self, task: LocalActivityTask, seconds: float, at: float) -> None:
        if not task.open or at >= task.last_heartbeat_timestamp + seconds - 1e-6:
            self._timed_out(task, "HEARTBEAT", at)
        else:
            self._arm_heartbeat(task)

    def _timed_out(self, task: LocalActivityTask, kind: str, at: float) -> None:
        if not task.open or not self.open:
            return
        if kind == "SCHEDULE_TO_START" and task.state != "SCHEDULED":
            return
        task.timeout_type = kind
        self._close_activity(
            task,
            "TIMED_OUT",
            "ActivityTaskTimedOut",
            timeout_type=kind,
            details=task.details,
            event_timestamp=at,
        )

    def answer_activity(self, task: LocalActivityTask, event_type: str, **members: Any) -> None:
        """RespondActivityTaskCompleted, …Failed, …Canceled."""
        state = {"ActivityTaskCompleted": "COMPLETED", "ActivityTaskFailed": "FAILED"}
        self._close_activity(task, state.get(event_type, "CANCELED"), event_type, **members)

    def _close_activity(
        self, task: LocalActivityTask, state: str, event_type: str, **members: Any
    ) -> None:
        task.state = state
        self.open_activities.pop(task.activity_id, None)
        self.open_counts["openActivityTasks"] -= 1
        self._add_event(
            event_type,
            scheduled_event_id=task.scheduled_event_id,
            started_event_id=task.started_event_id or 0,
            **members,
        )
        self.schedule_decision_task()

    def _request_cancel_activity(self, event_id: int, given: dict[str, Any]) -> None:
        activity_id = given["activityId"]
        task = self.open_activities.get(activity_id)
        if task is None:
            self._add_event(
                "RequestCancelActivityTaskFailed",
                activity_id=activity_id,
                cause="ACTIVITY_ID_UNKNOWN",
                decision_task_completed_event_id=event_id,
            )
            self.should_schedule_decision_next = True
            return
        event = self._add_event(
            "ActivityTaskCancelRequested",
            activity_id=activity_id,
            decision_task_completed_event_id=event_id,
        )
        task.cancel_requested_event_id = event.event_id
        if task.state == "SCHEDULED":  # nobody works on it: it is canceled at once
            self._close_activity(
                task,
                "CANCELED",
                "ActivityTaskCanceled",
                latest_cancel_requested_event_id=event.event_id,
            )


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
