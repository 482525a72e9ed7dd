"""The local SWF against moto, against its own conformance script, and under load."""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st
from moto import mock_aws
from moto.core import patch_client

from swf_worker.local import LocalSwf, ManualClock, operations, validation
from swf_worker.local.backend import LocalBackend
from swf_worker.local.conformance import __main__ as conformance
from swf_worker.local.conformance import contract
from tests.local.plain import Plain, client, refused

# --- moto, as a second opinion ------------------------------------------------------------------

MOTO_PROVEN = ("5.1", "5.3")
"""From, and below: the versions whose SWF models were read."""

DIFFERENCES = {
    "canceled": "moto has no RespondActivityTaskCanceled",
    "completed twice, failed first": "moto answers 500 for a task that failed",
    "pending activities": "moto counts started tasks as pending; SWF counts what is scheduled",
    "history": "moto may schedule a decision task an event; SWF has one waiting at most",
    "too long": "moto checks no lengths",
    "signal without input": "moto insists on an input",
}


def test_moto_is_of_a_version_that_was_read():
    """Its internals are subclassed: when it moves on, read its SWF models again, run this file, and
    move the bound in pyproject.toml."""
    version = tuple(int(part) for part in importlib.metadata.version("moto").split(".")[:2])
    low, high = (tuple(map(int, bound.split("."))) for bound in MOTO_PROVEN)
    assert low <= version < high


def tell(call: Any, **given: Any) -> Any:
    """What a call says, without what differs from run to run."""
    try:
        return plain_form(call(**given))
    except ClientError as error:
        return error.response["Error"]["Code"], error.response["Error"]["Message"]
    except NotImplementedError as error:
        return str(error)
    except Exception as error:
        return type(error).__name__


def plain_form(value: Any) -> Any:
    if isinstance(value, dict):
        varying = (
            "ResponseMetadata",
            "taskToken",
            "runId",
            "eventTimestamp",
            "startTimestamp",
            "closeTimestamp",
            "creationDate",
            "deprecationDate",
            "latestActivityTaskTimestamp",
            "arn",
        )
        return {k: plain_form(v) for k, v in value.items() if k not in varying}
    return [plain_form(each) for each in value] if isinstance(value, list) else value


