"""The contract of SWF's activity half, as a bounded run against any endpoint that cleans up after
itself: for the local SWF in our tests, and for whoever has an AWS account.

    python -m swf_worker.local.conformance --domain D [--region R] [--endpoint-url URL] [--yes]

It prints what the service said. Against AWS it asks before it creates anything. Exit code 0: as
expected; 1: something differs; 2: usage, or nobody said yes.
"""

from __future__ import annotations

import argparse
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from ..clock import now

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
        """Register what is missing; returns what was created."""
        created = []
        for what, call, given in (
            (
                f"domain {self.domain}",
                self.swf.register_domain,
                {"name": self.domain, "workflowExecutionRetentionPeriodInDays": "1"},
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
            ),
            (
                f"activity type {NAME}",
                self.swf.register_activity_type,
                {"domain": self.domain, **TYPE, "defaultTaskHeartbeatTimeout": "600"},
            ),
        ):
            try:
                call(**given)
                created.append(what)
            except ClientError as error:
                if not code_of(error).endswith("AlreadyExistsFault"):
                    raise
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

    def start(self) -> WorkflowExecutionTypeDef:
        """A new execution, with task lists of its own."""
        self.list_name = f"{NAME}-{uuid.uuid4().hex[:8]}"
        workflow_id = f"{NAME}-{uuid.uuid4().hex}"
        run = self.swf.start_workflow_execution(
            domain=self.domain,
            workflowId=workflow_id,
            workflowType=TYPE,
            taskList={"name": self.list_name},
        )
        execution: WorkflowExecutionTypeDef = {"workflowId": workflow_id, "runId": run["runId"]}
        self.started.append(execution)
        return execution

    def decide(self, *decisions: tuple[str, dict[str, Any]]) -> None:
        """Take the next decision task and make these decisions."""
        for _ in range(3):
            task = self.swf.poll_for_decision_task(
                domain=self.domain, taskList={"name": self.list_name}
            )
            if task.get("taskToken"):
                break
        made: Any = [
            {"decisionType": kind, f"{kind[0].lower()}{kind[1:]}DecisionAttributes": given}
            for kind, given in decisions
        ]
        self.swf.respond_decision_task_completed(taskToken=task["taskToken"], decisions=made)

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

    def event(self, execution: WorkflowExecutionTypeDef, kind: str) -> dict[str, Any]:
        """The members of the last event of a kind; waits for it for a while."""
        until = now() + self.patience
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
                raise Differs(f"no {kind} in the history after {self.patience:g} s")
            time.sleep(0.2)  # histories can only be asked again

    def is_requested(self, token: str, details: str = "") -> bool:
        """What a heartbeat says."""
        answer = self.swf.record_activity_task_heartbeat(taskToken=token, details=details)
        return answer["cancelRequested"]


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


# --- the contract: each returns what the service said -------------------------------------------


def task_members(run: Run) -> str:
    """a polled task has all its members"""
    run.start()
    run.decide(run.schedule(input="raw text"))
    task = run.take()
    wanted = {"taskToken", "activityId", "startedEventId", "workflowExecution", "activityType"}
    expect(wanted - task.keys(), set())
    expect(task["input"], "raw text")
    run.swf.respond_activity_task_completed(taskToken=task["taskToken"])
    return (
        f"startedEventId {task['startedEventId']}, a token of {len(task['taskToken'])} characters"
    )


def empty_poll(run: Run) -> str:
    """an empty poll has no task token, or an empty one"""
    began = now()
    answer = dict(
        run.swf.poll_for_activity_task(
            domain=run.domain, taskList={"name": f"{run.list_name}-empty"}
        )
    )
    answer.pop("ResponseMetadata")
    expect(answer.get("taskToken", ""), "")
    return f"{answer} after {now() - began:.1f} s"


def cancel_contract(run: Run) -> str:
    """a requested cancel is heard, stays, and may be answered Canceled"""
    execution, token = run.started_task()
    expect(run.is_requested(token), False)
    run.swf.request_cancel_workflow_execution(domain=run.domain, **execution)
    run.decide(("RequestCancelActivityTask", {"activityId": "a"}))
    expect((run.is_requested(token), run.is_requested(token)), (True, True))
    run.swf.respond_activity_task_canceled(taskToken=token, details="undone")
    members = run.event(execution, "ActivityTaskCanceled")
    expect(members["details"], "undone")
    expect("latestCancelRequestedEventId" in members, True)
    return str(members)


def ignored_cancel(run: Run) -> str:
    """a requested cancel may be ignored and the task completed"""
    execution, token = run.started_task()
    run.swf.signal_workflow_execution(domain=run.domain, signalName="s", **execution)
    run.decide(("RequestCancelActivityTask", {"activityId": "a"}))
    run.swf.respond_activity_task_completed(taskToken=token, result="done")
    return str(run.event(execution, "ActivityTaskCompleted"))


