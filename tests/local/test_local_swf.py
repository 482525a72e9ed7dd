"""The local SWF: timeouts, the clock, polls, threads."""

from __future__ import annotations

import threading
import time
from collections import Counter

import pytest

from swf_worker import activity
from swf_worker.local import TimedOut
from tests.local.plain import Plain, refused

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


def test_a_decision_task_tells_the_one_before_it(plain):
    execution = plain.start()
    first = plain.decide()
    assert first["previousStartedEventId"] == 0
    plain.swf.signal_workflow_execution(domain="plain", signalName="s", **execution)
    assert plain.decide()["previousStartedEventId"] == first["startedEventId"]


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


def test_a_thousand_timers_are_open_at_most(plain):
    """SWF's limit, and the API reference's cause."""
    execution = plain.start()
    ids = [f"t{number}" for number in range(1001)]
    plain.decide(*(("StartTimer", {"timerId": each, "startToFireTimeout": "9"}) for each in ids))
    assert plain.attributes(execution, "StartTimerFailed") == {
        "timerId": "t1000",
        "cause": "OPEN_TIMERS_LIMIT_EXCEEDED",
        "decisionTaskCompletedEventId": 4,
    }


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


def test_timeouts_happen_by_themselves_on_the_real_clock(quick_swf):
    @activity(name="Work", version="1")
    def work(): ...

    quick_swf.register([work])
    assert quick_swf.schedule("Work", "1", schedule_to_start_timeout=1).outcome(5) == TimedOut(
        "SCHEDULE_TO_START"
    )


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


def test_fractions_of_a_second_add_up(plain, clock):
    """A deadline is met when its time has come, however the clock was moved there."""
    for _ in range(50):
        clock.advance(0.0007)
        execution = plain.start(executionStartToCloseTimeout="1")
        for _ in range(10):
            assert plain.kinds(execution)[-1] != "WorkflowExecutionTimedOut"
            clock.advance(0.1)
        assert plain.kinds(execution)[-1] == "WorkflowExecutionTimedOut"