def the_same_calls(swf: Any) -> dict[str, Any]:
    """What moto's SWF does right, and what it doesn't, step by step."""
    said: dict[str, Any] = {}
    plain = Plain(swf, "both")
    said["domain again"] = tell(
        swf.register_domain, name="both", workflowExecutionRetentionPeriodInDays="1"
    )
    said["domains"] = tell(swf.list_domains, registrationStatus="REGISTERED")
    said["domain"] = tell(swf.describe_domain, name="both")
    said["unknown domain"] = tell(swf.describe_domain, name="nope")
    said["type"] = tell(
        swf.describe_activity_type, domain="both", activityType={"name": "Work", "version": "1"}
    )
    said["unknown type"] = tell(
        swf.describe_activity_type, domain="both", activityType={"name": "Nope", "version": "1"}
    )
    said["types"] = tell(swf.list_activity_types, domain="both", registrationStatus="REGISTERED")
    execution = plain.start(input="in", tagList=["t"])
    execution["workflowId"] = "fixed"
    run = swf.start_workflow_execution(
        domain="both", workflowId="fixed", workflowType={"name": "Flow", "version": "1"}
    )
    execution["runId"] = run["runId"]
    said["started again"] = tell(
        swf.start_workflow_execution,
        domain="both",
        workflowId="fixed",
        workflowType={"name": "Flow", "version": "1"},
    )
    swf.terminate_workflow_execution(
        domain="both",
        workflowId=swf.list_open_workflow_executions(
            domain="both", startTimeFilter={"oldestDate": 0}
        )["executionInfos"][0]["execution"]["workflowId"],
    )
    said["decision"] = {
        key: value
        for key, value in plain_form(
            plain.decide(
                plain.schedule("a", input="x"),
                plain.schedule("b"),
                ("RecordMarker", {"markerName": "m"}),
            )
        ).items()
        if key not in ("workflowExecution", "events")
    }
    said["pending activities"] = None
    first, second = plain.poll(), plain.poll()
    said["pending activities"] = tell(
        swf.count_pending_activity_tasks, domain="both", taskList={"name": "work"}
    )
    said["polled"] = {k: v for k, v in plain_form(first).items() if k != "workflowExecution"}
    said["heartbeat"] = tell(
        swf.record_activity_task_heartbeat, taskToken=first["taskToken"], details="d"
    )
    said["made-up token"] = tell(swf.respond_activity_task_completed, taskToken="made-up")
    said["too long"] = tell(
        swf.record_activity_task_heartbeat, taskToken=first["taskToken"], details="x" * 2049
    )
    said["completed"] = tell(
        swf.respond_activity_task_completed, taskToken=first["taskToken"], result="r"
    )
    said["completed twice"] = tell(
        swf.respond_activity_task_completed, taskToken=first["taskToken"], result="r"
    )
    said["failed"] = tell(
        swf.respond_activity_task_failed, taskToken=second["taskToken"], reason="r", details="d"
    )
    said["completed twice, failed first"] = tell(
        swf.respond_activity_task_completed, taskToken=second["taskToken"]
    )
    said["signal"] = tell(
        swf.signal_workflow_execution, domain="both", workflowId="fixed", signalName="s", input="i"
    )
    said["signal without input"] = tell(
        swf.signal_workflow_execution, domain="both", workflowId="fixed", signalName="s"
    )
    said["signal to nobody"] = tell(
        swf.signal_workflow_execution, domain="both", workflowId="nobody", signalName="s", input="i"
    )
    said["canceled"] = tell(swf.respond_activity_task_canceled, taskToken=first["taskToken"])
    said["history"] = [
        event["eventType"]
        for event in swf.get_workflow_execution_history(domain="both", execution=execution)[
            "events"
        ]
    ]
    said["terminated"] = tell(swf.terminate_workflow_execution, domain="both", workflowId="fixed")
    said["described"] = (
        tell(swf.describe_workflow_execution, domain="both", execution=execution)
        .get("executionInfo", {})
        .get("executionStatus")
    )
    for name, call in (
        ("deprecated", swf.deprecate_activity_type),
        ("deprecated again", swf.deprecate_activity_type),
    ):
        said[name] = tell(call, domain="both", activityType={"name": "Work", "version": "1"})
    said["domain deprecated"] = tell(swf.deprecate_domain, name="both")
    said["domain deprecated again"] = tell(swf.deprecate_domain, name="both")
    return said


def test_what_motos_swf_does_right_still_holds(monkeypatch):
    for name, value in (("AWS_ACCESS_KEY_ID", "x"), ("AWS_SECRET_ACCESS_KEY", "y")):
        monkeypatch.setenv(name, value)
    with mock_aws():
        client = boto3.client("swf", region_name="us-east-1")
        patch_client(client)  # (conftest has taken moto's hook out of new sessions)
        moto = the_same_calls(client)
    with LocalSwf(poll_hold=0.2) as local:
        ours = the_same_calls(local.client())
    assert moto.keys() == ours.keys()
    differing = {name for name in moto if moto[name] != ours[name]}
    assert differing == DIFFERENCES.keys(), {
        name: (moto[name], ours[name]) for name in differing ^ DIFFERENCES.keys()
    }
    assert len(moto) - len(differing) >= 20


# --- the conformance script ---------------------------------------------------------------------


def connected(local):
    session = boto3.Session("local", "local", region_name="us-east-1")
    return lambda config: session.client("swf", endpoint_url=local.endpoint_url, config=config)


def test_the_local_swf_conforms(capsys):
    with LocalSwf(poll_hold=5) as local:
        swf = local.client()
        run = conformance.Run(swf, "conformance", 10, connected(local))
        created = run.prepare()
        assert len(created) == 3
        assert conformance.check(run) == 0, capsys.readouterr().out
        run.clean_up(created)
        assert run.prepare() == []
        left = swf.list_open_workflow_executions
        refused(
            left, "DomainDeprecatedFault", domain="conformance", startTimeFilter={"oldestDate": 0}
        )
        told = swf.describe_domain(name="conformance")
        assert told["domainInfo"]["status"] == "DEPRECATED"
    out = capsys.readouterr().out
    assert "14 of 14 as expected" in out
    assert "told     Canceled without a request: refused" in out
    assert "the dead poll got the task" in out


