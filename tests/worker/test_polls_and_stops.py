"""How tasks come in, and how a worker that is told to stop leaves none behind."""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import ExitStack

import pytest

from swf_worker import (
    ActivityCanceled,
    ActivityContext,
    ActivityWorker,
    CancelReason,
    Completed,
    Failed,
    MalformedResponseError,
    RetryPolicy,
    activity,
)
from swf_worker.local import LocalSwf, TimedOut
from swf_worker.observations import (
    DrainEnded,
    HandlerStarted,
    InternalError,
    PollFailed,
    TaskEnded,
    TaskStarted,
    WorkerStopping,
)
from tests import wire
from tests.conftest import eventually
from tests.wire import EMPTY_POLL, OK, Wire, fault, http
from tests.worker.wired import hold, wired, work


@pytest.fixture
def slow_swf():
    """A local SWF that holds polls long enough to stop a worker meanwhile."""
    with LocalSwf(poll_hold=20) as swf:
        yield swf


def test_a_failed_poll_is_followed_by_the_next_when_its_wait_is_over(recorder):
    came = []

    def failing(sock):
        came.append(time.monotonic())
        sock.sendall(http(500))

    def accepted(sock):
        came.append(time.monotonic())
        sock.sendall(EMPTY_POLL)

    with (
        Wire(PollForActivityTask=[*[failing] * 8, accepted, hold()]) as service,
        wired(service, recorder, work, retry_policy=RetryPolicy(initial_wait=0.2, max_wait=0.4)),
    ):
        failed = recorder.wait_for(PollFailed, 8)
        service.wait_for("PollForActivityTask", 9)
    for record, before, after in zip(failed, came[:-1], came[1:], strict=True):
        assert after - before > record.retry_in - 0.02
    assert came[-1] - came[0] > 0.2, "eight waits of 0.2 s on average"


def test_polling_survives_everything_and_goes_on(recorder):
    """No exception type gets through the loop."""
    troubles = [
        http(500),
        wire.hang_up,
        wire.reset,
        http(200, "<html>"),
        http(200, "[]"),
        http(200, b"\xff"),
        fault("ThrottlingException"),
        fault("LimitExceededFault"),
        http(403, "proxy"),
        fault("OperationNotPermittedFault"),
        fault("UnknownResourceFault", "Unknown domain: d"),
    ]
    with (
        Wire(
            PollForActivityTask=[EMPTY_POLL, *troubles, wire.task(), hold()],
            RespondActivityTaskCompleted=[OK],
        ) as service,
        wired(service, recorder, work) as worker,
    ):
        assert recorder.wait_for(TaskEnded)[0].disposition == "accepted"
        assert worker.error is None
    assert len(recorder.of(PollFailed)) == len(troubles)
    assert any(isinstance(r.error, MalformedResponseError) for r in recorder.of(PollFailed))


def test_empty_polls_answered_at_once_have_a_floor(recorder):
    with Wire(PollForActivityTask=[EMPTY_POLL]) as service, wired(service, recorder, work):
        service.wait_for("PollForActivityTask", 3)
        began, before = time.monotonic(), len(service.calls)
        service.wait_for("PollForActivityTask", before + 5)
        assert time.monotonic() - began > 0.7


def test_a_task_is_taken_only_when_it_can_be_run(make_worker, quick_swf, recorder):
    """Slots: open polls and running tasks together never exceed max_concurrent_activities."""
    release, running, most = threading.Event(), [], []

    @activity(name="Work", version="1", heartbeat_interval=30)
    def handler(number: int):
        running.append(number)
        most.append(len(running))
        release.wait(20)
        running.remove(number)

    worker = make_worker(handler, max_concurrent_activities=3)
    scheduled = [quick_swf.schedule("Work", "1", number) for number in range(7)]
    with worker:
        recorder.wait_for(TaskStarted, 3)
        client = quick_swf.client()
        pending = client.count_pending_activity_tasks(domain="tests", taskList={"name": "tasks"})
        assert pending["count"] == 4
        release.set()
        for each in scheduled:
            assert isinstance(each.outcome(), Completed)
    assert max(most) == 3


@pytest.mark.parametrize("how", ["thread", "async"])
def test_running_tasks_are_finished_at_a_stop(make_worker, quick_swf, recorder, how):
    """Drained, with beats going on."""
    stopping = []

    @activity(name="Work", version="1", heartbeat_interval=0.1)
    def in_thread(context: ActivityContext):
        while not context.worker_stopping:
            context.wait_for_stop(0.01)
        recorder.wait_for(WorkerStopping)
        stopping.append(context.should_stop)
        return "drained"

    @activity(name="Work", version="1", heartbeat_interval=0.1)
    async def in_loop(context: ActivityContext):
        while not context.worker_stopping:
            await asyncio.sleep(0.01)
        await asyncio.to_thread(recorder.wait_for, WorkerStopping)
        stopping.append(context.should_stop)
        return "drained"

    worker = make_worker(in_thread if how == "thread" else in_loop)
    scheduled = quick_swf.schedule("Work", "1")
    with worker:
        scheduled.wait_until_started()
        assert worker.stop() == []
        assert scheduled.outcome() == Completed('"drained"')
        assert stopping == [False], "a drain asks nobody to stop"


