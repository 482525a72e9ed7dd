"""The whole cancel contract through ``swf-worker dev``, with plain boto3 and no line of the SDK."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

from tests.local.plain import Plain, client, refused


@pytest.fixture(scope="module")
def dev():
    process = subprocess.Popen(
        [sys.executable, "-m", "swf_worker", "dev", "--port", "0", "--poll-hold", "5"],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        line = process.stdout.readline()
        assert "http://127.0.0.1:" in line
        yield line.split()[-1]
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(5) == 0
        process.stdout.close()


@pytest.fixture
def plain(dev, request):
    swf = client(dev)
    yield Plain(swf, domain=request.node.name[:200].replace("[", "-").replace("]", ""))
    swf.close()


def test_a_started_activity_hears_of_the_request_and_may_answer_canceled(plain):
    execution = plain.start()
    plain.decide(plain.schedule())
    token = plain.poll()["taskToken"]
    assert plain.beat(token, "1 of 2") is False
    refused(plain.swf.respond_activity_task_canceled, "ValidationException", taskToken=token)

    plain.swf.request_cancel_workflow_execution(
        domain=plain.domain, workflowId=execution["workflowId"]
    )
    decision = plain.decide(plain.request_cancel())
    assert decision["events"][-3]["eventType"] == "WorkflowExecutionCancelRequested"

    assert plain.beat(token) is True
    assert plain.beat(token) is True, "once true it stays true"
    plain.swf.respond_activity_task_canceled(taskToken=token, details="undone")
    for call in (
        plain.swf.respond_activity_task_canceled,
        plain.swf.respond_activity_task_completed,
        plain.swf.respond_activity_task_failed,
        plain.swf.record_activity_task_heartbeat,
    ):
        refused(call, "UnknownResourceFault", "Unknown activity", taskToken=token)

    requested = next(
        event["eventId"]
        for event in plain.events(execution)
        if event["eventType"] == "ActivityTaskCancelRequested"
    )
    assert plain.attributes(execution, "ActivityTaskCanceled") == {
        "details": "undone",
        "scheduledEventId": 5,
        "startedEventId": 6,
        "latestCancelRequestedEventId": requested,
    }
    plain.decide(("CancelWorkflowExecution", {}))
    assert plain.kinds(execution)[-1] == "WorkflowExecutionCanceled"


def test_a_request_may_be_ignored_and_the_task_completed(plain):
    execution = plain.start()
    plain.decide(plain.schedule())
    token = plain.poll()["taskToken"]
    plain.swf.signal_workflow_execution(
        domain=plain.domain, workflowId=execution["workflowId"], signalName="stop"
    )
    plain.decide(plain.request_cancel())
    assert plain.beat(token) is True
    plain.swf.respond_activity_task_completed(taskToken=token, result="done")
    assert plain.attributes(execution, "ActivityTaskCompleted")["result"] == "done"


def test_an_activity_that_nobody_took_is_canceled_at_once(plain):
    execution = plain.start()
    plain.decide(plain.schedule(), plain.request_cancel())
    assert plain.kinds(execution)[-3:] == [
        "ActivityTaskCancelRequested",
        "ActivityTaskCanceled",
        "DecisionTaskScheduled",
    ]
    assert plain.attributes(execution, "ActivityTaskCanceled")["startedEventId"] == 0
    pending = plain.swf.count_pending_activity_tasks(domain=plain.domain, taskList={"name": "work"})
    assert pending["count"] == 0


def test_a_request_for_an_unknown_activity_fails_as_a_decision(plain):
    execution = plain.start()
    plain.decide(plain.request_cancel("nobody"))
    assert plain.attributes(execution, "RequestCancelActivityTaskFailed") == {
        "activityId": "nobody",
        "cause": "ACTIVITY_ID_UNKNOWN",
        "decisionTaskCompletedEventId": 4,
    }
    plain.decide(("CompleteWorkflowExecution", {}))


def test_closed_executions_answer_unknown_execution(plain):
    execution = plain.start()
    plain.decide(plain.schedule("a"), plain.schedule("b"))
    token = plain.poll()["taskToken"]
    plain.swf.terminate_workflow_execution(
        domain=plain.domain, workflowId=execution["workflowId"], reason="enough"
    )
    refused(
        plain.swf.record_activity_task_heartbeat,
        "UnknownResourceFault",
        "Unknown execution",
        taskToken=token,
    )
    refused(
        plain.swf.request_cancel_workflow_execution,
        "UnknownResourceFault",
        domain=plain.domain,
        workflowId=execution["workflowId"],
    )
    pending = plain.swf.count_pending_activity_tasks(domain=plain.domain, taskList={"name": "work"})
    assert pending["count"] == 0, "a closed execution hands out nothing"


def test_a_made_up_token_is_invalid(plain):
    refused(
        plain.swf.respond_activity_task_completed,
        "ValidationException",
        "Invalid token",
        taskToken="made-up",
    )


def test_a_held_poll_wakes_when_a_task_comes(plain):
    import threading

    plain.start()
    polled = {}

    def poll():
        began = time.monotonic()
        polled.update(plain.poll())
        polled["after"] = time.monotonic() - began

    poller = threading.Thread(target=poll)
    poller.start()
    while poller.is_alive() and not polled:
        plain.decide(plain.schedule())
        break
    poller.join()
    assert polled["taskToken"]
    assert polled["after"] < 4
