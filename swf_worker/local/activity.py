"""One scheduled activity, as ``LocalSwf.schedule`` returns it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from ..clock import now
from ..outcome import Canceled, Completed, Failed

if TYPE_CHECKING:
    from types_boto3_swf import SWFClient

    from .backend import LocalBackend
    from .executions.execution import ActivityTask, Execution


@dataclass(frozen=True, slots=True)
class TimedOut:
    """SWF closed the task by itself. ``timeout_type`` is START_TO_CLOSE, SCHEDULE_TO_START,
    SCHEDULE_TO_CLOSE or HEARTBEAT; ``details`` are those of the last heartbeat."""

    timeout_type: str
    details: str | None = None


LocalOutcome = Completed | Canceled | Failed | TimedOut


class LocalActivity:
    """A handle on one scheduled activity: cancel it, wait for its outcome, read its history."""

    def __init__(
        self,
        client: SWFClient,
        backend: LocalBackend,
        execution: Execution,
    ) -> None:
        self._client = client
        self._backend = backend
        self._execution = execution
        self.domain: str = execution.domain.name
        self.workflow_id: str = execution.workflow_id
        self.run_id: str = execution.run_id

    def request_cancel(self) -> None:
        """Have the decider request the activity's cancellation; nothing if it has closed."""
        try:
            self._client.request_cancel_workflow_execution(
                domain=self.domain, workflowId=self.workflow_id, runId=self.run_id
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "UnknownResourceFault":
                raise

    def outcome(self, timeout: float = 30) -> LocalOutcome:
        """How the activity ended; waits ``timeout`` seconds at most, then TimeoutError."""
        self._wait(lambda: self._closing() is not None, timeout, "has not ended")
        event = self._closing()
        assert event is not None
        members = event.attributes
        match event.kind:
            case "ActivityTaskCompleted":
                return Completed(members.get("result"))
            case "ActivityTaskCanceled":
                return Canceled(members.get("details"))
            case "ActivityTaskFailed":
                return Failed(members.get("reason", ""), members.get("details"))
            case _:
                return TimedOut(members["timeoutType"], members.get("details"))

    def history(self) -> list[dict[str, Any]]:
        """The execution's events, as boto3 gives them."""
        pages = self._client.get_paginator("get_workflow_execution_history").paginate(
            domain=self.domain,
            execution={"workflowId": self.workflow_id, "runId": self.run_id},
        )
        return [dict(event) for page in pages for event in page["events"]]

    def wait_until_started(self, timeout: float = 30) -> None:
        """Return when a worker has taken the task; TimeoutError after ``timeout`` seconds."""
        self._wait(lambda: self._has("ActivityTaskStarted"), timeout, "has not been taken")

    def wait_for_heartbeats(self, count: int = 1, timeout: float = 30) -> None:
        """Return when so many heartbeats were accepted; TimeoutError after ``timeout`` s."""
        self._wait(lambda: self.heartbeats >= count, timeout, f"has not beaten {count} times")

    @property
    def heartbeats(self) -> int:
        """How many heartbeats of it were accepted. (Histories don't tell.)"""
        return self._task.heartbeats if self._task else 0

    @property
    def heartbeat_details(self) -> str | None:
        """The last heartbeat's details."""
        return self._task.details if self._task else None

    def wait_until_scheduled(self, timeout: float) -> None:
        """Return when the decider has scheduled it; ValueError where SWF refused that."""
        self._wait(self._decided, timeout, "has not been scheduled")
        for event in self._execution.events:
            if event.kind == "ScheduleActivityTaskFailed":
                raise ValueError(
                    f"SWF can't schedule the activity: {event.attributes['cause']} "
                    "(register the activity with LocalSwf.register first)"
                )

    def _decided(self) -> bool:
        return self._has("ActivityTaskScheduled") or self._has("ScheduleActivityTaskFailed")

    @property
    def _task(self) -> ActivityTask | None:
        return self._execution.first_activity

    def _has(self, event_type: str) -> bool:
        return any(event.kind == event_type for event in self._execution.events)

    def _closing(self) -> Any:
        kinds = (
            "ActivityTaskCompleted",
            "ActivityTaskCanceled",
            "ActivityTaskFailed",
            "ActivityTaskTimedOut",
        )
        return next((e for e in self._execution.events if e.kind in kinds), None)

    def _hint(self) -> str:
        if self._has("ActivityTaskCancelRequested") and self._closing() is None:
            return (
                "; its worker hears of the cancel request at its next heartbeat: set "
                "heartbeat_timeout or heartbeat_interval in @activity"
            )
        task = self._task
        if task is not None and (self.domain, task.task_list) not in self._backend.polled:
            return (
                f"; nobody has polled task list {task.task_list!r} of domain {self.domain!r}: "
                "start a worker that does"
            )
        return ""

    def _wait(self, condition: Callable[[], bool], timeout: float, what: str) -> None:
        until = now() + timeout
        with self._backend.changed:
            while not condition():
                left = until - now()
                if left <= 0:
                    raise TimeoutError(
                        f"activity of {self.workflow_id} {what} in {timeout:g} s{self._hint()}"
                    )
                self._backend.changed.wait(left)
