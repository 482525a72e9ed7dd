"""A service, credentials and look-ups that fail at the worst moment."""

from __future__ import annotations

import asyncio
import datetime
import subprocess
import sys
import threading
import time

import boto3
import pytest
from botocore.credentials import RefreshableCredentials
from botocore.exceptions import ClientError, CredentialRetrievalError
from botocore.session import get_session

from swf_worker import (
    ActivityContext,
    ActivityWorker,
    RetryPolicy,
    activity,
)
from swf_worker.observations import PollFailed, StopAsked, TaskEnded, TaskRepeated
from swf_worker.runtime import running_worker
from tests import wire
from tests.conftest import eventually
from tests.wire import OK, Wire, fault, http
from tests.worker.wired import BEAT, QUICK, hold, wired, work


def test_only_sigterm_and_sigint_stop_a_worker():
    """A periodic SIGALRM of the user's once counted as three stops, and exited with 3."""
    code = """
import signal, threading
from swf_worker import ActivityWorker, activity
from swf_worker.local import LocalSwf
seen = []
signal.signal(signal.SIGALRM, lambda *_: seen.append(1))
@activity(name="Work", version="1")
def work():
    while len(seen) < 8:
        threading.Event().wait(0.05)
    worker.request_stop()
    return "undisturbed"
with LocalSwf(poll_hold=0.2) as swf:
    worker = ActivityWorker(domain="d", task_list="t", activities=[work],
                            endpoint_url=swf.endpoint_url)
    swf.register(worker)
    scheduled = swf.schedule("Work", "1")
    signal.setitimer(signal.ITIMER_REAL, 0.3, 0.3)
    assert worker.run() == 0
    signal.setitimer(signal.ITIMER_REAL, 0)
    assert scheduled.outcome().result == '"undisturbed"'
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=40)


REFUSALS = {
    "sts": ClientError({"Error": {"Code": "IDPCommunicationError"}}, "AssumeRole"),
    "identity": ClientError({"Error": {"Code": "InvalidIdentityToken"}}, "AssumeRole"),
    "process": CredentialRetrievalError(provider="vault", error_msg="invalid token"),
}


@pytest.mark.parametrize("source", REFUSALS)
def test_a_credential_source_that_fails_for_a_while_throws_no_result_away(recorder, source):
    """Its refusal comes out of our call, and is none of SWF's."""
    failing, recovered = threading.Event(), threading.Event()

    def refresh():
        if failing.is_set() and not recovered.is_set():
            raise REFUSALS[source]
        soon = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=1)
        return {"access_key": "a", "secret_key": "s", "token": "t", "expiry_time": soon.isoformat()}

    session = get_session()
    session._credentials = RefreshableCredentials.create_from_metadata(
        refresh(), refresh, "test", advisory_timeout=0, mandatory_timeout=0
    )
    session.set_config_variable("region", "us-east-1")

    @activity(name="Work", version="1", heartbeat_interval=0.2)
    def handler(context: ActivityContext):
        failing.set()
        threading.Timer(2, recovered.set).start()
        time.sleep(1.2)  # until the credentials have run out
        return "kept"

    with Wire(
        PollForActivityTask=[wire.task(), hold(3)],
        RecordActivityTaskHeartbeat=[BEAT],
        RespondActivityTaskCompleted=[OK],
    ) as service:
        worker = ActivityWorker(
            domain="d",
            task_list="t",
            activities=[handler],
            endpoint_url=service.url,
            session=boto3.Session(botocore_session=session),
            observers=[recorder],
            retry_policy=QUICK,
        )
        with worker:
            assert recorder.wait_for(TaskEnded)[0].disposition == "accepted"
        assert not recorder.of(StopAsked)


def test_a_stop_that_is_asked_for_in_on_start_comes_after_it(make_worker):
    seen = []

    class Early(ActivityWorker):
        async def on_start(self):
            self.request_stop()
            await asyncio.sleep(0.05)
            seen.append("started")

        def on_stop(self):
            seen.append("stopped")
            try:
                self.stop()
            except RuntimeError as error:
                seen.append(str(error))

        @activity(name="Async", version="1")
        async def work(self): ...

    worker = make_worker(kind=Early)
    with worker:
        assert worker.wait(5)
        assert seen[:2] == ["started", "stopped"]
        assert "on_stop" in seen[2]


