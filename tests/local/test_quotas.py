"""SWF's quotas, where they are asked for; and those that always hold."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import urllib.request
from contextlib import suppress

import pytest
from moto.swf.exceptions import SWFClientError

from swf_worker import ActivityWorker, activity
from swf_worker.local import Completed, LocalSwf, backend, quotas
from tests.conftest import eventually, started
from tests.local.plain import Plain, client, raw, refused
from tests.local.world import World


@pytest.fixture
def swf(clock):
    with LocalSwf(poll_hold=0.3, clock=clock, throttle=True) as local:
        yield local


def take(swf, operation, count):
    """Calls of one operation, without the wire."""
    for _ in range(count):
        with suppress(SWFClientError):
            swf._backend.quotas.take(operation, swf._backend.now())


def throttled(swf, operation):
    use = swf.quota.get(operation)
    return use.throttled if use else 0


@pytest.mark.parametrize("operation", [*quotas.RATES])
def test_each_bucket_empties_and_fills_on_the_local_clock(swf, clock, operation):
    """SWF.md 2 [Q]."""
    rate = quotas.RATES[operation]
    take(swf, operation, rate.size)
    assert throttled(swf, operation) == 0
    take(swf, operation, 1)
    assert throttled(swf, operation) == 1
    clock.advance(1)
    take(swf, operation, rate.refill + 1)
    assert throttled(swf, operation) == 2
    clock.advance(3600)
    take(swf, operation, rate.size + 1)
    told = swf.quota[operation]
    assert (told.throttled, told.lowest) == (3, 0)
    assert told.calls == 2 * rate.size + rate.refill + 3


def test_the_figures_are_the_services():
    """SWF.md 2 [Q]: polls and each Respond 2,000 + 200/s; heartbeats 2,000 + 160/s and 1,000 +
    1,000/s a workflow; counts 200 + 6/s; DescribeActivityType 2,000 + 6/s; RegisterActivityType
    200 + 60/s; 1,000 pollers."""
    told = {name: (rate.size, rate.refill) for name, rate in quotas.RATES.items()}
    for name in ("PollForActivityTask", "PollForDecisionTask", "RespondDecisionTaskCompleted"):
        assert told.pop(name) == (2000, 200)
    for way in ("Completed", "Failed", "Canceled"):
        assert told.pop(f"RespondActivityTask{way}") == (2000, 200)
    for kind in ("Activity", "Decision"):
        assert told.pop(f"CountPending{kind}Tasks") == (200, 6)
    assert told == {
        "RecordActivityTaskHeartbeat": (2000, 160),
        "DescribeActivityType": (2000, 6),
        "RegisterActivityType": (200, 60),
    }
    assert quotas.Rate(1000, 1000) == quotas.HEARTBEATS_OF_ONE
    assert quotas.MAX_POLLERS == 1000


def test_a_throttled_call_is_refused_as_swf_refuses_it_and_does_nothing(swf):
    """The shape of live captures: 400, ThrottlingException of coral's, "Rate exceeded"."""
    plain = Plain(swf.client())
    given = {"domain": "plain", "taskList": {"name": "l"}}
    count = "SimpleWorkflowService.CountPendingActivityTasks"
    take(swf, "CountPendingActivityTasks", 200)
    assert raw(swf, count, json.dumps(given)) == (
        400,
        {
            "__type": "com.amazon.coral.availability#ThrottlingException",
            "message": "Rate exceeded",
        },
    )
    take(swf, "RegisterActivityType", 200)
    register = plain.swf.register_activity_type
    refused(register, "ThrottlingException", domain="plain", name="New", version="1")
    new = {"name": "New", "version": "1"}
    describe = plain.swf.describe_activity_type
    refused(describe, "UnknownResourceFault", domain="plain", activityType=new)
    assert swf.quota["RegisterDomain"] == quotas.QuotaUse(1, 0, None, None, None)


