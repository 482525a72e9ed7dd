"""``swf-worker schedule``: an activity from a shell, on a real process, against the local SWF."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from contextlib import ExitStack, closing
from itertools import pairwise

import boto3
import pytest
from botocore.config import Config

from swf_worker import ActivityCanceled, ActivityContext, ActivityFailed, ActivityWorker, activity
from swf_worker.cli import schedule
from swf_worker.clock import now
from swf_worker.errors import OperationNotPermittedFault
from swf_worker.local import LocalSwf
from swf_worker.service import one_activity
from swf_worker.service.one_activity import OneActivity
from tests import wire
from tests.commands import environment, swf_worker
from tests.proxy import Proxy


@activity(name="Greet", version="1.0", heartbeat_timeout=30)
def greet(name: str) -> str:
    return f"Hello, {name}!"


@activity(name="Fails", version="1.0")
def fails() -> None:
    raise ActivityFailed("NoPaper", {"tray": 2})


@activity(name="Undoes", version="1.0", heartbeat_interval=0.1)
def undoes(context: ActivityContext) -> None:
    context.wait_for_stop(30)
    raise ActivityCanceled({"undone": True})


@pytest.fixture
def local():
    with LocalSwf(poll_hold=0.5) as swf:
        yield swf


@pytest.fixture
def worker(local):  # before ``one``: it needs the domain
    made = ActivityWorker(
        domain="shell",
        task_list="files",
        activities=[greet, fails, undoes],
        endpoint_url=local.endpoint_url,
    )
    local.client().register_domain(name="shell", workflowExecutionRetentionPeriodInDays="1")
    with made:
        yield made


def where(local):
    return ["--endpoint-url", local.endpoint_url, "--domain", "shell", "--task-list", "files"]


def command(local, *arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "swf_worker", "schedule", *arguments, *where(local)],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def client_for():
    """Makes clients of an address."""
    session = boto3.Session("local", "local", region_name="us-east-1")
    config = Config(retries={"total_max_attempts": 1}, proxies={})
    with ExitStack() as stack:

        def make(url):
            client = session.client("swf", endpoint_url=url, config=config)
            return stack.enter_context(closing(client))

        yield make


def said(process):
    out, err = process.communicate(timeout=40)
    return process.returncode, json.loads(out) if out else None, err.splitlines()


def schedules(local, *arguments):
    """One that ends by itself."""
    said = swf_worker("schedule", *arguments, *where(local))
    return said.code, json.loads(said.out) if said.out else None, said.err.splitlines()


def test_it_registers_what_is_missing_and_prints_the_outcome(local, worker):
    code, outcome, lines = schedules(local, "Greet", "1.0", "--input", '"Ada"', "--wait")
    assert (code, outcome) == (0, {"outcome": "Completed", "result": '"Hello, Ada!"'})
    assert "registered workflow type swf-worker-schedule/1" in lines
    assert "registered activity type Greet/1.0" in lines
    code, _, lines = schedules(local, "Greet", "1.0", "--input", '"Ada"', "--wait")
    assert code == 0
    assert not [line for line in lines if line.startswith("registered")]
    assert [line for line in lines if line.startswith("taken by ")]
    closed = local.client().list_closed_workflow_executions(
        domain="shell", startTimeFilter={"oldestDate": 0}
    )["executionInfos"]
    assert [each["closeStatus"] for each in closed] == ["COMPLETED", "COMPLETED"]


def test_any_other_outcome_is_3(local, worker):
    code, outcome, _ = schedules(local, "Fails", "1.0", "--wait")
    assert code == 3
    assert outcome == {"outcome": "Failed", "reason": "NoPaper", "details": '{"tray":2}'}


def test_ctrl_c_requests_the_cancellation_and_waits_for_it(local, worker):
    with command(local, "Undoes", "1.0", "--wait") as process:
        while not process.stderr.readline().startswith("taken by "):
            pass
        process.send_signal(signal.SIGINT)
        code, outcome, lines = said(process)
    assert (code, outcome) == (3, {"outcome": "Canceled", "details": '{"undone":true}'})
    assert lines[0].startswith("cancel requested; waiting")


def test_a_second_ctrl_c_leaves_it_open(local):
    with command(local, "Greet", "1.0", "--wait") as process:
        while not process.stderr.readline().startswith("scheduled "):
            pass
        process.send_signal(signal.SIGINT)
        assert process.stderr.readline().startswith("cancel requested")
        # Nobody runs it: a task that nobody took is canceled at once, so this may be the outcome.
        process.send_signal(signal.SIGINT)
        code, outcome, lines = said(process)
    assert (code, outcome) in ((130, None), (3, {"outcome": "Canceled"})), lines


def test_without_wait_it_is_scheduled_and_left(local, worker):
    code, outcome, lines = schedules(local, "Greet", "1.0", "--input", '"Ada"')
    assert (code, outcome) == (0, None)
    assert lines[-1] == "scheduled Greet/1.0"
    assert lines[-2].startswith("started workflow schedule-")


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["Greet", "1.0", "--input", "Ada"], 2, "--input is 'Ada', which is not JSON"),
        (["Greet", "1:0"], 1, "RegisterActivityType: ValidationException"),
        (["Greet", "1:0"], 1, "(domain 'shell', region 'us-east-1')"),
    ],
)
def test_what_is_wrong_is_one_line(local, worker, arguments, code, says):
    exit_code, _, lines = schedules(local, *arguments)
    assert exit_code == code
    assert lines[-1].startswith("swf-worker: ")
    assert says in lines[-1]


@pytest.fixture
def one(local):
    """One that is registered, and not started yet."""
    one = OneActivity(local.client(), "shell", "files", "Greet", "1.0")
    for register in one.missing().values():
        register()
    return one


def test_a_list_that_nobody_polls_is_said(one, monkeypatch):
    monkeypatch.setattr(schedule, "PATIENCE", 0.0)
    one.start(None)
    told = []

    def say(line):
        told.append(line)
        if line.startswith("nobody"):  # it is canceled at once, whether it is scheduled by then
            one.request_cancel()

    with one.deciding():
        last = schedule.follow(one, say)
    assert schedule.OUTCOMES[last["eventType"]] == "Canceled"
    assert "nobody has taken it yet: does a worker poll task list 'files'?" in told


def test_a_cancellation_that_comes_before_the_first_decision_is_kept(one):
    one.start(None)
    one.request_cancel()
    with one.deciding():
        last = schedule.follow(one, [].append)
    assert last["eventType"] == "WorkflowExecutionCanceled"
    assert schedule.OUTCOMES[last["eventType"]] == "Canceled"
    assert "ActivityTaskScheduled" not in {event["eventType"] for event in one.events()}


def test_the_workflow_is_closed_before_the_decider_leaves(worker, one):
    one.start('"Ada"')
    with one.deciding():
        last = schedule.follow(one, [].append)
    assert last["eventType"] == "ActivityTaskCompleted"
    assert one.events()[-1]["eventType"] == "WorkflowExecutionCompleted"


def test_a_closing_decision_that_swf_refuses_is_made_again(worker, one, monkeypatch):
    """Where a request came in between the decision task and its answer."""
    call, refused = one._call, []

    def request_comes_first(operation, **given):
        closing_decision = given.get("decisions") == [{"decisionType": "CompleteWorkflowExecution"}]
        if closing_decision and not refused:
            refused.append(operation)
            one.request_cancel()
        return call(operation, **given)

    monkeypatch.setattr(one, "_call", request_comes_first)
    one.start('"Ada"')
    with one.deciding():
        schedule.follow(one, [].append)
    kinds = [event["eventType"] for event in one.events()]
    assert "CompleteWorkflowExecutionFailed" in kinds
    assert kinds[-1] == "WorkflowExecutionCompleted"


def test_a_workflow_that_is_terminated_is_not_waited_for(one):
    one.start(None)

    def say(line):
        if line.startswith("scheduled"):
            one.client.terminate_workflow_execution(domain="shell", workflowId=one.workflow_id)

    with one.deciding() as leave:
        last = schedule.follow(one, say)
        leave.set()
    assert schedule.OUTCOMES[last["eventType"]] == "WorkflowTerminated"


def test_swf_that_is_away_for_a_while_is_waited_out(local, worker, one, client_for, monkeypatch):
    """Neither the command nor its decider gives up, and the decider pauses between its polls."""
    monkeypatch.setattr(one_activity, "AGAIN", 0.1)
    one.start('"Ada"')
    refused = []
    with Proxy(local.endpoint_url) as between:
        one.client = client_for(between.url)
        asked = threading.Semaphore(0)

        def on_poll(**_):
            refused.append(now())
            asked.release()

        one.client.meta.events.register("before-call.swf.PollForDecisionTask", on_poll)
        between.down()
        told = []

        def say(line):
            told.append(line)
            if line.startswith("still waiting"):
                for _ in range(4):
                    assert asked.acquire(timeout=20)
                between.up()

        with one.deciding():
            last = schedule.follow(one, say)
    assert last["eventType"] == "ActivityTaskCompleted"
    assert [line for line in told if line.startswith("still waiting, though SWF doesn't answer")]
    assert all(later - earlier >= 0.1 for earlier, later in pairwise(refused[:4]))


def test_a_decider_that_may_not_decide_says_so(client_for):
    """Nothing would ever be scheduled: waiting on would say nothing at all."""
    denied = wire.fault("AccessDeniedException")
    nothing_yet = wire.http(200, {"events": []})
    script = {"PollForDecisionTask": [denied], "GetWorkflowExecutionHistory": [nothing_yet]}
    with wire.Wire(**script) as service:
        one = OneActivity(client_for(service.url), "shell", "files", "Greet", "1.0", run_id="any")
        with one.deciding(), pytest.raises(OperationNotPermittedFault, match="PollForDecisionTask"):
            schedule.follow(one, [].append)


@pytest.mark.parametrize("answer", ["n", "", "y"])
def test_aws_is_asked_before_anything_is_registered(local, monkeypatch, answer, capsys):
    monkeypatch.setattr("builtins.input", lambda prompt: answer)
    one = OneActivity(local.client(), "shell", "files", "Greet", "1.0")
    assert schedule.registered(one, ask=True) is (answer == "y")
    assert "This registers in AWS: domain shell, workflow type" in capsys.readouterr().err
    assert len(one.missing()) == (0 if answer == "y" else 3)
