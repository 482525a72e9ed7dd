"""Handlers, results and observers that nobody expects."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading
import time

import pytest

from swf_worker import (
    ActivityCanceled,
    ActivityContext,
    ActivityFailed,
    Completed,
    ConfigurationError,
    Failed,
    activity,
)
from swf_worker.observations import TaskEnded, WorkerStopping
from tests import wire
from tests.wire import OK, Wire
from tests.worker.wired import BEAT, hold, wired


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