def test_heartbeats_of_one_execution_have_a_quota_of_their_own(swf, clock, monkeypatch):
    monkeypatch.setattr(quotas, "HEARTBEATS_OF_ONE", quotas.Rate(3, 1))
    plain = Plain(swf.client())
    for _ in range(2):
        plain.start()
        plain.decide(plain.schedule())
    first, second = (plain.poll()["taskToken"] for _ in range(2))
    for _ in range(3):
        plain.beat(first)
    refused(plain.swf.record_activity_task_heartbeat, "ThrottlingException", taskToken=first)
    plain.beat(second)
    clock.advance(1)
    plain.beat(first)
    told = swf.quota["RecordActivityTaskHeartbeat"]
    assert (told.calls, told.throttled) == (6, 1)


def test_a_thousand_polls_wait_in_a_list_at_most(monkeypatch):
    """LimitExceededFault for one poll more (simpleflow#250). With three, over the wire."""
    monkeypatch.setattr(backend, "MAX_POLLERS", 3)
    with LocalSwf(poll_hold=30, throttle=True) as swf:
        plain = Plain(swf.client())
        threads = [threading.Thread(target=plain.poll) for _ in range(3)]
        for thread in threads:
            thread.start()
        lists = swf._backend.activity_lists
        assert eventually(lambda: lists.held("plain", "work") == 3)
        said = refused(
            plain.swf.poll_for_activity_task,
            "LimitExceededFault",
            domain="plain",
            taskList={"name": "work"},
        )
        assert said == "Limit on maximum concurrent poll requests per task list reached"
        plain.start()
        plain.decide(plain.schedule("other", taskList={"name": "else"}), plain.schedule())
        assert plain.poll("else")["taskToken"], "another list"
        assert eventually(lambda: lists.held("plain", "work") == 2)
        swf._backend.close()
        for thread in threads:
            thread.join()


def test_without_it_there_are_no_quotas(quick_swf):
    with pytest.raises(RuntimeError, match="throttle=True"):
        _ = quick_swf.quota
    assert quick_swf._backend.quotas is None


def test_the_local_swfs_own_calls_are_outside_of_all_quotas(swf):
    @activity(name="Work", version="1")
    def work(): ...

    swf.register([work])
    swf.schedule("Work", "1")
    assert swf.quota == {}


