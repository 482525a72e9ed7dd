"""Deciders that exist, as processes of their own, with this worker: what they schedule completes,
fails and is canceled, and they read it in their own ways."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

import pytest

from swf_worker import ActivityCanceled, ActivityContext, ActivityFailed, activity
from swf_worker.deciders import BotoflowConverter, SimpleflowConverter
from tools.versions import interpreter

from ..conftest import eventually, started
from ..fresh.conftest import environment_with, run
from .recorded import REAL

pytestmark = [pytest.mark.fresh, pytest.mark.timeout(600)]

DOMAIN, DECISIONS, TASKS = "flows", "decisions", "tasks"
SIMPLEFLOW, BOTOFLOW, CLIENT_SWF = "simpleflow==0.36.0", "botoflow==0.8", "@aws-sdk/client-swf@3"
PATIENCE = 60


# --- the activities -----------------------------------------------------------------------------


class Orders:
    """What the flows schedule. ``waits`` is set when the handler runs that is to be canceled;
    ``undone`` are the details that it ends with."""

    def __init__(self) -> None:
        self.waits = threading.Event()
        self.flaws = 1
        self.undone: Any = None

    @activity(name="Charge", version="1")
    def charge(self, order: str, amount: int = 1) -> dict[str, Any]:
        return {"order": order, "amount": amount}

    @activity(name="Flaky", version="1")
    def flaky(self, order: str, amount: int) -> dict[str, Any]:
        if self.flaws:
            self.flaws -= 1
            raise ConnectionError("the bank is away")
        return {"order": order, "amount": amount + 1}

    @activity(name="Refuse", version="1")
    def refuse(self, order: str) -> None:
        raise ValueError(f"no € left for {order}")

    @activity(name="Decline", version="1")
    def decline(self, order: str) -> None:
        raise ActivityFailed("CardDeclined", {"order": order}, retryable=False)

    @activity(name="Wait", version="1", heartbeat_interval=0.1)
    def wait(self, order: str, context: ActivityContext) -> None:
        self.waits.set()
        context.wait_for_stop()
        raise ActivityCanceled(self.undone)


# --- processes ----------------------------------------------------------------------------------


class Ended(AssertionError):
    """A process that ended before it wrote what was awaited."""


class Told:
    """The lines that a process writes, as they come."""

    def __init__(self, pipe: IO[str]) -> None:
        self._lines: list[str] = []
        self._ended = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._read, args=(pipe,), daemon=True)
        self._thread.start()

    def _read(self, pipe: IO[str]) -> None:
        for line in pipe:
            with self._changed:
                self._lines.append(line)
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def line(self, number: int = 0) -> Any:
        """The JSON of a line; Ended where the process has ended, AssertionError where it takes
        too long."""
        with self._changed:
            self._changed.wait_for(lambda: self._ended or len(self._lines) > number, PATIENCE)
            if self._ended and len(self._lines) <= number:
                raise Ended(f"it wrote only {self._lines}")
            assert len(self._lines) > number, f"it has written only {self._lines}"
            return json.loads(self._lines[number])

    def join(self) -> None:
        self._thread.join()


@contextmanager
def process(*command: Any, log: Path, cwd: Path | None = None, **env: str) -> Iterator[Told]:
    """A process, and what it writes; at the end nothing of it or its children is left. What it
    logs is part of the error, if there is one."""
    with log.open("w") as err:
        child = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=err,
            text=True,
            encoding="utf-8",
            cwd=cwd,
            env=os.environ | {"LANG": "C.UTF-8"} | env,
            start_new_session=True,
        )
    assert child.stdout is not None
    told = Told(child.stdout)
    try:
        yield told
    except BaseException as error:
        error.add_note(f"{command[0]} logged:\n{log.read_text('utf-8')[-8000:]}")
        raise
    finally:
        child.terminate()
        try:
            child.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
        gone = eventually(lambda: not _group_lives(child.pid), 20)
        if not gone:
            os.killpg(child.pid, signal.SIGKILL)
        told.join()
        child.stdout.close()
    assert gone, "it left processes behind"


def _group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


# --- what all have in common --------------------------------------------------------------------


@pytest.fixture
def orders():
    return Orders()


@pytest.fixture
def swf(quick_swf):
    """A local SWF, and its client."""
    client = quick_swf.client()
    client.register_domain(name=DOMAIN, workflowExecutionRetentionPeriodInDays="1")
    return client


@pytest.fixture
def place(quick_swf):
    """The environment that leads a decider to the local SWF."""
    return {
        "AWS_ENDPOINT_URL_SWF": quick_swf.endpoint_url,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
        "PYTHONPATH": "",
        "PYTHONWARNINGS": "ignore",
    }


@pytest.fixture
def working(make_worker, orders):
    """Starts a worker of the orders, with this converter or the default one."""

    def begun(**options):
        handlers = [orders.charge, orders.flaky, orders.refuse, orders.decline, orders.wait]
        return started(make_worker(*handlers, domain=DOMAIN, task_list=TASKS, **options))

    return begun


def cancel(swf: Any, orders: Orders, workflow_id: str) -> None:
    """Tells the workflow to cancel what waits, once its handler runs."""
    assert orders.waits.wait(PATIENCE)
    swf.signal_workflow_execution(domain=DOMAIN, workflowId=workflow_id, signalName="cancel")


def closed(swf: Any, workflow_id: str) -> list[dict[str, Any]]:
    """The events of a workflow that its decider closes now, as their types and attributes."""

    def executions() -> list[Any]:
        found = swf.list_closed_workflow_executions(
            domain=DOMAIN,
            startTimeFilter={"oldestDate": 0},
            executionFilter={"workflowId": workflow_id},
        )
        return found["executionInfos"]

    assert eventually(lambda: bool(executions()), PATIENCE)
    (info,) = executions()
    assert info["closeStatus"] == "COMPLETED"
    events = swf.get_workflow_execution_history(domain=DOMAIN, execution=info["execution"])
    return [
        {"type": event["eventType"]}
        | next(members for name, members in event.items() if name.endswith("Attributes"))
        for event in events["events"]
    ]


def given(events: list[dict[str, Any]]) -> list[tuple[str, Any]]:
    """The activities that were scheduled, and the JSON of their inputs."""
    return [
        (event["activityType"]["name"], json.loads(event["input"]))
        for event in events
        if event["type"] == "ActivityTaskScheduled"
    ]


def came_back(events: list[dict[str, Any]]) -> dict[str, int]:
    """How often activities ended in each way."""
    ways = ("Completed", "Failed", "Canceled", "TimedOut")
    return Counter(
        event["type"].removeprefix("ActivityTask")
        for event in events
        if event["type"].removeprefix("ActivityTask") in ways
    )


# --- simpleflow ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def simpleflow(tmp_path_factory):
    folder = environment_with(tmp_path_factory.mktemp("simpleflow") / "e", SIMPLEFLOW)
    return folder / "simpleflow"


def test_simpleflows_flow(simpleflow, swf, place, working, orders, tmp_path):
    env = place | {"PYTHONPATH": str(REAL), "SIMPLEFLOW_DISABLE_SETPROCTITLE": "1"}
    at = ("--domain", DOMAIN, "--task-list", DECISIONS)
    flow = "simpleflow_flow.Flow"
    decides = (simpleflow, "decider.start", "--nb-processes", "1", *at, flow)
    starts = (simpleflow, "workflow.start", *at, "--workflow-id", "w", "--input", '["A-17"]', flow)
    orders.undone = {"undone": "A-17"}
    with working(converter=SimpleflowConverter()):
        run(*starts, env=os.environ | env)
        with process(*decides, log=tmp_path / "log", **env) as told:
            cancel(swf, orders, "w")
            read = told.line()
            events = closed(swf, "w")
    assert read == {
        "results": [{"order": "A-17", "amount": 3}, {"order": "A-17", "amount": 4}],
        "failure": {
            "reason": "ValueError: no € left for A-17",
            "error": "ValueError",
            "message": "no € left for A-17",
            "error_type": "ValueError",
            "retryable": True,
        },
        # A future of its own never tells of a cancellation: it waits for another name of it.
        "wait": {"details": {"undone": "A-17"}, "future": "PENDING"},
    }
    assert json.loads(events[-1]["result"]) == read
    assert given(events) == [
        ("Charge", {"args": ["A-17"], "kwargs": {"amount": 3}}),
        ("Charge", {"args": ["A-17"], "kwargs": {"amount": 4}}),
        ("Refuse", {"args": ["A-17"], "kwargs": {}}),
        ("Wait", {"args": ["A-17"], "kwargs": {}}),
    ]
    assert came_back(events) == {"Completed": 2, "Failed": 1, "Canceled": 1}


FAMILY = ("simpleflow_family.Family", "simpleflow_family.Child")
OF_A_FAMILY = {
    "MarkerRecorded",
    "TimerStarted",
    "TimerFired",
    "WorkflowExecutionSignaled",
    "StartChildWorkflowExecutionInitiated",
    "ChildWorkflowExecutionStarted",
    "ChildWorkflowExecutionCompleted",
}
"""What happens in a workflow with a marker, a timer, a signal and a child."""


def test_simpleflow_decides_and_works_with_a_child_a_timer_a_signal_and_a_marker(
    simpleflow, swf, place, tmp_path
):
    """Nothing of ours but the local SWF."""
    env = place | {"PYTHONPATH": str(REAL), "SIMPLEFLOW_DISABLE_SETPROCTITLE": "1"}
    lists = {
        kind: ("--domain", DOMAIN, "--task-list", f"family-{kind}")
        for kind in ("decisions", "tasks")
    }
    one = ("--nb-processes", "1")
    started = (*lists["decisions"], "--workflow-id", "w", "--input", "[21]", FAMILY[0])
    run(simpleflow, "workflow.start", *started, env=os.environ | env)
    decides = (simpleflow, "decider.start", *one, *lists["decisions"], *FAMILY)
    works = (simpleflow, "worker.start", *one, *lists["tasks"])
    with (
        process(*decides, log=tmp_path / "decider", **env) as told,
        process(*works, log=tmp_path / "worker", **env),
    ):
        go = {"signalName": "go", "input": '{"args": ["now"], "kwargs": {}}'}
        swf.signal_workflow_execution(domain=DOMAIN, workflowId="w", **go)
        read = told.line()
        events = closed(swf, "w")
    assert read["child"] == 42
    assert read["marker"] == [{"number": 21}]
    assert "now" in json.dumps(read["signal"])
    assert {event["type"] for event in events} >= OF_A_FAMILY


def test_simpleflow_terminates_the_workflow_that_it_is_told(simpleflow, swf, place):
    """It looks for the run by a filter of the list: with filters that were ignored it ended
    another."""
    swf.register_workflow_type(domain=DOMAIN, name="Flow", version="1")
    ids = [f"w{number}" for number in range(3)]
    for each in ids:
        swf.start_workflow_execution(
            domain=DOMAIN,
            workflowId=each,
            workflowType={"name": "Flow", "version": "1"},
            taskList={"name": DECISIONS},
            childPolicy="TERMINATE",
            executionStartToCloseTimeout="600",
            taskStartToCloseTimeout="60",
        )
    env = os.environ | place | {"SIMPLEFLOW_DISABLE_SETPROCTITLE": "1"}
    run(simpleflow, "workflow.terminate", DOMAIN, "w1", env=env)
    every = {"domain": DOMAIN, "startTimeFilter": {"oldestDate": 0}}
    left = swf.list_open_workflow_executions(**every)["executionInfos"]
    assert [each["execution"]["workflowId"] for each in left] == ["w2", "w0"]
    (ended,) = swf.list_closed_workflow_executions(**every)["executionInfos"]
    assert (ended["execution"]["workflowId"], ended["closeStatus"]) == ("w1", "TERMINATED")


# --- botoflow -----------------------------------------------------------------------------------


class Botoflow(NamedTuple):
    """A Python that has botoflow, and what the environment must say for it."""

    version: str
    python: str | Path
    env: dict[str, str]


@pytest.fixture(scope="module", params=["this", "3.9", "2.7"])
def botoflow(request, tmp_path_factory):
    """With the last botocore that there is for the Python."""
    folder = tmp_path_factory.mktemp("botoflow") / "e"
    if request.param == "this":
        return Botoflow("this", environment_with(folder, BOTOFLOW) / "python", {})
    python = interpreter(request.param)
    if python is None:
        pytest.skip(f"there is no Python {request.param} for botoflow: install it (pyenv has it)")
    run(python, "-m", "pip", "install", "--quiet", "--target", folder, BOTOFLOW)
    return Botoflow(request.param, python, {"PYTHONPATH": str(folder)})


@pytest.fixture
def botoflows_flow(botoflow, swf, place, working, orders, tmp_path):
    """Runs it; returns what it has read, and the events."""
    _, python, env = botoflow
    script = REAL / "botoflow_flow.py"

    def through() -> tuple[Any, list[dict[str, Any]]]:
        with (
            working(converter=BotoflowConverter()),
            process(python, script, "decide", log=tmp_path / "decide", **place | env) as decides,
        ):
            assert decides.line() == "deciding"
            with process(python, script, "start", log=tmp_path / "start", **place | env) as starts:
                workflow_id = starts.line(0)
                cancel(swf, orders, workflow_id)
                read = decides.line(1)
                assert starts.line(1) == read
            return read, closed(swf, workflow_id)

    return through


def test_botoflows_flow(botoflow, botoflows_flow):
    read, events = botoflows_flow()
    printed = read["failure"].pop("printed")
    assert "raise ValueError(" in printed
    assert re.search(r"^ValueError: no (€|\\u20ac) left for A-17\n\Z", printed, re.MULTILINE)
    assert read == {
        "results": [{"order": "A-17", "amount": 3}, {"order": "A-17", "amount": 4}],
        "failure": {
            "cause": "ValueError",
            "message": "no € left for A-17",
            "retryable": True,
        },
        "wait": {"cause": "CancelledError", "requested": True, "canceled": True},
    }
    assert given(events) == [
        ("Charge", [{"__tuple": ["A-17"]}, {"amount": 3}]),
        ("Charge", [{"__tuple": ["A-17"]}, {"amount": 4}]),
        ("Refuse", [{"__tuple": ["A-17"]}, {}]),
        ("Wait", [{"__tuple": ["A-17"]}, {}]),
    ]
    assert came_back(events) == {"Completed": 2, "Failed": 1, "Canceled": 1}


@pytest.mark.parametrize("botoflow", ["this"], indirect=True)
def test_botoflow_reads_the_details_of_a_cancellation(botoflows_flow, orders):
    orders.undone = {"undone": "A-17"}
    read, _ = botoflows_flow()
    assert read["wait"]["canceled"] is True


def test_botoflow_decides_and_works_with_a_child_a_timer_and_a_signal(
    botoflow, swf, place, tmp_path
):
    """Nothing of ours but the local SWF. It calls a child by its own run's id, which has slashes,
    a colon and a number."""
    _, python, env = botoflow
    script = REAL / "botoflow_family.py"

    def begun(what):
        return process(python, script, what, log=tmp_path / what, **place | env)

    with begun("decide") as decides, begun("work") as works:
        assert (decides.line(), works.line()) == ("deciding", "working")
        with begun("start") as starts:
            workflow_id = starts.line(0)
            swf.signal_workflow_execution(
                domain=DOMAIN, workflowId=workflow_id, signalName="go", input="[[], {}]"
            )
            read = starts.line(1)
        assert read["child"] == 42
        assert "/" in read["id"]
        assert ":" in read["id"]
        assert decides.line(1) == read
        happened = {event["type"] for event in closed(swf, workflow_id)}
    assert happened >= OF_A_FAMILY - {"MarkerRecorded"}


# --- JavaScript ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def javascript(tmp_path_factory):
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("there is no node with npm: install them (node 20 or newer)")
    folder = tmp_path_factory.mktemp("javascript")
    run(npm, "install", "--silent", "--no-audit", "--no-fund", CLIENT_SWF, cwd=folder)
    for script in ("decider.mjs", "family.mjs"):
        shutil.copy(REAL / script, folder)  # imports are looked for beside the script
    return node, folder


@pytest.fixture
def flow(swf):
    """Starts one in JavaScript."""
    for name in ("Flow", "Child"):
        swf.register_workflow_type(domain=DOMAIN, name=name, version="1")

    def start():
        swf.start_workflow_execution(
            domain=DOMAIN,
            workflowId="w",
            workflowType={"name": "Flow", "version": "1"},
            taskList={"name": DECISIONS},
            childPolicy="TERMINATE",
            executionStartToCloseTimeout="600",
            taskStartToCloseTimeout="60",
            input='{"order":"A-17"}',
        )

    return start


def test_a_family_in_javascript(javascript, quick_swf, swf, flow, place, working, tmp_path):
    """A marker, a timer, a signal, and a child whose activity our worker does."""
    node, folder = javascript
    decides = (node, folder / "family.mjs", quick_swf.endpoint_url, DOMAIN, DECISIONS, TASKS)
    with working(), process(*decides, log=tmp_path / "log", **place) as told:
        flow()
        swf.signal_workflow_execution(domain=DOMAIN, workflowId="w", signalName="go", input="now")
        read = told.line()
        events = closed(swf, "w")
    assert read == {
        "child": {"order": "A-17", "amount": 1},
        "id": "w/child",
        "signal": "now",
        "sender": 0,
        "marker": {"order": "A-17"},
        "timer": "soon",
    }
    assert {event["type"] for event in events} >= OF_A_FAMILY


def test_a_flow_in_javascript(javascript, quick_swf, swf, flow, place, working, orders, tmp_path):
    node, folder = javascript
    orders.undone = {"undone": "A-17"}
    decides = (node, folder / "decider.mjs", quick_swf.endpoint_url, DOMAIN, DECISIONS, TASKS)
    with working(), process(*decides, log=tmp_path / "log", **place) as told:
        flow()
        cancel(swf, orders, "w")
        read = told.line()
        events = closed(swf, "w")
    assert read == {
        "charged": {
            "is": "completed",
            "attempts": 1,
            "result": {"order": "A-17", "amount": 3},
        },
        "again": {
            "is": "completed",
            "attempts": 2,
            "failures": [
                {
                    "reason": "ConnectionError",
                    "version": 1,
                    "type": "ConnectionError",
                    "message": "the bank is away",
                    "retryable": True,
                }
            ],
            "result": {"order": "A-17", "amount": 4},
        },
        "declined": {
            "is": "failed",
            "attempts": 1,
            "failures": [
                {
                    "reason": "CardDeclined",
                    "version": 1,
                    "type": "ActivityFailed",
                    "message": "CardDeclined",
                    "retryable": False,
                    "details": {"order": "A-17"},
                }
            ],
        },
        "waited": {
            "is": "canceled",
            "attempts": 1,
            "details": {"undone": "A-17"},
            "requested": True,
        },
    }
    assert json.loads(events[-1]["result"]) == read
    assert sorted(given(events), key=str) == [
        ("Charge", {"order": "A-17", "amount": 3}),
        ("Decline", {"order": "A-17"}),
        ("Flaky", {"order": "A-17", "amount": 3}),
        ("Flaky", {"order": "A-17", "amount": 3}),
        ("Wait", {"order": "A-17"}),
    ]
    assert came_back(events) == {"Completed": 2, "Failed": 2, "Canceled": 1}