def test_a_service_that_differs_is_told(capsys, monkeypatch):
    monkeypatch.setattr(conformance, "QUESTIONS", ())
    monkeypatch.setattr(conformance, "CONTRACT", (contract.malformed_token,))
    with LocalSwf(poll_hold=0.2) as local:
        run = conformance.Run(local.client(), "d", 1, connected(local))
        monkeypatch.setattr(run.swf, "respond_activity_task_completed", lambda **_: {})
        assert conformance.check(run) == 1
    assert "DIFFERS  a made-up token is refused as invalid: it was accepted" in (
        capsys.readouterr().out
    )


def test_nothing_is_created_on_aws_unless_somebody_says_yes():
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "swf_worker.local.conformance",
            "--domain",
            "d",
            "--region",
            "us-east-1",
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert "This is AWS" in done.stdout
    assert "nothing was created" in done.stdout


def test_the_script_runs_against_an_endpoint(monkeypatch, capsys):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "y")
    monkeypatch.setattr(conformance, "CONTRACT", (contract.lengths,))
    monkeypatch.setattr(conformance, "QUESTIONS", (contract.units,))
    with LocalSwf(poll_hold=0.5) as local:
        arguments = ["--domain", "d", "--region", "us-east-1", "--endpoint-url", local.endpoint_url]
        assert conformance.main(arguments) == 0
        assert "created: nothing" not in capsys.readouterr().out


# --- names, durations, numbers: what the model says in words ------------------------------------


@pytest.fixture
def plain(quick_swf):
    return Plain(quick_swf.client())


@pytest.mark.parametrize("name", ["a:b", "a/b", "a|b", "a\x07b", "arn"])
def test_names_follow_the_rules_of_the_model(plain, name):
    swf = plain.swf
    calls = (
        (swf.register_domain, {"name": name, "workflowExecutionRetentionPeriodInDays": "1"}),
        (swf.register_activity_type, {"domain": "plain", "name": name, "version": "1"}),
        (swf.register_activity_type, {"domain": "plain", "name": "n", "version": name}),
        (swf.poll_for_activity_task, {"domain": "plain", "taskList": {"name": name}}),
        (
            swf.start_workflow_execution,
            {
                "domain": "plain",
                "workflowId": name,
                "workflowType": {"name": "Flow", "version": "1"},
            },
        ),
    )
    for call, asked in calls:
        refused(call, "ValidationException", "failed to satisfy constraint", **asked)


def test_spaces_durations_and_numbers(plain):
    swf = plain.swf
    refused(
        swf.poll_for_activity_task,
        "ValidationException",
        "whitespace",
        domain="plain",
        taskList={"name": " x"},
    )
    for wrong in ("-1", "1.5", "soon"):
        refused(
            swf.register_activity_type,
            "ValidationException",
            "integer",
            domain="plain",
            name="n",
            version="1",
            defaultTaskHeartbeatTimeout=wrong,
        )
    refused(
        swf.get_workflow_execution_history,
        "ValidationException",
        "less than or equal to 1000",
        domain="plain",
        execution=plain.start(),
        maximumPageSize=1001,
    )


def test_the_other_failures_of_scheduling(plain):
    swf = plain.swf
    swf.register_activity_type(domain="plain", name="Old", version="1")
    swf.deprecate_activity_type(domain="plain", activityType={"name": "Old", "version": "1"})
    execution = plain.start()
    plain.decide(plain.schedule(activityType={"name": "Old", "version": "1"}))
    assert plain.attributes(execution, "ScheduleActivityTaskFailed")["cause"] == (
        "ACTIVITY_TYPE_DEPRECATED"
    )
    plain.decide(*(plain.schedule(f"a{number}") for number in range(1001)))
    latest = swf.get_workflow_execution_history(
        domain="plain", execution=execution, reverseOrder=True, maximumPageSize=2
    )["events"]
    told = latest[1]["scheduleActivityTaskFailedEventAttributes"]
    assert (told["activityId"], told["cause"]) == ("a1000", "OPEN_ACTIVITIES_LIMIT_EXCEEDED")


