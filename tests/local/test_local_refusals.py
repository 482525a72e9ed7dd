"""What the local SWF refuses, and ``LocalSwf`` itself."""

from __future__ import annotations

import threading
import time

import pytest

from swf_worker import ConfigurationError, activity
from swf_worker.local import Canceled, Completed, Failed, LocalSwf
from tests.local.plain import Plain, raw, refused


def test_lengths_are_checked_as_the_model_says(plain):
    """botocore sends over-long values: only the service refuses them."""
    plain.start()
    plain.decide(plain.schedule())
    token = plain.poll()["taskToken"]
    for call, given in (
        (plain.swf.respond_activity_task_completed, {"result": "x" * 32_769}),
        (plain.swf.respond_activity_task_failed, {"reason": "x" * 257}),
        (plain.swf.respond_activity_task_failed, {"details": "😀" * 16_385}),
        (plain.swf.record_activity_task_heartbeat, {"details": "x" * 2_049}),
    ):
        refused(call, "ValidationException", "less than or equal to", taskToken=token, **given)
    plain.swf.respond_activity_task_completed(taskToken=token, result="😀" * 16_384)


def test_unknown_domains_types_and_executions(plain):
    refused(
        plain.swf.poll_for_activity_task,
        "UnknownResourceFault",
        "Unknown domain: nope",
        domain="nope",
        taskList={"name": "x"},
    )
    refused(
        plain.swf.describe_activity_type,
        "UnknownResourceFault",
        "Unknown type",
        domain=plain.domain,
        activityType={"name": "x", "version": "1"},
    )
    refused(
        plain.swf.signal_workflow_execution,
        "UnknownResourceFault",
        domain=plain.domain,
        workflowId="nobody",
        signalName="s",
    )
    refused(
        plain.swf.register_domain,
        "DomainAlreadyExistsFault",
        name=plain.domain,
        workflowExecutionRetentionPeriodInDays="1",
    )


@pytest.mark.parametrize(
    ("target", "body", "kind"),
    [
        ("SimpleWorkflowService.Nonsense", "{}", "UnknownOperationException"),
        ("Nonsense", "{}", "UnknownOperationException"),
        ("SimpleWorkflowService.PollForActivityTask", "{", "SerializationException"),
        ("SimpleWorkflowService.PollForActivityTask", "[]", "SerializationException"),
        ("SimpleWorkflowService.PollForActivityTask", "", "ValidationException"),
        ("SimpleWorkflowService.PollForActivityTask", '{"domain": 5}', "SerializationException"),
        (
            "SimpleWorkflowService.PollForActivityTask",
            '{"domain": true, "taskList": {}}',
            "SerializationException",
        ),
        (
            "SimpleWorkflowService.RespondDecisionTaskCompleted",
            '{"taskToken": "t", "decisions": [{"decisionType": "Dance"}]}',
            "ValidationException",
        ),
        (
            "SimpleWorkflowService.RegisterDomain",
            '{"name": "", "workflowExecutionRetentionPeriodInDays": "1"}',
            "ValidationException",
        ),
    ],
)
def test_nonsense_gets_the_services_kind_of_4xx(swf, target, body, kind):
    status, answer = raw(swf, target, body)
    assert status == 400
    assert answer["__type"].endswith(f"#{kind}")


def test_other_nonsense_of_http(swf):
    assert raw(swf, "x", None, method="GET")[0] == 200
    assert raw(swf, "x", "x" * 1_048_577)[0] == 413


def test_closing_decisions_come_last(plain):
    plain.start()
    task = plain.swf.poll_for_decision_task(domain=plain.domain, taskList={"name": "decide"})
    refused(
        plain.swf.respond_decision_task_completed,
        "ValidationException",
        "Close must be last",
        taskToken=task["taskToken"],
        decisions=[
            {"decisionType": "CompleteWorkflowExecution"},
            {"decisionType": "CompleteWorkflowExecution"},
        ],
    )


SCHEDULE = Plain.schedule()
TIMER = ("StartTimer", {"timerId": "t", "startToFireTimeout": "60"})
CLOSING = [
    ("CompleteWorkflowExecution", {}),
    ("FailWorkflowExecution", {}),
    ("CancelWorkflowExecution", {}),
    ("ContinueAsNewWorkflowExecution", {}),
]


def on_the_wire(*decisions):
    return [
        {"decisionType": kind, f"{kind[0].lower()}{kind[1:]}DecisionAttributes": given}
        for kind, given in decisions
    ]


@pytest.mark.parametrize("begun", [SCHEDULE, TIMER], ids=["an activity", "a timer"])
@pytest.mark.parametrize("closing", CLOSING, ids=lambda decision: decision[0])
def test_a_batch_that_closes_begins_neither_an_activity_nor_a_timer(plain, begun, closing):
    """swiffer's tests on SWF have the text, and its ``DecisionExecutorImpl`` leaves these two out;
    FsDecider's recorded that all others are accepted."""
    execution = plain.start()
    task = plain.swf.poll_for_decision_task(domain="plain", taskList={"name": "decide"})
    marker = ("RecordMarker", {"markerName": "m"})
    call, token = plain.swf.respond_decision_task_completed, task["taskToken"]
    refused(
        call,
        "ValidationException",
        "Specified decision is incompatible with close decision",
        taskToken=token,
        decisions=on_the_wire(begun, marker, closing),
    )
    assert plain.kinds(execution)[-1] == "DecisionTaskStarted", "nothing of it was taken"
    call(taskToken=token, decisions=on_the_wire(marker, closing))
    assert "MarkerRecorded" in plain.kinds(execution)


