"""The local SWF against moto, and against its own conformance script."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from typing import Any

import boto3
from botocore.exceptions import ClientError
from moto import mock_aws
from moto.core import patch_client
from moto.swf.responses import SWFResponse

from swf_worker.local import LocalSwf
from swf_worker.local.conformance import __main__ as conformance
from swf_worker.local.conformance import contract, questions
from tests.local.plain import Plain

MOTO_PROVEN = ("5.1", "5.3")
"""From, and below: the versions whose SWF models were read."""


DIFFERENCES = {
    "canceled": "moto has no RespondActivityTaskCanceled",
    "completed twice, failed first": "moto answers 500 for a task that failed",
    "pending activities": "moto counts started tasks as pending; SWF counts what is scheduled",
    "decision": "moto leaves previousStartedEventId out of a first decision task; here it is 0",
    "history": "moto may schedule a decision task an event; SWF has one waiting at most",
    "too long": "moto checks no lengths",
    "signal without input": "moto insists on an input",
    "scheduled": "moto leaves the type's defaults out of ActivityTaskScheduled",
    "pending decisions": "moto lets several decision tasks wait",
    "pending decisions, one polled": "moto counts a polled decision task as pending",
    "listed in a deprecated domain": "moto refuses, the API reference allows it",
    "counted": "moto has no counts of executions",
    "deleted": "moto deletes no types",
    "registered in a deprecated domain": "moto registers it",
    "cancel requested": "moto takes a decision to cancel for a request",
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
    left = swf.list_open_workflow_executions(domain="both", startTimeFilter={"oldestDate": 0})
    ids = [each["execution"]["workflowId"] for each in left["executionInfos"]]
    assert len(ids) == 2
    assert ids.pop(ids.index("fixed"))
    swf.terminate_workflow_execution(domain="both", workflowId=ids[0])
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
    said["scheduled"] = plain.attributes(execution, "ActivityTaskScheduled")
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
    said["pending decisions"] = tell(
        swf.count_pending_decision_tasks, domain="both", taskList={"name": "decide"}
    )
    polled = swf.poll_for_decision_task(domain="both", taskList={"name": "decide"})
    said["pending decisions, one polled"] = tell(
        swf.count_pending_decision_tasks, domain="both", taskList={"name": "decide"}
    )
    said["decided nothing"] = tell(
        swf.respond_decision_task_completed, taskToken=polled["taskToken"]
    )
    said["terminated"] = tell(swf.terminate_workflow_execution, domain="both", workflowId="fixed")
    said["described"] = (
        tell(swf.describe_workflow_execution, domain="both", execution=execution)
        .get("executionInfo", {})
        .get("executionStatus")
    )
    canceled = plain.start()
    plain.decide(("CancelWorkflowExecution", {"details": "d"}))
    told = swf.describe_workflow_execution(domain="both", execution=canceled)["executionInfo"]
    said["canceled by decision"] = told["executionStatus"], told["closeStatus"]
    said["cancel requested"] = told["cancelRequested"]
    for name, call in (
        ("deprecated", swf.deprecate_activity_type),
        ("deprecated again", swf.deprecate_activity_type),
    ):
        said[name] = tell(call, domain="both", activityType={"name": "Work", "version": "1"})
    said["domain deprecated"] = tell(swf.deprecate_domain, name="both")
    said["domain deprecated again"] = tell(swf.deprecate_domain, name="both")
    every = {"domain": "both", "startTimeFilter": {"oldestDate": 0}}
    said["listed in a deprecated domain"] = tell(swf.list_open_workflow_executions, **every)
    said["counted"] = tell(swf.count_open_workflow_executions, **every)
    said["registered in a deprecated domain"] = tell(
        swf.register_activity_type, domain="both", name="Late", version="1"
    )
    said["undeprecated"] = tell(swf.undeprecate_domain, name="both")
    said["undeprecated again"] = tell(swf.undeprecate_domain, name="both")
    work = {"domain": "both", "activityType": {"name": "Work", "version": "1"}}
    said["deleted"] = tell(swf.delete_activity_type, **work)
    arn = swf.describe_domain(name="both")["domainInfo"]["arn"]
    if hasattr(SWFResponse, "tag_resource"):  # from moto 5.2 on
        swf.tag_resource(resourceArn=arn, tags=[{"key": k, "value": "v"} for k in "kl"])
        swf.untag_resource(resourceArn=arn, tagKeys=["l"])
        said["tags"] = tell(swf.list_tags_for_resource, resourceArn=arn)
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


def connected(local):
    session = boto3.Session("local", "local", region_name="us-east-1")
    return lambda config: session.client("swf", endpoint_url=local.endpoint_url, config=config)


def test_the_local_swf_conforms(capsys):
    with LocalSwf(poll_hold=2.5) as local:
        swf = local.client()
        run = conformance.Run(swf, "conformance", 10, connected(local))
        created = run.prepare()
        assert len(created) == 3
        assert conformance.check(run) == 0, capsys.readouterr().out
        assert run.prepare() == []
        run.clean_up(created)
        left = swf.list_open_workflow_executions(
            domain="conformance", startTimeFilter={"oldestDate": 0}
        )
        assert left["executionInfos"] == []
        told = swf.describe_domain(name="conformance")
        assert told["domainInfo"]["status"] == "DEPRECATED"
        assert run.prepare() == created, "another run uses them again"
    out = capsys.readouterr().out
    assert "15 of 15 as expected" in out
    assert "told     Canceled without a request: refused" in out
    assert "the dead poll got the task" in out
    assert "where 1,000 are asked: 100 of 157; a history, where nothing is asked: 157" in out
    assert "a:b: accepted; a/b: refused" in out
    assert "ScheduleActivityTask: refused with ValidationException: Specified decision" in out
    assert "StartChildWorkflowExecution: accepted" in out
    assert "unclear" not in out


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
    monkeypatch.setattr(conformance, "QUESTIONS", (questions.units,))
    with LocalSwf(poll_hold=0.5) as local:
        arguments = ["--domain", "d", "--region", "us-east-1", "--endpoint-url", local.endpoint_url]
        assert conformance.main(arguments) == 0
        assert "created: nothing" not in capsys.readouterr().out
