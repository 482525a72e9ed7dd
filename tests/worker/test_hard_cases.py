"""What a review with fresh eyes broke, and must not break again."""

from __future__ import annotations

import asyncio
import datetime
import signal
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
    ActivityCanceled,
    ActivityContext,
    ActivityFailed,
    ActivityWorker,
    Completed,
    ConfigurationError,
    Failed,
    RetryPolicy,
    activity,
)
from swf_worker.observations import PollFailed, StopAsked, TaskEnded, TaskRepeated, WorkerStopping
from swf_worker.runtime import running_worker
from tests import wire
from tests.conftest import eventually
from tests.wire import OK, Wire, fault, http
from tests.worker.test_running import BEAT, QUICK, hold, wired, work


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


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_system_exit_in_a_child_of_an_async_handler_costs_nobody_else(make_worker, quick_swf):
    """asyncio lets it out of the loop."""

    @activity(name="Bad", version="1")
    async def bad():
        async def child():
            raise SystemExit(3)

        await asyncio.gather(child(), asyncio.sleep(5))

    @activity(name="Good", version="1")
    async def good():
        await asyncio.sleep(0.5)
        return "good"

    worker = make_worker(bad, good)
    scheduled = [quick_swf.schedule(name, "1") for name in ("Good", "Bad", "Good")]
    with worker:
        assert scheduled[0].outcome() == scheduled[2].outcome() == Completed('"good"')
        assert scheduled[1].outcome().reason == "SystemExit"
        assert quick_swf.schedule("Good", "1").outcome() == Completed('"good"')


class MyFailure(ActivityFailed):
    def __init__(self, code):
        self.code = code


class Hostile:
    def __getattr__(self, name):
        raise RuntimeError("no")


@pytest.mark.parametrize("how", ["thread", "async"])
@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (MyFailure(5), "MyFailure"),
        (ActivityFailed("Own", {"user": Hostile()}), "Own"),
        (ActivityFailed({"code": 1}), '{"code":1}'),
        (type("Odd", (ActivityCanceled,), {"__init__": lambda self: None})(), "CancelNotRequested"),
    ],
    ids=["no-init", "hostile-details", "json-reason", "canceled-no-init"],
)
def test_no_failure_is_lost_in_its_wording(make_worker, quick_swf, how, error, reason):
    @activity(name="Work", version="1")
    def in_thread():
        raise error

    @activity(name="Work", version="1")
    async def in_loop():
        raise error

    worker = make_worker(in_thread if how == "thread" else in_loop)
    scheduled = quick_swf.schedule("Work", "1")
    with worker:
        outcome = scheduled.outcome()
    assert isinstance(outcome, Failed)
    assert outcome.reason == reason


@pytest.mark.parametrize("how", ["plain", "async"])
def test_after_a_failed_start_nothing_hangs(make_worker, how):
    class Broken(ActivityWorker):
        if how == "plain":

            def on_start(self):
                raise ValueError("no database")
        else:

            async def on_start(self):
                raise ValueError("no database")

        @activity(name="Async", version="1")
        async def work(self): ...

    worker = make_worker(kind=Broken)
    with pytest.raises(ValueError, match="no database"):
        worker.start()
    assert worker.wait(5)
    assert worker.stop() == []


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


@pytest.mark.parametrize("held", ["observer"])
def test_an_observer_that_blocks_holds_up_no_beat_and_no_answer(make_worker, quick_swf, held):
    release = threading.Event()

    class Blocking:
        def observe(self, record):
            release.wait(20)

    @activity(name="Work", version="1", heartbeat_timeout=1)
    def handler(context: ActivityContext):
        context.wait_for_stop(2)
        return "alive"

    worker = make_worker(handler)
    worker._options.observers.insert(0, Blocking())
    scheduled = quick_swf.schedule("Work", "1")
    with worker:
        assert scheduled.outcome() == Completed('"alive"')
        began = time.monotonic()
        worker.stop()
        assert time.monotonic() - began < 5
        release.set()


def test_a_call_that_never_returns_keeps_no_process_from_exiting(tmp_path):
    (tmp_path / "stuck.py").write_text(
        "import asyncio, time\n"
        "from swf_worker import ActivityWorker, activity\n"
        "@activity(name='Stuck', version='1', heartbeat_interval=0.1)\n"
        "async def stuck():\n    await asyncio.to_thread(time.sleep, 50)\n"
        "worker = ActivityWorker(domain='d', task_list='t', activities=[stuck],\n"
        "                        drain_timeout=0, cancel_grace=0.1)\n"
        "if __name__ == '__main__':\n    raise SystemExit(worker.run())\n"
    )
    from swf_worker.local import LocalSwf

    with LocalSwf(poll_hold=0.2) as swf:
        swf.register(activity(name="Stuck", version="1")(lambda: None), domain="d")
        scheduled = swf.schedule("Stuck", "1", task_list="t")
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "swf_worker",
                "run",
                "stuck:worker",
                "--endpoint-url",
                swf.endpoint_url,
            ],
            cwd=tmp_path,
            stderr=subprocess.DEVNULL,
        )
        scheduled.wait_for_heartbeats()
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        assert scheduled.outcome().reason == "WorkerShutdown"


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