@pytest.mark.parametrize(
    ("operation", "given", "where"),
    [
        ("RespondDecisionTaskCompleted", '"taskToken": "t", "decisions"', "decisions.1.member"),
        (
            "StartWorkflowExecution",
            '"domain": "d", "workflowId": "w", "workflowType": {"name": "n", "version": "1"}, '
            '"tagList"',
            "tagList.1.member",
        ),
    ],
)
def test_a_null_in_a_list_is_told_where(swf, operation, given, where):
    status, answer = raw(swf, f"SimpleWorkflowService.{operation}", f"{{{given}: [null]}}")
    assert (status, answer["__type"].rpartition("#")[2]) == (400, "ValidationException")
    assert f"Value null at '{where}' failed to satisfy constraint" in answer["message"]


def test_what_is_not_there_is_refused_by_name(plain):
    """Lambda tasks, with their attributes or without; what comes with them isn't taken either."""
    execution = plain.start()
    token = plain.swf.poll_for_decision_task(domain="plain", taskList={"name": "decide"})
    attributes = {"id": "l", "name": "function"}
    for given in ({}, {"scheduleLambdaFunctionDecisionAttributes": attributes}):
        refused(
            plain.swf.respond_decision_task_completed,
            "ValidationException",
            "Local SWF: the decision ScheduleLambdaFunction is not implemented",
            taskToken=token["taskToken"],
            decisions=[
                {
                    "decisionType": "RecordMarker",
                    "recordMarkerDecisionAttributes": {"markerName": "m"},
                },
                {"decisionType": "ScheduleLambdaFunction", **given},
            ],
        )
    assert plain.kinds(execution)[-1] == "DecisionTaskStarted"


@activity(name="Add", version="1", heartbeat_timeout=30, description="adds", default_task_list="l")
def add(a: int, b: int) -> int:
    return a + b


def test_registering_again_is_fine_and_types_keep_their_defaults(swf):
    swf.register(add)
    swf.register([add])
    told = swf.client().describe_activity_type(
        domain="local", activityType={"name": "Add", "version": "1"}
    )
    assert told["configuration"] == {
        "defaultTaskHeartbeatTimeout": "30",
        "defaultTaskList": {"name": "l"},
    }
    assert told["typeInfo"]["description"] == "adds"


def test_an_outcome_that_waits_for_a_cancel_says_what_it_waits_for(swf):
    swf.register(add)
    scheduled = swf.schedule("Add", "1")
    swf.client().poll_for_activity_task(domain="local", taskList={"name": "default"})
    scheduled.request_cancel()
    while scheduled.history()[-1]["eventType"] != "ActivityTaskCancelRequested":
        time.sleep(0.01)  # the decider is on its way
    with pytest.raises(TimeoutError, match="set heartbeat_timeout"):
        scheduled.outcome(timeout=0.01)


def test_scheduling_what_is_not_registered_says_so(swf):
    with pytest.raises(ValueError, match=r"LocalSwf\.register"):
        swf.schedule("Nobody", "1")


def test_outcomes_cancel_and_history(swf):
    swf.register(add)
    client = swf.client()

    def take():
        return client.poll_for_activity_task(domain="local", taskList={"name": "default"})

    completed = swf.schedule("Add", "1", {"a": 1, "b": 2})
    assert take()["input"] == '{"a":1,"b":2}'
    with pytest.raises(TimeoutError, match="has not ended"):
        completed.outcome(timeout=0.01)
    failed = swf.schedule("Add", "1", raw_input="raw")
    task = take()
    assert task["input"] == "raw"
    client.respond_activity_task_failed(taskToken=task["taskToken"], reason="r", details="d")
    assert failed.outcome() == Failed("r", "d")
    failed.request_cancel()
    canceled = swf.schedule("Add", "1")
    canceled.request_cancel()
    assert canceled.outcome() == Canceled()
    assert completed.history()[0]["eventType"] == "WorkflowExecutionStarted"
    assert Completed is not None


def test_it_is_a_context_manager_of_one_use():
    local = LocalSwf()
    with pytest.raises(RuntimeError, match="context manager"):
        _ = local.endpoint_url
    local.stop()
    with local, pytest.raises(RuntimeError, match="already"):
        local.start()


def test_a_taken_port_is_named(swf):
    port = int(swf.endpoint_url.rpartition(":")[2])
    with pytest.raises(ConfigurationError, match=f"port {port} .* is taken"):
        LocalSwf(port=port).start()


def test_the_clock_does_not_run_backwards(clock):
    with pytest.raises(ValueError, match="backwards"):
        clock.advance(-1)


def test_canceled_without_a_request_can_be_accepted():
    with LocalSwf(poll_hold=0.3, accept_unrequested_cancel=True) as local:
        plain = Plain(local.client())
        plain.start()
        plain.decide(plain.schedule())
        plain.swf.respond_activity_task_canceled(taskToken=plain.poll()["taskToken"])


def test_the_oldest_poll_gets_the_task(plain):
    """A poll that comes just when a task does must not overtake one that waits."""
    order, threads = [], []

    def poll(number):
        if plain.poll(f"list-{number // 2}").get("taskToken"):
            order.append(number)

    for number in range(0, 10, 2):
        plain.start()
        waiting = threading.Thread(target=poll, args=(number,))
        waiting.start()
        threads.append(waiting)
        while not plain.backend.activity_lists.held("plain", f"list-{number // 2}"):
            time.sleep(0.001)  # the poll is on its way
        plain.decide(plain.schedule(taskList={"name": f"list-{number // 2}"}))
        poll(number + 1)
    for thread in threads:
        thread.join()
    assert order == sorted(order)
    assert set(order) == set(range(0, 10, 2))
