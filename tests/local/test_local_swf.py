"""The local SWF in Python: timeouts on a clock that moves, threads, polls, what it refuses."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections import Counter

import pytest

from swf_worker import ConfigurationError, activity
from swf_worker.local import Canceled, Completed, Failed, LocalSwf, ManualClock, TimedOut
from tests.local.plain import Plain, refused


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def swf(clock):
    with LocalSwf(poll_hold=0.3, clock=clock) as local:
        yield local


@pytest.fixture
def plain(swf):
    made = Plain(swf.client())
    made.backend = swf._backend
    return made


# --- timeouts -----------------------------------------------------------------------------------

NEVER = dict.fromkeys(
    ("heartbeatTimeout", "startToCloseTimeout", "scheduleToStartTimeout", "scheduleToCloseTimeout"),
    "NONE",
)


@pytest.mark.parametrize(
    ("timeout", "kind", "started"),
    [
        ("scheduleToStartTimeout", "SCHEDULE_TO_START", False),
        ("scheduleToCloseTimeout", "SCHEDULE_TO_CLOSE", False),
        ("scheduleToCloseTimeout", "SCHEDULE_TO_CLOSE", True),
        ("startToCloseTimeout", "START_TO_CLOSE", True),
        ("heartbeatTimeout", "HEARTBEAT", True),
    ],
)
def test_each_timeout_closes_the_task_at_its_time(plain, clock, timeout, kind, started):
    execution = plain.start()
    plain.decide(plain.schedule(**NEVER | {timeout: "600"}))
    token = plain.poll()["taskToken"] if started else None
    clock.advance(599)
    assert "ActivityTaskTimedOut" not in plain.kinds(execution)
    clock.advance(3001)
    told = plain.attributes(execution, "ActivityTaskTimedOut")
    assert told == {
        "timeoutType": kind,
        "scheduledEventId": 5,
        "startedEventId": 6 if started else 0,
    }
    timed_out = next(e for e in plain.events(execution) if e["eventType"] == "ActivityTaskTimedOut")
    assert timed_out["eventTimestamp"].timestamp() == 1_700_000_600.0
    if token:
        refused(plain.swf.respond_activity_task_completed, "UnknownResourceFault", taskToken=token)
    assert plain.decide(("FailWorkflowExecution", {}))


def test_heartbeats_keep_a_task_alive_and_their_details_are_reported(plain, clock):
    execution = plain.start()
    plain.decide(plain.schedule(**NEVER | {"heartbeatTimeout": "60"}))
    token = plain.poll()["taskToken"]
    for number in range(60):
        clock.advance(59)
        plain.beat(token, f"{number} of 60")
    clock.advance(60)
    assert plain.attributes(execution, "ActivityTaskTimedOut")["details"] == "59 of 60"


def test_a_heartbeat_timeout_counts_from_the_start_not_from_scheduling(plain, clock):
    execution = plain.start()
    plain.decide(plain.schedule(**NEVER | {"heartbeatTimeout": "60"}))
    clock.advance(3600)
    plain.poll()
    assert "ActivityTaskTimedOut" not in plain.kinds(execution)
    clock.advance(60)
    assert "ActivityTaskTimedOut" in plain.kinds(execution)


def test_none_overrides_a_types_default(swf, clock):
    @activity(name="Short", version="1", start_to_close_timeout=10, heartbeat_timeout=10)
    def short(): ...

    swf.register([short], domain="d")
    client = swf.client()
    scheduled = swf.schedule("Short", "1", start_to_close_timeout="NONE", heartbeat_timeout="NONE")
    default = swf.schedule("Short", "1")
    for _ in range(2):
        client.poll_for_activity_task(domain="d", taskList={"name": "default"})
    clock.advance(3600)
    assert default.outcome(5) == TimedOut("START_TO_CLOSE")
    with pytest.raises(TimeoutError):
        scheduled.outcome(0.05)


def test_decisions_and_executions_time_out_too(plain, clock):
    execution = plain.start(taskStartToCloseTimeout="30", executionStartToCloseTimeout="3600")
    plain.swf.poll_for_decision_task(domain=plain.domain, taskList={"name": "decide"})
    clock.advance(30)
    assert plain.kinds(execution)[-2:] == ["DecisionTaskTimedOut", "DecisionTaskScheduled"]
    clock.advance(3570)
    assert plain.kinds(execution)[-1] == "WorkflowExecutionTimedOut"


def test_timers_fire_on_the_local_clock(plain, clock):
    execution = plain.start()
    plain.decide(
        ("StartTimer", {"timerId": "t", "startToFireTimeout": "3600"}),
        ("StartTimer", {"timerId": "gone", "startToFireTimeout": "3600"}),
        ("CancelTimer", {"timerId": "gone"}),
        ("CancelTimer", {"timerId": "nobody"}),
        ("StartTimer", {"timerId": "t", "startToFireTimeout": "1"}),
    )
    clock.advance(3600)
    counted = Counter(plain.kinds(execution))
    assert counted["TimerFired"] == counted["TimerCanceled"] == 1
    assert counted["CancelTimerFailed"] == counted["StartTimerFailed"] == 1


def test_an_hour_of_timeouts_runs_in_a_moment(swf, clock):
    @activity(name="Work", version="1")
    def work(): ...

    swf.register([work])
    scheduled = [
        swf.schedule("Work", "1", schedule_to_start_timeout=number * 60) for number in range(1, 61)
    ]
    began = time.monotonic()
    clock.advance(3600)
    assert {each.outcome(5) for each in scheduled} == {TimedOut("SCHEDULE_TO_START")}
    assert time.monotonic() - began < 2


# --- the real clock -----------------------------------------------------------------------------


def test_timeouts_happen_by_themselves_on_the_real_clock(quick_swf):
    @activity(name="Work", version="1")
    def work(): ...

    quick_swf.register([work])
    assert quick_swf.schedule("Work", "1", schedule_to_start_timeout=1).outcome(5) == TimedOut(
        "SCHEDULE_TO_START"
    )


# --- polls and threads --------------------------------------------------------------------------


def test_no_task_is_handed_out_twice_and_none_is_lost(swf, plain):
    """8 threads: stock moto hands out one task in 400 twice."""
    tasks, seen, lock = 400, Counter(), threading.Lock()
    for start in range(0, tasks, 50):
        plain.start()
        plain.decide(*(plain.schedule(f"a{number}") for number in range(start, start + 50)))

    def work():
        own = Plain.__new__(Plain)
        own.swf, own.domain = swf.client(), plain.domain
        while (task := own.poll()).get("taskToken"):
            own.beat(task["taskToken"])
            own.swf.respond_activity_task_completed(taskToken=task["taskToken"])
            with lock:
                seen[task["taskToken"]] += 1

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == tasks
    assert set(seen.values()) == {1}


def test_higher_priorities_go_first_and_then_the_older(plain):
    plain.start()
    plain.decide(
        plain.schedule("old"),
        plain.schedule("urgent", taskPriority="5"),
        plain.schedule("lazy", taskPriority="-1"),
        plain.schedule("new"),
    )
    assert [plain.poll()["activityId"] for _ in range(4)] == ["urgent", "old", "new", "lazy"]


def test_an_activity_id_can_be_used_again_once_it_is_closed(plain):
    execution = plain.start()
    plain.decide(plain.schedule("same"), plain.schedule("same"))
    assert plain.attributes(execution, "ScheduleActivityTaskFailed")["cause"] == (
        "ACTIVITY_ID_ALREADY_IN_USE"
    )
    plain.swf.respond_activity_task_completed(taskToken=plain.poll()["taskToken"])
    plain.decide(plain.schedule("same"))
    assert plain.poll()["activityId"] == "same"


@pytest.mark.parametrize(
    ("given", "cause"),
    [
        ({"activityType": {"name": "Nobody", "version": "1"}}, "ACTIVITY_TYPE_DOES_NOT_EXIST"),
        ({"activityType": {"name": "Bare", "version": "1"}}, "DEFAULT_TASK_LIST_UNDEFINED"),
        (
            {"activityType": {"name": "Bare", "version": "1"}, "taskList": {"name": "x"}},
            "DEFAULT_SCHEDULE_TO_START_TIMEOUT_UNDEFINED",
        ),
    ],
)
def test_what_cannot_be_scheduled_is_told_in_the_history(plain, given, cause):
    plain.swf.register_activity_type(domain=plain.domain, name="Bare", version="1")
    execution = plain.start()
    plain.decide(plain.schedule(**given))
    assert plain.attributes(execution, "ScheduleActivityTaskFailed")["cause"] == cause
    assert plain.kinds(execution)[-1] == "DecisionTaskScheduled"


def test_the_scheduled_event_tells_the_timeouts_that_hold(plain):
    execution = plain.start()
    plain.decide(plain.schedule(heartbeatTimeout="5", control="mine", input=""))
    told = plain.attributes(execution, "ActivityTaskScheduled")
    assert told["heartbeatTimeout"] == "5"
    assert told["startToCloseTimeout"] == "NONE"
    assert told["taskList"] == {"name": "work"}
    assert told["control"] == "mine"
    assert told["input"] == ""


def test_a_decision_waits_until_the_running_one_is_done(plain):
    execution = plain.start()
    task = plain.swf.poll_for_decision_task(domain=plain.domain, taskList={"name": "decide"})
    for _ in range(3):
        plain.swf.signal_workflow_execution(
            domain=plain.domain, workflowId=execution["workflowId"], signalName="s"
        )
    none = plain.swf.poll_for_decision_task(domain=plain.domain, taskList={"name": "decide"})
    assert not none.get("taskToken")
    plain.swf.respond_decision_task_completed(
        taskToken=task["taskToken"],
        decisions=[{"decisionType": "CompleteWorkflowExecution"}],
    )
    assert "CompleteWorkflowExecutionFailed" in plain.kinds(execution), "it had not seen all"
    refused(
        plain.swf.respond_decision_task_completed,
        "UnknownResourceFault",
        taskToken=task["taskToken"],
    )
    plain.decide(("CompleteWorkflowExecution", {"result": "r"}))
    assert plain.kinds(execution)[-1] == "WorkflowExecutionCompleted"
    assert plain.kinds(execution).count("DecisionTaskScheduled") == 2


def test_histories_come_in_pages(plain):
    execution = plain.start()
    pages = plain.swf.get_paginator("get_workflow_execution_history").paginate(
        domain=plain.domain, execution=execution, PaginationConfig={"PageSize": 1}
    )
    assert [len(page["events"]) for page in pages] == [1, 1]


# --- what it refuses ----------------------------------------------------------------------------


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
    refused(
        plain.swf.count_open_workflow_executions,
        "ValidationException",
        "not implemented",
        domain=plain.domain,
        startTimeFilter={"oldestDate": 0},
    )


def raw(swf, target, body, method="POST", **headers):
    connection = http.client.HTTPConnection(swf.endpoint_url.removeprefix("http://"))
    try:
        connection.request(method, "/", body, {"X-Amz-Target": target} | headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


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
    refused(
        plain.swf.respond_decision_task_completed,
        "ValidationException",
        "not implemented",
        taskToken=task["taskToken"],
        decisions=[{"decisionType": "ContinueAsNewWorkflowExecution"}],
    )


# --- LocalSwf itself ----------------------------------------------------------------------------


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

    for number in range(0, 20, 2):
        plain.start()
        waiting = threading.Thread(target=poll, args=(number,))
        waiting.start()
        threads.append(waiting)
        while not any(
            queue.polls
            for key, queue in plain.backend._activity_queues.items()
            if key[1] == f"list-{number // 2}"
        ):
            time.sleep(0.001)  # the poll is on its way
        plain.decide(plain.schedule(taskList={"name": f"list-{number // 2}"}))
        poll(number + 1)
    for thread in threads:
        thread.join()
    assert order == sorted(order)
    assert set(order) == set(range(0, 20, 2))
