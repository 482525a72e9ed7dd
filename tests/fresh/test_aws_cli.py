"""``swf-worker dev`` under AWS's own command line: every subcommand of ``aws swf`` once."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from botocore import xform_name

from tests.fresh.conftest import environment_with, newcomer, run

SUBCOMMANDS = """
import json
from awscli.clidriver import create_clidriver
of_all = create_clidriver().create_help_command().command_table
print(json.dumps(list(of_all["swf"].create_help_command().command_table)))
"""
RENAMED = {
    (f"Register{kind}Type", "version"): f"{kind.lower()}-version"
    for kind in ("Activity", "Workflow")
}
"""The command line has a --version of its own."""
REFUSED = 255
"""Its exit code; version 2, which no index has, says 254."""
WORK, FLOW = ({"name": name, "version": "1"} for name in ("Work", "Flow"))
NEVER = dict.fromkeys(
    (
        "defaultTaskHeartbeatTimeout",
        "defaultTaskScheduleToCloseTimeout",
        "defaultTaskScheduleToStartTimeout",
        "defaultTaskStartToCloseTimeout",
    ),
    "NONE",
)
EVERY = {"domain": "cli", "startTimeFilter": {"oldestDate": 0}}


class Aws:
    """``aws swf``, and the subcommands that were called."""

    def __init__(self, folder, url):
        self._folder = folder
        self._place = ["--endpoint-url", url, "--region", "eu-west-1", "--output", "json"]
        self._env = newcomer() | {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y"}
        self.called = set()

    def subcommands(self):
        return set(json.loads(run(self._folder / "python", "-c", SUBCOMMANDS)))

    def __call__(self, operation, code=0, **members):
        """What it prints."""
        flags = []
        for name, value in members.items():
            name = RENAMED.get((operation, name), xform_name(name, "-"))
            flags += [f"--{name}", value if isinstance(value, str) else json.dumps(value)]
        subcommand = xform_name(operation, "-")
        self.called.add(subcommand)
        command = [self._folder / "aws", "swf", subcommand, *self._place, *flags]
        said = run(*command, code=code, env=self._env)
        return said if code else json.loads(said or "{}")


@pytest.fixture(scope="module")
def aws(tmp_path_factory):
    folder = environment_with(tmp_path_factory.mktemp("awscli") / "e", "awscli")
    command = [sys.executable, "-m", "swf_worker", "dev", "--port", "0", "--poll-hold", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as dev:
        yield Aws(folder, dev.stdout.readline().split()[-1])
        dev.terminate()


def decision(kind, attributes):
    name = f"{kind[0].lower()}{kind[1:]}DecisionAttributes"
    return [{"decisionType": kind, name: attributes}]


def test_every_subcommand_once(aws):
    registers_and_describes(aws)
    execution = runs(aws)
    lists_and_counts(aws, execution)
    deprecates(aws)
    assert aws.called == aws.subcommands() - {"help"}


def registers_and_describes(aws):
    aws("RegisterDomain", name="cli", workflowExecutionRetentionPeriodInDays="1")
    (domain,) = aws("ListDomains", registrationStatus="REGISTERED")["domainInfos"]
    told = aws("DescribeDomain", name="cli")
    assert told["domainInfo"] == domain
    assert told["configuration"]["workflowExecutionRetentionPeriodInDays"] == "1"
    arn = domain["arn"]
    aws("TagResource", resourceArn=arn, tags=[{"key": "k", "value": "v"}, {"key": "l"}])
    aws("UntagResource", resourceArn=arn, tagKeys="l")
    told = aws("ListTagsForResource", resourceArn=arn)
    assert told == {"tags": [{"key": "k", "value": "v"}]}
    lists = {"defaultTaskList": {"name": "l"}}
    aws("RegisterActivityType", domain="cli", **WORK, **NEVER, **lists)
    aws(
        "RegisterWorkflowType",
        domain="cli",
        **FLOW,
        **lists,
        defaultChildPolicy="TERMINATE",
        defaultTaskStartToCloseTimeout="60",
        defaultExecutionStartToCloseTimeout="3600",
    )
    for kind, which in (("Activity", WORK), ("Workflow", FLOW)):
        (info,) = aws(f"List{kind}Types", domain="cli", registrationStatus="REGISTERED")[
            "typeInfos"
        ]
        named = {f"{kind.lower()}Type": which}
        told = aws(f"Describe{kind}Type", domain="cli", **named)
        assert told["typeInfo"] == info
        assert told["configuration"]["defaultTaskList"] == {"name": "l"}


def runs(aws):
    """An execution whose activities end in each way; two more are terminated and canceled."""
    polled = {"domain": "cli", "taskList": {"name": "l"}}
    started = {"domain": "cli", "workflowType": FLOW}
    run_id = aws("StartWorkflowExecution", workflowId="w", **started)["runId"]
    assert aws("CountPendingDecisionTasks", **polled)["count"] == 1
    task = aws("PollForDecisionTask", **polled)
    assert task["workflowExecution"] == {"workflowId": "w", "runId": run_id}
    made = [
        each
        for name in "abc"
        for each in decision("ScheduleActivityTask", {"activityId": name, "activityType": WORK})
    ]
    aws("RespondDecisionTaskCompleted", taskToken=task["taskToken"], decisions=made)
    assert aws("CountPendingActivityTasks", **polled)["count"] == 3
    tokens = [aws("PollForActivityTask", **polled)["taskToken"] for _ in range(3)]
    beaten = {"taskToken": tokens[0], "details": "half"}
    assert aws("RecordActivityTaskHeartbeat", **beaten) == {"cancelRequested": False}
    signal = {"domain": "cli", "workflowId": "w", "signalName": "stop"}
    aws("SignalWorkflowExecution", **signal)
    task = aws("PollForDecisionTask", **polled)
    stop = decision("RequestCancelActivityTask", {"activityId": "a"})
    aws("RespondDecisionTaskCompleted", taskToken=task["taskToken"], decisions=stop)
    assert aws("RecordActivityTaskHeartbeat", **beaten) == {"cancelRequested": True}
    aws("RespondActivityTaskCanceled", taskToken=tokens[0], details="undone")
    aws("RespondActivityTaskFailed", taskToken=tokens[1], reason="r", details="d")
    aws("RespondActivityTaskCompleted", taskToken=tokens[2], result="r")
    said = aws("RespondActivityTaskCompleted", REFUSED, taskToken=tokens[2], result="r")
    assert "UnknownResourceFault" in said
    task = aws("PollForDecisionTask", **polled)
    done = decision("CompleteWorkflowExecution", {"result": "r"})
    aws("RespondDecisionTaskCompleted", taskToken=task["taskToken"], decisions=done)
    for name in ("ended", "open"):
        aws("StartWorkflowExecution", workflowId=name, **started)
    aws("RequestCancelWorkflowExecution", domain="cli", workflowId="open")
    aws("TerminateWorkflowExecution", domain="cli", workflowId="ended", reason="r")
    return {"workflowId": "w", "runId": run_id}


def lists_and_counts(aws, execution):
    told = aws("DescribeWorkflowExecution", domain="cli", execution=execution)
    assert told["executionInfo"]["closeStatus"] == "COMPLETED"
    history = aws("GetWorkflowExecutionHistory", domain="cli", execution=execution)
    kinds = {event["eventType"] for event in history["events"]}
    assert {f"ActivityTask{way}" for way in ("Completed", "Failed", "Canceled")} <= kinds
    (info,) = aws("ListOpenWorkflowExecutions", **EVERY)["executionInfos"]
    assert info["execution"]["workflowId"] == "open"
    assert info["cancelRequested"] is True
    assert aws("CountOpenWorkflowExecutions", **EVERY)["count"] == 1
    for status, name in (("COMPLETED", "w"), ("TERMINATED", "ended")):
        asked = EVERY | {"closeStatusFilter": {"status": status}}
        (info,) = aws("ListClosedWorkflowExecutions", **asked)["executionInfos"]
        assert info["execution"]["workflowId"] == name
        assert aws("CountClosedWorkflowExecutions", **asked)["count"] == 1


def deprecates(aws):
    for kind, which in (("Activity", WORK), ("Workflow", FLOW)):
        named = {"domain": "cli", f"{kind.lower()}Type": which}
        for verb in ("Deprecate", "Undeprecate", "Deprecate", "Delete"):
            aws(f"{verb}{kind}Type", **named)
        assert "UnknownResourceFault" in aws(f"Describe{kind}Type", REFUSED, **named)
    aws("DeprecateDomain", name="cli")
    assert "DomainDeprecatedFault" in aws("DeprecateDomain", REFUSED, name="cli")
    aws("UndeprecateDomain", name="cli")