def cancel_before_start(run: Run) -> str:
    """an activity that nobody took is canceled at once, with startedEventId 0"""
    execution = run.start()
    run.decide(run.schedule(), ("RequestCancelActivityTask", {"activityId": "a"}))
    members = run.event(execution, "ActivityTaskCanceled")
    expect(members["startedEventId"], 0)
    return str(members)


def unknown_activity_id(run: Run) -> str:
    """a cancel request for an unknown activity id is a failed decision"""
    execution = run.start()
    run.decide(("RequestCancelActivityTask", {"activityId": "nobody"}))
    members = run.event(execution, "RequestCancelActivityTaskFailed")
    expect(members["cause"], "ACTIVITY_ID_UNKNOWN")
    return str(members)


def closed_token(run: Run) -> str:
    """every call with the token of a closed task is an UnknownResourceFault"""
    _, token = run.started_task()
    run.swf.respond_activity_task_completed(taskToken=token)
    said = {
        expect_code(refusal(call, taskToken=token), "UnknownResourceFault")
        for call in (
            run.swf.respond_activity_task_completed,
            run.swf.respond_activity_task_failed,
            run.swf.respond_activity_task_canceled,
            run.swf.record_activity_task_heartbeat,
        )
    }
    return "; ".join(sorted(said))


def closed_execution(run: Run) -> str:
    """a token of a closed execution is an UnknownResourceFault"""
    execution, token = run.started_task()
    run.swf.terminate_workflow_execution(domain=run.domain, **execution)
    said = refusal(run.swf.record_activity_task_heartbeat, taskToken=token)
    return expect_code(said, "UnknownResourceFault")


def start_to_close(run: Run) -> str:
    """start-to-close times out, with the last heartbeat's details"""
    execution, token = run.started_task(startToCloseTimeout="2")
    run.is_requested(token, "halfway")
    members = run.event(execution, "ActivityTaskTimedOut")
    expect((members["timeoutType"], members.get("details")), ("START_TO_CLOSE", "halfway"))
    said = refusal(run.swf.respond_activity_task_completed, taskToken=token)
    return f"{members}; {expect_code(said, 'UnknownResourceFault')}"


def heartbeat_timeout(run: Run) -> str:
    """a heartbeat timeout overrides the registered one"""
    execution, _ = run.started_task(heartbeatTimeout="2")
    members = run.event(execution, "ActivityTaskTimedOut")
    expect(members["timeoutType"], "HEARTBEAT")
    return str(members)


def schedule_to_start(run: Run) -> str:
    """schedule-to-start times out, with startedEventId 0"""
    execution = run.start()
    run.decide(run.schedule(scheduleToStartTimeout="1"))
    members = run.event(execution, "ActivityTaskTimedOut")
    expect((members["timeoutType"], members["startedEventId"]), ("SCHEDULE_TO_START", 0))
    return str(members)


def id_reuse(run: Run) -> str:
    """an activity id is in use while it is open, and free again when it is closed"""
    execution, token = run.started_task()
    run.swf.signal_workflow_execution(domain=run.domain, signalName="s", **execution)
    run.decide(run.schedule())
    expect(
        run.event(execution, "ScheduleActivityTaskFailed")["cause"], "ACTIVITY_ID_ALREADY_IN_USE"
    )
    run.swf.respond_activity_task_completed(taskToken=token)
    run.decide(run.schedule())
    return f"taken again: {run.take()['activityId']}"


def lengths(run: Run) -> str:
    """over-long values are refused"""
    _, token = run.started_task()
    said = [
        expect_code(refusal(call, taskToken=token, **given), "ValidationException")
        for call, given in (
            (run.swf.respond_activity_task_completed, {"result": "x" * 32_769}),
            (run.swf.respond_activity_task_failed, {"reason": "x" * 257}),
            (run.swf.record_activity_task_heartbeat, {"details": "x" * 2_049}),
        )
    ]
    run.swf.respond_activity_task_completed(taskToken=token, result="x" * 32_768)
    return said[1]


def malformed_token(run: Run) -> str:
    """a made-up token is refused as invalid"""
    said = refusal(run.swf.respond_activity_task_completed, taskToken="made-up")
    return expect_code(said, "ValidationException")


CONTRACT = (
    task_members,
    empty_poll,
    cancel_contract,
    ignored_cancel,
    cancel_before_start,
    unknown_activity_id,
    closed_token,
    closed_execution,
    start_to_close,
    heartbeat_timeout,
    schedule_to_start,
    id_reuse,
    lengths,
    malformed_token,
)


