"""``LocalSwf(faults=...)``: what is scripted happens, to those calls and to no others."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError

from swf_worker import ActivityWorker, ConfigurationError, RetryPolicy, activity
from swf_worker.local import Completed, Fault, FaultKind, LocalSwf
from swf_worker.local.injection import OPERATIONS
from swf_worker.observations import PollSucceeded
from tests.conftest import eventually

POLL = "PollForActivityTask"


@activity(name="Work", version="1", heartbeat_interval=30)
def work() -> str:
    return "done"


@pytest.fixture
def swf():
    with LocalSwf(poll_hold=0.2) as local:
        local.register(work, domain="d")
        yield local


def poll(client):
    return client.poll_for_activity_task(domain="d", taskList={"name": "l"})


def test_calls_are_counted_for_each_operation(swf):
    swf.set_faults([Fault(POLL, FaultKind.THROTTLED, calls=[2])])
    client = swf.client()
    poll(client)
    with pytest.raises(ClientError, match="ThrottlingException"):
        poll(client)
    client.describe_activity_type(domain="d", activityType={"name": "Work", "version": "1"})
    poll(client)
    assert swf.injected == {FaultKind.THROTTLED: 1}
    assert swf.calls == {POLL: 3, "DescribeActivityType": 1}


def test_a_share_is_by_chance_and_the_same_in_each_run(swf):
    swf.set_faults([Fault("DescribeActivityType", FaultKind.DENIED, share=0.5)])
    client = swf.client()
    for _ in range(60):
        with suppress(ClientError):
            client.describe_activity_type(domain="d", activityType={"name": "Work", "version": "1"})
    assert 15 < swf.injected[FaultKind.DENIED] < 45


def test_an_answer_is_lost_after_the_call_was_carried_out(swf):
    swf.set_faults([Fault("RespondActivityTaskCompleted", FaultKind.LOST)])
    scheduled = swf.schedule("Work", "1", task_list="l")
    client = swf.client()
    token = poll(client)["taskToken"]
    with pytest.raises(ConnectionClosedError):
        client.respond_activity_task_completed(taskToken=token, result="r")
    assert scheduled.outcome() == Completed("r")


def test_what_is_no_fault_is_refused():
    for arguments, says in (
        (("Poll", FaultKind.EMPTY), "allowed are PollForActivityTask"),
        ((POLL, "boring"), "allowed are throttled"),
        ((POLL, "empty", None, 2), "0 to 1"),
    ):
        with pytest.raises(ConfigurationError, match=says):
            Fault(*arguments)
    with pytest.raises(ConfigurationError, match="is no Fault"):
        LocalSwf(faults=["empty"])
    assert Fault(POLL, "empty").kind is FaultKind.EMPTY


@pytest.mark.parametrize("kind", FaultKind)
def test_a_worker_bears_every_kind_on_every_call(kind, recorder):
    """Twice on each operation, after its first poll was accepted; then it works as before."""
    faults = [Fault(name, kind, calls=[2, 3] if name == POLL else [1, 2]) for name in OPERATIONS]
    with LocalSwf(poll_hold=0.1) as swf:
        worker = ActivityWorker(
            domain="d",
            task_list="l",
            activities=[work],
            endpoint_url=swf.endpoint_url,
            observers=[recorder],
            retry_policy=RetryPolicy(initial_wait=0.05, max_wait=0.1, denied_wait=0.1),
        )
        swf.register(worker)
        swf.set_faults(faults)
        with worker:
            recorder.wait_for(PollSucceeded)
            assert eventually(lambda: swf.calls[POLL] >= 4, 10), "it polls on"
            for _ in range(2):
                assert swf.schedule("Work", "1").outcome() == Completed('"done"')
            assert worker.error is None


def test_a_task_whose_members_are_missing_is_failed_by_its_token(recorder):
    with LocalSwf(poll_hold=0.2) as swf:
        worker = ActivityWorker(
            domain="d", task_list="l", activities=[work], endpoint_url=swf.endpoint_url
        )
        swf.register(worker)
        scheduled = swf.schedule("Work", "1")
        swf.set_faults([Fault(POLL, FaultKind.MISSING_MEMBERS, calls=[1])])
        with worker:
            outcome = scheduled.outcome()
    assert outcome.reason == "MalformedTask"
    assert json.loads(outcome.details)["retryable"] is True
