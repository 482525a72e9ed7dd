"""A workflow of one activity on SWF, and its decider: for a shell that has none of its own."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from ..core.one_activity import ACTIVITY_ID, CLOSES, decide
from ..errors import ServiceError, ServiceUnavailableError, ThrottledError, UnknownResourceFault
from .faults import translate

if TYPE_CHECKING:
    from types_boto3_swf import SWFClient

WORKFLOW: Any = {"name": "swf-worker-schedule", "version": "1"}
LONGEST = "86400"
"""Seconds that the workflow may be open."""
AGAIN = 1.0
"""Seconds after which a decider's call that failed is made again."""
LAST_DECISION = 5.0
"""Seconds in which the workflow is closed, once its activity has ended."""
PASSING = (ServiceUnavailableError, ThrottledError)
"""Faults that are waited out: the activity goes on meanwhile."""
_DEFAULTS = {
    "heartbeatTimeout": "defaultTaskHeartbeatTimeout",
    "startToCloseTimeout": "defaultTaskStartToCloseTimeout",
    "scheduleToStartTimeout": "defaultTaskScheduleToStartTimeout",
    "scheduleToCloseTimeout": "defaultTaskScheduleToCloseTimeout",
}


@dataclass
class OneActivity:
    """One activity that is scheduled. Calls raise ServiceError."""

    client: SWFClient
    domain: str
    task_list: str
    name: str
    version: str
    workflow_id: str = field(default_factory=lambda: f"schedule-{uuid.uuid4().hex[:12]}")
    run_id: str = ""
    _wanted: dict[str, Any] = field(default_factory=dict)
    """The attributes of the decision that schedules it."""
    _fault: ServiceError | None = None
    """What ended the decider's thread."""

    @property
    def _type(self) -> dict[str, str]:
        return {"name": self.name, "version": self.version}

    def _call(self, operation: str, **given: Any) -> dict[str, Any]:
        method: Callable[..., dict[str, Any]] = getattr(self.client, operation)
        try:
            return method(**given)
        except (ClientError, BotoCoreError) as error:
            named = "".join(part.capitalize() for part in operation.split("_"))
            raise translate(named, error) from error

    # --- what it needs --------------------------------------------------------------------------

    def missing(self) -> dict[str, Callable[[], object]]:
        """What is to be registered, by name, and how."""
        domain = self.domain
        needs: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
            f"domain {domain}": (
                lambda: self._call("describe_domain", name=domain),
                lambda: self._call(
                    "register_domain", name=domain, workflowExecutionRetentionPeriodInDays="7"
                ),
            ),
            f"workflow type {WORKFLOW['name']}/{WORKFLOW['version']}": (
                lambda: self._call("describe_workflow_type", domain=domain, workflowType=WORKFLOW),
                lambda: self._call("register_workflow_type", domain=domain, **WORKFLOW),
            ),
            f"activity type {self.name}/{self.version}": (
                self._describe,
                lambda: self._call("register_activity_type", domain=domain, **self._type),
            ),
        }
        return {what: add for what, (look, add) in needs.items() if not _is_there(look)}

    def _describe(self) -> dict[str, Any]:
        return self._call("describe_activity_type", domain=self.domain, activityType=self._type)

    # --- its life -------------------------------------------------------------------------------

    def start(self, text: str | None) -> None:
        """Start the workflow; its decider schedules the activity."""
        registered = self._describe()["configuration"]
        self._wanted = {
            "activityId": ACTIVITY_ID,
            "activityType": self._type,
            "taskList": {"name": self.task_list},
            **{each: "NONE" for each, default in _DEFAULTS.items() if default not in registered},
        }
        if text is not None:
            self._wanted["input"] = text
        self.run_id = self._call(
            "start_workflow_execution",
            domain=self.domain,
            workflowId=self.workflow_id,
            workflowType=WORKFLOW,
            taskList={"name": self.workflow_id},  # its own: no other decider gets its decisions
            childPolicy="TERMINATE",
            taskStartToCloseTimeout="30",
            executionStartToCloseTimeout=LONGEST,
        )["runId"]

    def events(self) -> list[dict[str, Any]]:
        """Its history. Raises also the fault for which nobody decides any more."""
        if self._fault is not None:
            raise self._fault
        history = self._call(
            "get_workflow_execution_history",
            domain=self.domain,
            execution={"workflowId": self.workflow_id, "runId": self.run_id},
        )
        return list(history["events"])

    def request_cancel(self) -> None:
        """Have the decider request the activity's cancellation."""
        with suppress(UnknownResourceFault):  # it has just ended
            self._call(
                "request_cancel_workflow_execution",
                domain=self.domain,
                workflowId=self.workflow_id,
                runId=self.run_id,
            )

    # --- its decider ----------------------------------------------------------------------------

    @contextmanager
    def deciding(self) -> Iterator[threading.Event]:
        """Decides, in a thread, until the workflow is closed, or the event is set that the block
        is given: then a poll may be left open. At the end the last decision gets a moment."""
        leave = threading.Event()
        thread = threading.Thread(target=self._decide_until, args=(leave,), daemon=True)
        thread.start()
        try:
            yield leave
        finally:
            thread.join(0 if leave.is_set() else LAST_DECISION)
            leave.set()

    def _decide_until(self, leave: threading.Event) -> None:
        while not leave.is_set():
            try:
                if self._decide():
                    return
            except (*PASSING, UnknownResourceFault):  # unknown: the decision came too late
                leave.wait(AGAIN)
            except ServiceError as fault:
                self._fault = fault
                return

    def _decide(self) -> bool:
        """Take one decision task; whether that closed the workflow."""
        task = self._call(
            "poll_for_decision_task", domain=self.domain, taskList={"name": self.workflow_id}
        )
        if not task.get("taskToken"):
            return False
        decisions = decide({event["eventType"] for event in task["events"]}, self._wanted)
        self._call(
            "respond_decision_task_completed", taskToken=task["taskToken"], decisions=decisions
        )
        closes = any(each["decisionType"] in CLOSES.values() for each in decisions)
        return closes and self._is_closed()

    def _is_closed(self) -> bool:
        """A closing decision is refused where something happened since its task was polled."""
        execution = {"workflowId": self.workflow_id, "runId": self.run_id}
        described = self._call(
            "describe_workflow_execution", domain=self.domain, execution=execution
        )
        return bool(described["executionInfo"]["executionStatus"] == "CLOSED")


def _is_there(look: Callable[[], object]) -> bool:
    try:
        look()
    except UnknownResourceFault:
        return False
    return True