def test_dev_tells_what_a_fleet_did_to_its_quota():
    command = [sys.executable, "-m", "swf_worker", "dev", "--port", "0", "--throttle"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as dev:
        url = dev.stdout.readline().split()[-1]
        swf = client(url)
        Plain(swf)
        counted = {"domain": "plain", "taskList": {"name": "l"}}
        for _ in range(200):
            swf.count_pending_activity_tasks(**counted)
        with pytest.raises(Exception, match="Rate exceeded"):
            for _ in range(200):
                swf.count_pending_activity_tasks(**counted)
        with urllib.request.urlopen(url) as answer:
            told = json.load(answer)["quota"]["CountPendingActivityTasks"]
        swf.close()
        dev.terminate()
        out = dev.communicate(timeout=10)[0]
        assert dev.returncode == 0
    assert told["throttled"] == 1
    assert (told["size"], told["refill"]) == (200, 6)
    assert told["calls"] > 200
    lines = {line.split()[0]: line.split(maxsplit=3)[1:] for line in out.splitlines() if line}
    assert lines["CountPendingActivityTasks"][:2] == [str(told["calls"]), "1"]
    assert "of 200, 6 more a second" in lines["CountPendingActivityTasks"][2]
    assert lines["RegisterDomain"] == ["1", "0", "none here"]


# --- limits that always hold --------------------------------------------------------------------


def test_an_execution_ends_at_25000_events():
    """SWF.md 7: WorkflowExecutionTerminated, EVENT_LIMIT_EXCEEDED, at about 25,000
    [simpleflow#68]; by its child policy."""
    world = World()
    try:
        world.call(
            "StartWorkflowExecution",
            domain="plain",
            workflowId="long",
            workflowType={"name": "Flow", "version": "1"},
            taskList={"name": "long"},
        )
        kid = {"workflowId": "kid", "workflowType": {"name": "Flow", "version": "1"}}
        made = [
            {
                "decisionType": "StartChildWorkflowExecution",
                "startChildWorkflowExecutionDecisionAttributes": kid,
            }
        ]
        marker = {
            "decisionType": "RecordMarker",
            "recordMarkerDecisionAttributes": {"markerName": "m"},
        }
        asked = {"domain": "plain", "taskList": {"name": "long"}}
        execution = None
        while True:
            task = world.call("PollForDecisionTask", **asked)
            execution = task["workflowExecution"]
            token = task["taskToken"]
            world.call("RespondDecisionTaskCompleted", taskToken=token, decisions=made)
            made = [marker] * 990
            signal = {"domain": "plain", "workflowId": "long", "signalName": "s"}
            status, answer = world.ask("SignalWorkflowExecution", signal)
            if status != 200:
                break
        assert answer["__type"].endswith("#UnknownResourceFault")
        history = {"domain": "plain", "execution": execution, "reverseOrder": True}
        last = world.call("GetWorkflowExecutionHistory", **history)["events"][0]
        assert 25_000 <= last["eventId"] < 26_000
        assert last["eventType"] == "WorkflowExecutionTerminated"
        told = last["workflowExecutionTerminatedEventAttributes"]
        assert told == {"cause": "EVENT_LIMIT_EXCEEDED", "childPolicy": "TERMINATE"}
        every = {"domain": "plain", "startTimeFilter": {"oldestDate": 0}}
        by_id = every | {"executionFilter": {"workflowId": "kid"}}
        (child,) = world.call("ListClosedWorkflowExecutions", **by_id)["executionInfos"]
        assert child["closeStatus"] == "TERMINATED"
    finally:
        world.close()


def test_a_child_policy_reaches_hundreds_of_generations():
    world = World()
    try:
        flow = {"workflowType": {"name": "Flow", "version": "1"}}
        world.start("0", taskList={"name": "0"})
        for number in range(600):
            asked = {"domain": "plain", "taskList": {"name": str(number)}}
            kid = flow | {"workflowId": str(number + 1), "taskList": {"name": str(number + 1)}}
            decision = {
                "decisionType": "StartChildWorkflowExecution",
                "startChildWorkflowExecutionDecisionAttributes": kid,
            }
            token = world.call("PollForDecisionTask", **asked)["taskToken"]
            world.call("RespondDecisionTaskCompleted", taskToken=token, decisions=[decision])
        world.call("TerminateWorkflowExecution", domain="plain", workflowId="0")
        every = {"domain": "plain", "startTimeFilter": {"oldestDate": 0}}
        status = {"closeStatusFilter": {"status": "TERMINATED"}}
        counted = world.call("CountClosedWorkflowExecutions", **every, **status)
        assert counted["count"] == 602  # and the world's own
    finally:
        world.close()


def test_a_worker_bears_it(monkeypatch, clock):
    """Its polls and answers back off, and every task is answered once."""
    names = ("PollForActivityTask", "RespondActivityTaskCompleted")
    for name in names:
        monkeypatch.setitem(quotas.RATES, name, quotas.Rate(2, 20))

    @activity(name="Work", version="1")
    def work(number: int) -> int:
        return number

    with LocalSwf(poll_hold=0.3, clock=clock, throttle=True) as swf:
        swf.register([work])
        scheduled = [swf.schedule("Work", "1", number) for number in range(6)]
        worker = ActivityWorker(
            activities=[work],
            domain="local",
            task_list="default",
            endpoint_url=swf.endpoint_url,
            region_name="us-east-1",
        )

        def all_done():
            clock.advance(1)  # two more calls
            return sum(len(each.history()) >= 11 for each in scheduled) == 6

        with started(worker):
            assert eventually(lambda: throttled(swf, names[0]) > 0, 20)
            assert eventually(all_done, 40)
            outcomes = [each.outcome() for each in scheduled]
    assert outcomes == [Completed(str(number)) for number in range(6)]