# --- what nobody could verify: any answer is news -----------------------------------------------


def answered(call: Callable[..., Any], **given: Any) -> str:
    """Accepted, or what it is refused with."""
    try:
        call(**given)
    except ClientError as error:
        return f"refused with {code_of(error)}: {error.response['Error']['Message'][:120]}"
    except BotoCoreError as error:
        return f"no answer: {error}"
    return "accepted"


def unrequested_cancel(run: Run) -> str:
    """Canceled without a request"""
    _, token = run.started_task()
    return answered(run.swf.respond_activity_task_canceled, taskToken=token)


def units(run: Run) -> str:
    """what lengths count: UTF-16 units, code points or bytes"""
    said = []
    for what, result in (
        ("16,385 emoji (32,770 UTF-16 units)", "😀" * 16_385),
        ("20,000 é (40,000 bytes of UTF-8)", "é" * 20_000),
    ):
        _, token = run.started_task()
        told = answered(run.swf.respond_activity_task_completed, taskToken=token, result=result)
        said.append(f"{what}: {told.split(':')[0]}")
    return "; ".join(said)


def unknown_token(run: Run) -> str:
    """a well-formed token of no task"""
    _, token = run.started_task()
    middle = len(token) // 2
    other = "A" if token[middle] != "A" else "B"
    changed = token[:middle] + other + token[middle + 1 :]
    began = now()
    said = answered(run.swf.record_activity_task_heartbeat, taskToken=changed)
    return f"{said} after {now() - began:.1f} s"


def dead_poller(run: Run) -> str:
    """whether a poll whose client has gone is given a task"""
    impatient = run.connect(Config(read_timeout=1, retries={"total_max_attempts": 1}))
    execution = run.start()
    with suppress(BotoCoreError, ClientError):
        impatient.poll_for_activity_task(domain=run.domain, taskList={"name": run.list_name})
    impatient.close()
    run.decide(run.schedule())
    answer = run.swf.poll_for_activity_task(domain=run.domain, taskList={"name": run.list_name})
    if answer.get("taskToken"):
        return "the living poll got the task"
    run.event(execution, "ActivityTaskStarted")
    return "the dead poll got the task: it is lost until it times out"


QUESTIONS = (unrequested_cancel, units, unknown_token, dead_poller)


# --- the run ------------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it from the command line."""
    given = _parser().parse_args(arguments)
    session = boto3.Session(region_name=given.region)

    def connect(config: Config) -> SWFClient:
        return session.client("swf", endpoint_url=given.endpoint_url, config=config)

    client = connect(Config(read_timeout=75, retries={"total_max_attempts": 1}))
    where = client.meta.endpoint_url
    print(f"endpoint {where}, domain {given.domain}")
    if not _is_local(where) and not given.yes and not _said_yes(given.domain):
        print("nothing was created")
        return 2
    run = Run(client, given.domain, given.patience, connect)
    created = run.prepare()
    print(f"created: {', '.join(created) or 'nothing'}")
    try:
        return check(run)
    finally:
        run.clean_up(created)
        print("cleaned up: executions terminated; what was created is deprecated")
        client.close()


def check(run: Run) -> int:
    """Check the contract, then ask the questions. 0 if nothing differs."""
    differing = 0
    for part in CONTRACT:
        try:
            said = part(run)
            print(f"ok       {part.__doc__}: {said}")
        except (Differs, ClientError, BotoCoreError) as error:
            differing += 1
            print(f"DIFFERS  {part.__doc__}: {error}")
    for question in QUESTIONS:
        try:
            print(f"told     {question.__doc__}: {question(run)}")
        except (Differs, ClientError, BotoCoreError) as error:
            print(f"unclear  {question.__doc__}: {error}")
    print(f"{len(CONTRACT) - differing} of {len(CONTRACT)} as expected")
    return 1 if differing else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m swf_worker.local.conformance",
        description="Check SWF's activity contract against any endpoint.",
    )
    parser.add_argument("--domain", required=True, help="created if it isn't there")
    parser.add_argument("--region")
    parser.add_argument("--endpoint-url", help="a local SWF, say; AWS by default")
    parser.add_argument("--yes", action="store_true", help="don't ask before creating anything")
    parser.add_argument(
        "--patience", type=float, default=30.0, help="seconds to wait for an event (30)"
    )
    return parser


def _is_local(url: str) -> bool:
    return urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1")


def _said_yes(domain: str) -> bool:
    print(
        f"This is AWS. It registers the domain {domain!r} (which can be deprecated, never deleted) "
        f"and types named {NAME!r} where they are missing, and runs about 20 short executions."
    )
    try:
        return input("Go on? [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        return False


if __name__ == "__main__":
    sys.exit(main())
