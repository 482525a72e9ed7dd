"""``swf-worker schedule``: one activity from a shell, with no decider of one's own. Behind it stand
a workflow of that one activity and its decider, as long as this command runs."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from types import FrameType
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from ..clock import now
from ..core.one_activity import ACTIVITY_ID, CLOSES, decide
from ..errors import ConfigurationError, SwfWorkerError
from ..service.clients import decider_client, is_local
from .settings import UsageError

if TYPE_CHECKING:
    import boto3
    from botocore.config import Config
    from types_boto3_swf import SWFClient

WORKFLOW: Any = {"name": "swf-worker-schedule", "version": "1"}
OTHER_OUTCOME = 3
INTERRUPTED = 130
LONGEST = "86400"
"""Seconds that the workflow may be open."""
PATIENCE = 5.0
"""Seconds after which it is said that nobody has taken the task."""
_LOOK = 0.5
"""Seconds between two looks into the history: nothing tells a decider that a task was taken."""
_NONE = {
    "heartbeatTimeout": "defaultTaskHeartbeatTimeout",
    "startToCloseTimeout": "defaultTaskStartToCloseTimeout",
    "scheduleToStartTimeout": "defaultTaskScheduleToStartTimeout",
    "scheduleToCloseTimeout": "defaultTaskScheduleToCloseTimeout",
}


@dataclass(frozen=True, slots=True)
class _Reach:
    region_name: str | None
    endpoint_url: str | None
    session: boto3.Session | None = None
    client_config: Config | None = None


def schedule(given: argparse.Namespace) -> int:
    """Schedule it; with ``--wait``, until its outcome, which is printed."""
    for needed in ("domain", "task_list"):
        if getattr(given, needed) is None:
            flag = f"--{needed.replace('_', '-')}"
            raise UsageError(f"schedule needs {flag}: that of the worker that is to run it")
    if given.input is not None:
        try:
            json.loads(given.input)
        except ValueError as error:
            raise UsageError(
                f"--input is {given.input!r}, which is not JSON ({error}); text is written with "
                "quotes: --input '\"text\"'"
            ) from None
    reach = _Reach(given.region, given.endpoint_url)
    client = decider_client(reach)
    try:
        flow = OneActivityFlow(client, given.domain, given.task_list, given.name, given.version)
        if not _registered(flow, ask=not (is_local(reach) or given.yes)):
            _say("nothing was registered, and nothing scheduled")
            return INTERRUPTED
        return _run(flow, given.input, wait=given.wait)
    except ClientError as error:
        said, region = error.response["Error"], client.meta.region_name
        raise SwfWorkerError(
            f"{error.operation_name} (domain {given.domain!r}, region {region!r}): "
            f"{said['Code']}: {said.get('Message', '')}"
        ) from error
    except BotoCoreError as error:
        raise ConfigurationError(
            f"{error}; is it the right --region or --endpoint-url, and does `swf-worker dev` run?"
        ) from error
    finally:
        client.close()


def _registered(flow: OneActivityFlow, *, ask: bool) -> bool:
    missing = flow.missing()
    if missing and ask:
        _say(f"This registers in AWS: {', '.join(missing)}. (It can be deprecated, never deleted.)")
        try:
            if input("Go on? [y/N] ").strip().lower() not in ("y", "yes"):
                return False
        except (EOFError, KeyboardInterrupt):
            return False
    for what, register in missing.items():
        register()
        _say(f"registered {what}")
    return True


def _run(flow: OneActivityFlow, text: str | None, *, wait: bool) -> int:
    with CtrlC() as ctrl_c:
        flow.start(text)
        ids = f"workflow {flow.workflow_id}, run {flow.run_id}"
        _say(f"scheduled {flow.name}/{flow.version}: {ids}")
        if not wait:
            return 0
        with flow.deciding():
            outcome = flow.wait(_say, lambda: ctrl_c.count)
    if outcome is None:
        _say(f"left to itself: {ids} is still open")
        return INTERRUPTED
    kind, members = outcome
    print(json.dumps({"outcome": kind, **members}, ensure_ascii=False))
    return 0 if kind == "Completed" else OTHER_OUTCOME


class CtrlC:
    """Counts them, and cuts nothing: a poll that is cut could lose a decision."""

    count = 0

    def __enter__(self) -> CtrlC:
        self._before = signal.signal(signal.SIGINT, self._one_more)
        return self

    def _one_more(self, number: int, frame: FrameType | None) -> None:
        self.count += 1

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self._before)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


@dataclass
class OneActivityFlow:
    """A workflow of one activity, and its decider."""

    client: SWFClient
    domain: str
    task_list: str
    name: str
    version: str
    workflow_id: str = field(default_factory=lambda: f"schedule-{uuid.uuid4().hex[:12]}")
    run_id: str = ""
    _attributes: dict[str, Any] = field(default_factory=dict)
    _over: threading.Event = field(default_factory=threading.Event)
    _told: set[str] = field(default_factory=set)

    # --- what it needs --------------------------------------------------------------------------

    def missing(self) -> dict[str, Callable[[], object]]:
        """What is to be registered, by name, and how."""
        swf, domain = self.client, self.domain
        kind: Any = {"name": self.name, "version": self.version}
        needs: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
            f"domain {domain}": (
                lambda: swf.describe_domain(name=domain),
                lambda: swf.register_domain(
                    name=domain, workflowExecutionRetentionPeriodInDays="7"
                ),
            ),
            f"workflow type {WORKFLOW['name']}/{WORKFLOW['version']}": (
                lambda: swf.describe_workflow_type(domain=domain, workflowType=WORKFLOW),
                lambda: swf.register_workflow_type(domain=domain, **WORKFLOW),
            ),
            f"activity type {self.name}/{self.version}": (
                lambda: swf.describe_activity_type(domain=domain, activityType=kind),
                lambda: swf.register_activity_type(domain=domain, **kind),
            ),
        }
        return {what: add for what, (look, add) in needs.items() if not self._is_there(look)}

    def _is_there(self, look: Callable[[], object]) -> bool:
        try:
            look()
        except self.client.exceptions.UnknownResourceFault:
            return False
        return True

    # --- its life -------------------------------------------------------------------------------

    def start(self, text: str | None) -> None:
        """Start the workflow, and schedule the activity."""
        registered = self.client.describe_activity_type(
            domain=self.domain, activityType={"name": self.name, "version": self.version}
        )["configuration"]
        self._attributes = {
            "activityId": ACTIVITY_ID,
            "activityType": {"name": self.name, "version": self.version},
            "taskList": {"name": self.task_list},
            **{each: "NONE" for each, default in _NONE.items() if default not in registered},
        }
        if text is not None:
            self._attributes["input"] = text
        self.run_id = self.client.start_workflow_execution(
            domain=self.domain,
            workflowId=self.workflow_id,
            workflowType=WORKFLOW,
            taskList={"name": self.workflow_id},  # its own: no other decider gets its decisions
            childPolicy="TERMINATE",
            taskStartToCloseTimeout="30",
            executionStartToCloseTimeout=LONGEST,
        )["runId"]
        while not self._decide():
            pass

    def _decide(self) -> bool:
        """Take one decision task; False where none came."""
        task = self.client.poll_for_decision_task(
            domain=self.domain, taskList={"name": self.workflow_id}
        )
        if not task.get("taskToken"):
            return False
        decisions: Any = decide({event["eventType"] for event in task["events"]}, self._attributes)
        self.client.respond_decision_task_completed(
            taskToken=task["taskToken"], decisions=decisions
        )
        return True

    def deciding(self) -> Deciding:
        """Decides, in a thread, for as long as the block lasts: a Ctrl-C cuts no poll."""
        return Deciding(self)

    def decide_until_over(self) -> None:
        """The thread's."""
        while not self._over.is_set():
            with suppress(ClientError, BotoCoreError):  # the next one is asked for
                self._decide()

    def request_cancel(self) -> None:
        """Have the decider request the activity's cancellation."""
        with suppress(self.client.exceptions.UnknownResourceFault):  # it has just ended
            self.client.request_cancel_workflow_execution(
                domain=self.domain, workflowId=self.workflow_id, runId=self.run_id
            )

    def wait(
        self, say: Callable[[str], None], interrupts: Callable[[], int] = int
    ) -> tuple[str, dict[str, Any]] | None:
        """The outcome and what belongs to it; says what happens meanwhile. The first interrupt
        requests the cancellation; None after the second."""
        patient_until, asked = now() + PATIENCE, False
        while interrupts() < 2:
            if interrupts() and not asked:
                asked = True
                self.request_cancel()
                say(
                    "cancel requested; waiting for the worker to hear of it. Ctrl-C again leaves it"
                )
            for event in self._events():
                kind = event["eventType"]
                members = event.get(f"{kind[0].lower()}{kind[1:]}EventAttributes", {})
                if kind in CLOSES:
                    self._over.set()
                    return _outcome(kind, members)
                if kind not in self._told:
                    self._told.add(kind)
                    if kind == "ActivityTaskStarted":
                        say(f"taken by {members.get('identity') or 'a worker'}")
            if now() > patient_until and "ActivityTaskStarted" not in self._told:
                say(f"nobody has taken it yet: does a worker poll task list {self.task_list!r}?")
                patient_until = float("inf")
            self._over.wait(_LOOK)
        return None

    def _events(self) -> list[Any]:
        history = self.client.get_workflow_execution_history(
            domain=self.domain, execution={"workflowId": self.workflow_id, "runId": self.run_id}
        )
        return list(history["events"])

    def end(self) -> None:
        """No more decisions."""
        self._over.set()


class Deciding:
    """A decider's thread. It ends with the process: a poll of it may be open."""

    def __init__(self, flow: OneActivityFlow) -> None:
        self._flow = flow
        self._thread = threading.Thread(target=flow.decide_until_over, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._flow.end()
        self._thread.join(2.0)  # it closes the workflow


def _outcome(kind: str, members: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    names = {"ActivityTaskTimedOut": "TimedOut", "ScheduleActivityTaskFailed": "NotScheduled"}
    outcome = names.get(kind, kind.removeprefix("ActivityTask"))
    kept = ("result", "reason", "details", "timeoutType", "cause")
    return outcome, {name: members[name] for name in kept if name in members}