NONSENSE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=8)
    | st.sampled_from(["plain", "1"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "domain",
                    "name",
                    "version",
                    "taskList",
                    "taskToken",
                    "workflowId",
                    "runId",
                    "execution",
                    "activityType",
                    "workflowType",
                    "decisions",
                    "decisionType",
                    "status",
                    "startTimeFilter",
                    "oldestDate",
                    "registrationStatus",
                    "tagFilter",
                    "tag",
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(validation.swf_model().operation_names), NONSENSE)
def test_no_nonsense_is_a_500(operation, body):
    backend = LocalBackend(ManualClock(), poll_hold=0)
    try:
        backend.register_domain("plain", "1")
        status, text = operations.answer(
            backend, f"SimpleWorkflowService.{operation}", json.dumps(body).encode()
        )
    finally:
        backend.close()
    assert status in (200, 400)
    if status == 400:
        assert json.loads(text)["__type"]


# --- fast, and safe under threads ---------------------------------------------------------------


@pytest.fixture
def dev(dev_process):
    return dev_process[0]


@pytest.fixture
def dev_process():
    with subprocess.Popen(
        [sys.executable, "-m", "swf_worker", "dev", "--poll-hold", "1"],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield process.stdout.readline().split()[-1], process.pid
        process.terminate()


def many(plain: Plain, count: int, **given: Any) -> None:
    plain.start()
    for start in range(0, count, 100):
        if start:
            execution = plain.start()
            assert execution
        plain.decide(*(plain.schedule(f"a{n}", **given) for n in range(start, start + 100)))


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def pairs(plain: Plain, count: int, pid: int) -> tuple[float, float]:
    """Pairs of poll and answer a second, and the service's CPU seconds for each."""
    began, cpu = time.perf_counter(), cpu_seconds(pid)
    for _ in range(count):
        token = plain.poll()["taskToken"]
        plain.swf.respond_activity_task_completed(taskToken=token)
    return count / (time.perf_counter() - began), (cpu_seconds(pid) - cpu) / count


@pytest.mark.skipif(not Path("/proc").exists(), reason="reads CPU times from /proc")
def test_a_thousand_open_activities_slow_nothing_down(dev_process, record_property):
    """The service's work for a pair and for a heartbeat doesn't grow with what is open. Held by its
    CPU time, which a busy machine doesn't change; the rates are printed."""
    url, pid = dev_process
    swf = client(url)
    plain = Plain(swf)
    many(plain, 500)
    before, cost_before = pairs(plain, 500, pid)
    many(plain, 1000, taskList={"name": "held"})
    tokens = [plain.poll("held")["taskToken"] for _ in range(1000)]
    many(plain, 500)
    after, cost_after = pairs(plain, 500, pid)
    beats, cpu = [], cpu_seconds(pid)
    for token in tokens[:500]:
        began = time.perf_counter()
        plain.beat(token, "d")
        beats.append(time.perf_counter() - began)
    beat_cost = (cpu_seconds(pid) - cpu) / 500
    swf.close()
    record_property(
        "figure",
        f"{before:.0f} pairs/s, {after:.0f} with 1,000 activities open "
        f"({cost_before * 1000:.2f} and {cost_after * 1000:.2f} ms of the service's CPU); "
        f"a heartbeat takes {sorted(beats)[250] * 1000:.1f} ms (median)",
    )
    assert cost_after < cost_before * 1.5 + 0.0002
    assert cost_after < 1 / 300, "300 pairs a second are out of reach"
    assert beat_cost < 0.01


@pytest.mark.parametrize("count", [400, pytest.param(1600, marks=pytest.mark.full)])
def test_eight_threads_and_none_twice_none_lost(dev, count):
    swf = client(dev)
    many(Plain(swf), count)
    seen: Counter[str] = Counter()
    lock = threading.Lock()

    def work() -> None:
        own = Plain.__new__(Plain)
        own.swf, own.domain = client(dev), "plain"
        while (task := own.poll()).get("taskToken"):
            own.swf.respond_activity_task_completed(taskToken=task["taskToken"])
            with lock:
                seen[task["taskToken"]] += 1
        own.swf.close()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    swf.close()
    assert len(seen) == count
    assert set(seen.values()) == {1}