def test_look_ups_that_hang_starve_no_heartbeats_and_hold_up_no_stop(recorder, monkeypatch):
    monkeypatch.setattr(running_worker, "LOOKUPS_BEFORE_POLLS", 0.1)

    def undeclared(number):
        return activity(name=f"Type{number}", version="1")(lambda: None)

    @activity(name="Work", version="1", heartbeat_interval=0.3)
    def handler(context: ActivityContext):
        context.wait_for_stop(3)

    with Wire(
        PollForActivityTask=[wire.task(), hold(1)],
        DescribeActivityType=[wire.silence],
        RecordActivityTaskHeartbeat=[BEAT],
        RespondActivityTaskCompleted=[OK],
    ) as service:
        worker = wired(service, recorder, handler, *[undeclared(n) for n in range(20)])
        with worker:
            recorder.wait_for(TaskEnded)
            assert len(service.named("RecordActivityTaskHeartbeat")) >= 8
            began = time.monotonic()
            worker.stop()
            assert time.monotonic() - began < 3


def test_a_resent_answer_frees_no_second_slot(recorder):
    running, most = [], []

    @activity(name="Work", version="1", heartbeat_interval=30)
    def handler():
        running.append(1)
        most.append(len(running))
        time.sleep(0.05)
        running.pop()

    def again(ends):
        def reply(sock):
            recorder.wait_for(TaskEnded, ends)
            sock.sendall(wire.task())

        return reply

    with (
        Wire(
            PollForActivityTask=[
                wire.task(),
                again(1),
                *[wire.task(f"token-{n}") for n in range(2, 12)],
                hold(),
            ],
            RespondActivityTaskCompleted=[fault("UnknownResourceFault"), OK],
        ) as service,
        wired(service, recorder, handler, max_concurrent_activities=1) as worker,
    ):
        recorder.wait_for(TaskRepeated)
        recorder.wait_for(TaskEnded, 12)
        assert worker._running.engine.parts.poller.running >= 0
    assert max(most) == 1


def test_one_reset_of_all_polls_is_one_failure(recorder):
    """Ten polls cut by the same blip once paused all polling for 8 to 15 s."""
    cut = threading.Event()
    arrived = []

    def until_cut(sock):
        arrived.append(1)
        cut.wait(20)
        wire.reset(sock)

    tasks = [wire.task(f"token-{n}") for n in range(6)]
    with (
        Wire(
            PollForActivityTask=[*tasks, *[until_cut] * 6, hold()],
            RespondActivityTaskCompleted=[OK],
        ) as service,
        wired(
            service,
            recorder,
            work,
            max_concurrent_activities=12,
            max_concurrent_polls=6,
            retry_policy=RetryPolicy(initial_wait=0.2, max_wait=20),
        ) as worker,
    ):
        assert eventually(lambda: len(arrived) == 6), "not all polls are open"
        poller = worker._running.engine.parts.poller
        backoff, counted = poller.backoff, []

        class Counting:
            def wait(self, failures, *, denied=False):
                counted.append(failures)
                return backoff.wait(failures, denied=denied)

        poller.backoff = Counting()
        polls = len(service.named("PollForActivityTask"))
        cut.set()
        recorder.wait_for(PollFailed, 6)
        assert counted == [1], "each cut poll was counted as one more failure in a row"
        service.wait_for("PollForActivityTask", polls + 1, timeout=2)


def test_what_was_handed_over_or_closed_is_not_kept_in_memory(recorder):
    @activity(name="Work", version="1", manual_completion=True, heartbeat_interval=30)
    def handler(): ...

    with (
        Wire(PollForActivityTask=[wire.task(), hold()]) as service,
        wired(service, recorder, handler) as worker,
    ):
        recorder.wait_for(TaskEnded)
        assert eventually(
            lambda: worker._running.engine.parts.open_tasks._ended == {"token-1": None}
        )


def test_an_unknown_domain_on_an_answer_is_mended_by_somebody(recorder):
    """No result is thrown away while its task can be open."""
    with (
        Wire(
            PollForActivityTask=[wire.task(), hold()],
            RespondActivityTaskCompleted=[
                fault("UnknownResourceFault", "Unknown domain: d"),
                http(408, {"__type": "x#RequestTimeoutException", "message": "slow"}),
                OK,
            ],
        ) as service,
        wired(service, recorder, work),
    ):
        assert recorder.wait_for(TaskEnded)[0].disposition == "accepted"