def test_progress_queues_each_task_once(recorder):
    @activity(name="Work", version="1", heartbeat_interval=0.1)
    def handler(context: ActivityContext):
        for number in range(200):
            context.heartbeat(number)
            time.sleep(0.005)

    with (
        Wire(
            PollForActivityTask=[wire.task(), hold()],
            RecordActivityTaskHeartbeat=[BEAT],
            RespondActivityTaskCompleted=[OK],
        ) as service,
        wired(service, recorder, handler, progress_beats_per_second=1) as worker,
    ):
        service.wait_for("RecordActivityTaskHeartbeat", 5)
        assert len(worker._running.engine.parts.task_services.heartbeater._waiting) <= 1
        recorder.wait_for(TaskEnded)


def test_a_handler_that_cancels_its_own_task_and_returns_has_returned(make_worker, quick_swf):
    @activity(name="Work", version="1")
    async def handler():
        asyncio.current_task().cancel()
        return "returned"

    worker = make_worker(handler)
    scheduled = quick_swf.schedule("Work", "1")
    with worker:
        assert scheduled.outcome() == Completed('"returned"')


class Text(str):
    pass


def test_results_that_json_takes_are_taken(make_worker, quick_swf):
    """The twenty-line loop would have completed them."""

    @activity(name="Work", version="1")
    def handler() -> object:
        return {"a": Text("x"), "b": [type("Number", (int,), {})(3)], None: 1}

    worker = make_worker(handler)
    scheduled = quick_swf.schedule("Work", "1")
    with worker:
        assert scheduled.outcome() == Completed('{"a":"x","b":[3],"null":1}')


def test_a_longer_drain_at_the_stop_wins_over_the_option(make_worker, quick_swf, recorder):
    @activity(name="Work", version="1")
    def handler(context: ActivityContext) -> bool:
        return context.wait_for_stop(1.5)

    worker = make_worker(handler, drain_timeout=0.3)
    scheduled = quick_swf.schedule("Work", "1")
    with worker:
        scheduled.wait_until_started()
        worker.request_stop()
        recorder.wait_for(WorkerStopping)
        worker.stop(drain_timeout=20)
        assert scheduled.outcome() == Completed("false")


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


class Counter:
    def count(self) -> int:
        return 3


def test_bound_methods_can_be_registered_on_an_instance(make_worker, quick_swf):
    worker = make_worker()
    worker.activity(name="Count", version="1")(Counter().count)
    quick_swf.register(worker)
    scheduled = quick_swf.schedule("Count", "1")
    with worker:
        assert scheduled.outcome() == Completed("3")
    with pytest.raises(ConfigurationError, match="can't be marked"):
        activity(version="1")(Counter().count)


def test_a_mark_without_its_version_or_parentheses_says_how():
    worker = ActivityWorker(domain="d", task_list="t", activities=[work])
    for marking in (activity, worker.activity):
        with pytest.raises(ConfigurationError, match=r'@activity\(version="1.0"\)'):
            marking(lambda: None)
        with pytest.raises(ConfigurationError, match="needs a version"):
            marking(name="Name")
    with pytest.raises(ConfigurationError, match="a class can't be a handler"):
        worker.activity(version="1")(Counter)


def test_a_forgotten_super_init_is_named():
    class Forgetful(ActivityWorker):
        def __init__(self):
            pass

    with pytest.raises(ConfigurationError, match=r"super\(\).__init__"):
        Forgetful().start()


@pytest.mark.parametrize(
    "options",
    [
        {"activities": 5},
        {"wrappers": 5},
        {"observers": 5},
        {"endpoint_url": 5},
        {"session": "x"},
        {"region_name": 5},
        {"failure_tracebacks": "no"},
        {"client_config": {}},
    ],
    ids=lambda value: next(iter(value)),
)
def test_options_of_wrong_types_are_refused_by_name(options):
    with pytest.raises(ConfigurationError, match=next(iter(options))):
        ActivityWorker(**{"domain": "d", "task_list": "t", "activities": [work]} | options)