def test_what_an_open_poll_brings_after_the_stop_is_run(slow_swf, recorder):
    """SWF gives tasks to polls that were cut, so none is cut."""
    worker = ActivityWorker(
        domain="tests",
        task_list="tasks",
        activities=[work],
        endpoint_url=slow_swf.endpoint_url,
        observers=[recorder],
    )
    slow_swf.register(worker)
    with worker:
        polling = worker._running.engine.parts.poller
        assert eventually(lambda: polling.open_polls == 1)
        worker.request_stop()
        recorder.wait_for(WorkerStopping)
        scheduled = slow_swf.schedule("Work", "1")
        assert scheduled.outcome() == Completed('"done"')
        assert worker.wait()


def test_what_an_open_poll_brings_after_the_second_step_fails_and_never_runs(recorder):
    asked, polled = threading.Event(), threading.Event()
    ran = []

    @activity(name="Work", version="1", heartbeat_interval=30)
    def handler() -> None:
        ran.append(True)

    def held(sock):
        polled.set()
        asked.wait(20)
        sock.sendall(wire.task())

    with (
        Wire(
            PollForActivityTask=[EMPTY_POLL, held, hold()], RespondActivityTaskFailed=[OK]
        ) as service,
        wired(service, recorder, handler, max_concurrent_activities=1) as worker,
    ):
        assert polled.wait(20)
        worker._running.driver.signaled()
        worker._running.driver.signaled()
        recorder.wait_for(DrainEnded)
        asked.set()
        (answer,) = service.wait_for("RespondActivityTaskFailed")
    assert answer["reason"] == "WorkerShutdown"
    assert ran == []


@pytest.mark.parametrize("how", ["thread", "async"])
def test_after_the_drain_handlers_are_asked_to_stop(make_worker, quick_swf, how):
    @activity(name="Work", version="1", heartbeat_interval=30)
    def in_thread(context: ActivityContext):
        assert context.wait_for_stop(20)
        assert context.cancel_reason is CancelReason.WORKER_SHUTDOWN
        raise ActivityCanceled

    @activity(name="Work", version="1", heartbeat_interval=30)
    async def in_loop():
        await asyncio.sleep(20)

    worker = make_worker(in_thread if how == "thread" else in_loop)
    scheduled = quick_swf.schedule("Work", "1")
    with worker:
        scheduled.wait_until_started()
        assert worker.stop(drain_timeout=0.1) == []
        outcome = scheduled.outcome()
        assert isinstance(outcome, Failed)
        assert outcome.reason == "WorkerShutdown", "never Canceled: SWF did not ask"


def test_an_embedded_stop_abandons_what_never_ends_and_names_it(make_worker, quick_swf):
    release = threading.Event()

    @activity(name="Work", version="1", heartbeat_interval=30)
    def handler():
        release.wait(30)

    worker = make_worker(handler, cancel_grace=0.1)
    scheduled = quick_swf.schedule("Work", "1", heartbeat_timeout=1)
    with worker:
        scheduled.wait_until_started()
        began = time.monotonic()
        abandoned = worker.stop(drain_timeout=0.1)
        assert time.monotonic() - began < 5
        assert [task.workflow_execution.workflow_id for task in abandoned] == [
            scheduled.workflow_id
        ]
        assert scheduled.outcome() == TimedOut("HEARTBEAT")
        release.set()


def test_a_stop_while_the_service_is_gone_is_bounded(recorder):
    service = Wire(PollForActivityTask=[hold()])
    with ExitStack() as there:
        there.enter_context(service)
        with wired(service, recorder, work) as worker:
            service.wait_for("PollForActivityTask", 2)
            there.close()
            recorder.wait_for(PollFailed)
            began = time.monotonic()
            assert worker.stop() == []
            assert time.monotonic() - began < 5
    assert not recorder.of(InternalError)


@activity(name="Drained", version="1")
def drained(context: ActivityContext) -> bool:
    while not context.worker_stopping:
        time.sleep(0.01)
    return context.wait_for_stop(0.3)


def test_a_drain_asks_nobody_to_stop(quick_swf, make_worker, recorder):
    with make_worker(drained):
        scheduled = quick_swf.schedule("Drained", "1")
        recorder.wait_for(HandlerStarted)
    assert scheduled.outcome() == Completed("false")
