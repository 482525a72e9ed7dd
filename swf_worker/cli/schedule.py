"""``swf-worker schedule``: one activity from a shell. Its workflow has a decider as long as this
command runs."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ..clock import now
from ..core.one_activity import CLOSES
from ..errors import ServiceError, ServiceUnavailableError, SwfWorkerError
from ..exit_codes import ExitCode
from ..service.clients import LOCAL_HINT, decider_client, is_local
from ..service.one_activity import PASSING, OneActivity
from .settings import UsageError

PATIENCE = 5.0
"""Seconds after which it is said that nobody has taken the task."""
_LOOK = 0.5
"""Seconds between two looks into the history: nothing tells a decider that a task was taken."""
_KEPT = ("result", "reason", "details", "timeoutType", "cause")
"""Members of the last event that are printed."""
OUTCOMES = {kind: kind.removeprefix("ActivityTask") for kind in CLOSES} | {
    "ScheduleActivityTaskFailed": "NotScheduled",
    "WorkflowExecutionCanceled": "Canceled",  # before its activity was scheduled
    "WorkflowExecutionTerminated": "WorkflowTerminated",
    "WorkflowExecutionTimedOut": "WorkflowTimedOut",
}
"""Events after which nothing more comes, and how that is called."""


@dataclass(frozen=True, slots=True)
class _Reach:
    region_name: str | None
    endpoint_url: str | None
    session: None = None
    client_config: None = None


def schedule(given: argparse.Namespace) -> int:
    """Schedule it; with ``--wait``, until its outcome, which is printed."""
    _check(given)
    reach = _Reach(given.region, given.endpoint_url)
    client = decider_client(reach)
    activity = OneActivity(client, given.domain, given.task_list, given.name, given.version)
    try:
        if not registered(activity, ask=not (is_local(reach) or given.yes)):
            _say("nothing was registered, and nothing scheduled")
            return ExitCode.INTERRUPTED
        return _run(activity, given.input, wait=given.wait)
    except ServiceError as error:
        where = f"domain {given.domain!r}, region {client.meta.region_name!r}"
        unreached = isinstance(error, ServiceUnavailableError)
        hint = f". {LOCAL_HINT}" if unreached else ""
        raise SwfWorkerError(f"{error} ({where}){hint}") from error
    finally:
        client.close()


def _check(given: argparse.Namespace) -> None:
    for flag in ("domain", "task_list"):
        if getattr(given, flag) is None:
            raise UsageError(
                f"schedule needs --{flag.replace('_', '-')}: that of the worker that is to run it"
            )
    if given.input is None:
        return
    try:
        json.loads(given.input)
    except ValueError as error:
        raise UsageError(
            f"--input is {given.input!r}, which is not JSON ({error}); text is written with "
            "quotes: --input '\"text\"'"
        ) from None


def registered(activity: OneActivity, *, ask: bool) -> bool:
    """Register what is missing; False where somebody was asked, and said no."""
    missing = activity.missing()
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


def _run(activity: OneActivity, text: str | None, *, wait: bool) -> int:
    with counted_interrupts() as interrupts:
        activity.start(text)
        ids = f"workflow {activity.workflow_id}, run {activity.run_id}"
        _say(f"started {ids}")
        with activity.deciding() as leave:
            last = follow(activity, _say, interrupts, until_scheduled=not wait)
            if last is None or last["eventType"] not in CLOSES:
                leave.set()  # there is nothing to close
    if last is None:
        _say(f"left to itself: {ids} is still open")
        return ExitCode.INTERRUPTED
    kind = last["eventType"]
    if kind not in OUTCOMES:
        return ExitCode.DONE
    outcome, members = OUTCOMES[kind], _members(last)
    kept = {name: members[name] for name in _KEPT if name in members}
    print(json.dumps({"outcome": outcome, **kept}, ensure_ascii=False))
    return ExitCode.DONE if outcome == "Completed" else ExitCode.OTHER_OUTCOME


@contextmanager
def counted_interrupts() -> Iterator[Callable[[], int]]:
    """Ctrl-C is counted, and cuts nothing: a call that is cut could lose a decision."""
    count = 0

    def one_more(*_: object) -> None:
        nonlocal count
        count += 1

    before = signal.signal(signal.SIGINT, one_more)
    try:
        yield lambda: count
    finally:
        signal.signal(signal.SIGINT, before)


def follow(
    activity: OneActivity,
    say: Callable[[str], None],
    interrupts: Callable[[], int] = int,
    *,
    until_scheduled: bool = False,
) -> dict[str, Any] | None:
    """The last event; says what happens meanwhile. The first interrupt requests the cancellation;
    None after the second."""
    ends = {*OUTCOMES, "ActivityTaskScheduled"} if until_scheduled else set(OUTCOMES)
    patient_until, said, asked, unreached = now() + PATIENCE, set[str](), False, False
    while interrupts() < 2:
        try:
            if interrupts() and not asked:
                activity.request_cancel()
                asked = True
                say("cancel requested; waiting for the worker to hear of it (Ctrl-C: leave it)")
            for event in activity.events():
                kind = event["eventType"]
                if kind not in said:
                    said.add(kind)
                    _tell(event, say)
                if kind in ends:
                    return event
            unreached = False
        except PASSING as error:
            if not unreached:
                unreached = True
                say(f"still waiting, though SWF doesn't answer: {error}")
        if now() > patient_until and "ActivityTaskStarted" not in said:
            patient_until = float("inf")
            say(f"nobody has taken it yet: does a worker poll task list {activity.task_list!r}?")
        time.sleep(_LOOK)
    return None


def _tell(event: dict[str, Any], say: Callable[[str], None]) -> None:
    members = _members(event)
    match event["eventType"]:
        case "ActivityTaskScheduled":
            kind = members["activityType"]
            say(f"scheduled {kind['name']}/{kind['version']}")
        case "ActivityTaskStarted":
            say(f"taken by {members.get('identity') or 'a worker'}")


def _members(event: dict[str, Any]) -> dict[str, Any]:
    kind = event["eventType"]
    members: dict[str, Any] = event.get(f"{kind[0].lower()}{kind[1:]}EventAttributes", {})
    return members


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
