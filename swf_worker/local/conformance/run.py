"""What every check of the contract is made of."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from botocore.config import Config
from botocore.exceptions import ClientError

from ...clock import now

if TYPE_CHECKING:
    from types_boto3_swf import SWFClient
    from types_boto3_swf.type_defs import WorkflowExecutionTypeDef

NAME = "swf_worker-conformance"
TYPE: Any = {"name": NAME, "version": "1"}


class Differs(Exception):
    """The service said something else than expected."""


@dataclass
class Run:
    """One run: a client, a domain, and what was started in it."""

    swf: SWFClient
    domain: str
    patience: float
    connect: Callable[[Config], SWFClient]
    """Makes another client for the same endpoint."""
    list_name: str = NAME
    started: list[WorkflowExecutionTypeDef] = field(default_factory=list)

    # --- the small parts every check is made of -------------------------------------------------

    def prepare(self) -> list[str]:
        """Register what is missing, undeprecate what an earlier run deprecated; returns what."""
        created = []
        for what, call, given, again in (
            (
                f"domain {self.domain}",
                self.swf.register_domain,
                {"name": self.domain, "workflowExecutionRetentionPeriodInDays": "1"},
                lambda: self.swf.undeprecate_domain(name=self.domain),
            ),
            (
                f"workflow type {NAME}",
                self.swf.register_workflow_type,
                {
                    "domain": self.domain,
                    **TYPE,
                    "defaultChildPolicy": "TERMINATE",
                    "defaultTaskStartToCloseTimeout": "120",
                    "defaultExecutionStartToCloseTimeout": "900",
                },
                lambda: self.swf.undeprecate_workflow_type(domain=self.domain, workflowType=TYPE),
            ),
            (
                f"activity type {NAME}",
                self.swf.register_activity_type,
                {"domain": self.domain, **TYPE, "defaultTaskHeartbeatTimeout": "600"},
                lambda: self.swf.undeprecate_activity_type(domain=self.domain, activityType=TYPE),
            ),
        ):
            if _done(partial(call, **given)) or _done(again):
                created.append(what)
        return created

    def clean_up(self, created: Sequence[str]) -> None:
        """Terminate what still runs, deprecate what this run created."""
        for execution in self.started:
            with suppress(ClientError):
                self.swf.terminate_workflow_execution(domain=self.domain, **execution)
        if f"activity type {NAME}" in created:
            self.swf.deprecate_activity_type(domain=self.domain, activityType=TYPE)
        if f"workflow type {NAME}" in created:
            self.swf.deprecate_workflow_type(domain=self.domain, workflowType=TYPE)
        if f"domain {self.domain}" in created:
            self.swf.deprecate_domain(name=self.domain)

    def start(self, **given: Any) -> WorkflowExecutionTypeDef:
        """A new execution, with task lists of its own."""
        self.list_name = f"{NAME}-{uuid.uuid4().hex[:8]}"
        workflow_id = f"{NAME}-{uuid.uuid4().hex}"
        run = self.swf.start_workflow_execution(
            domain=self.domain,
            workflowId=workflow_id,
            workflowType=TYPE,
            taskList={"name": self.list_name},
            **given,
        )
        execution: WorkflowExecutionTypeDef = {"workflowId": workflow_id, "runId": run["runId"]}
        self.started.append(execution)
        return execution

    def decide(self, *decisions: tuple[str, dict[str, Any]]) -> dict[str, Any]:
        """Take the next decision task and make these decisions; returns the task."""
        task = self.take_decision()
        made: Any = [
            {"decisionType": kind, f"{kind[0].lower()}{kind[1:]}DecisionAttributes": given}
            for kind, given in decisions
        ]
        self.swf.respond_decision_task_completed(taskToken=task["taskToken"], decisions=made)
        return task

    def take_decision(self, **given: Any) -> dict[str, Any]:
        """The next decision task."""
        for _ in range(3):
            task = self.swf.poll_for_decision_task(
                domain=self.domain, taskList={"name": self.list_name}, **given
            )
            if task.get("taskToken"):
                return dict(task)
        raise Differs("no decision task came")

    def schedule(self, activity_id: str = "a", **given: Any) -> tuple[str, dict[str, Any]]:
        """The decision that schedules an activity; every timeout NONE unless given."""
        timeouts = dict.fromkeys(
            (
                "heartbeatTimeout",
                "startToCloseTimeout",
                "scheduleToStartTimeout",
                "scheduleToCloseTimeout",
            ),
            "NONE",
        )
        attributes = {
            "activityId": activity_id,
            "activityType": TYPE,
            "taskList": {"name": self.list_name},
        }
        return "ScheduleActivityTask", attributes | timeouts | given

    def take(self) -> dict[str, Any]:
        """The next activity task."""
        for _ in range(3):
            task = self.swf.poll_for_activity_task(
                domain=self.domain, taskList={"name": self.list_name}
            )
            if task.get("taskToken"):
                return dict(task)
        raise Differs("no activity task came")

    def started_task(self, **given: Any) -> tuple[WorkflowExecutionTypeDef, str]:
        """A new execution with a started activity: the execution and the token."""
        execution = self.start()
        self.decide(self.schedule(**given))
        return execution, self.take()["taskToken"]

    def event(
        self, execution: WorkflowExecutionTypeDef, kind: str, patience: float | None = None
    ) -> dict[str, Any]:
        """The members of the last event of a kind; waits for it for a while."""
        patience = patience or self.patience
        until = now() + patience
        while True:
            history = self.swf.get_workflow_execution_history(
                domain=self.domain,
                execution=execution,
                reverseOrder=True,
            )
            for event in (dict[str, Any](each) for each in history["events"]):
                if event["eventType"] == kind:
                    members: dict[str, Any] = event[f"{kind[0].lower()}{kind[1:]}EventAttributes"]
                    return members
            if now() > until:
                raise Differs(f"no {kind} in the history after {patience:g} s")
            time.sleep(0.2)  # histories can only be asked again

    def is_requested(self, token: str, details: str = "") -> bool:
        """What a heartbeat says."""
        answer = self.swf.record_activity_task_heartbeat(taskToken=token, details=details)
        return answer["cancelRequested"]


def _done(call: Callable[[], object]) -> bool:
    """Whether it was of use: it isn't where something is registered already."""
    try:
        call()
    except ClientError as error:
        if not code_of(error).endswith("AlreadyExistsFault"):
            raise
        return False
    return True


def code_of(error: ClientError) -> str:
    """The error's code."""
    return str(error.response["Error"]["Code"])


def refusal(call: Callable[..., Any], **given: Any) -> str:
    """What a call is refused with; Differs if it isn't."""
    try:
        call(**given)
    except ClientError as error:
        return f"{code_of(error)}: {error.response['Error']['Message']}"
    raise Differs("it was accepted")


def expect(said: object, wanted: object) -> None:
    """Differs unless they are the same."""
    if said != wanted:
        raise Differs(f"expected {wanted!r}, got {said!r}")


def expect_code(said: str, code: str) -> str:
    """Differs unless a refusal has this code."""
    if not said.startswith(f"{code}:"):
        raise Differs(f"expected {code}, got {said}")
    return said
