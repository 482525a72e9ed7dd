"""Each row of the outcome table, through the wire: what the service saw."""

from __future__ import annotations

import asyncio
import json
import threading
from contextlib import contextmanager, suppress

import pytest

from swf_worker import (
    ActivityCanceled,
    ActivityContext,
    ActivityFailed,
    Canceled,
    Completed,
    Failed,
    activity,
    current_context,
)
from swf_worker.local import TimedOut
from swf_worker.observations import TaskEnded


def run_one(make_worker, swf, handler, input=None, **given):
    worker = make_worker(handler)
    name, version = worker.definitions[0].type.name, worker.definitions[0].type.version
    scheduled = swf.schedule(name, version, input, **given)
    with worker:
        return scheduled.outcome()


@activity(name="Work", version="1")
def returns(page: int) -> dict:
    return {"page": page}


@activity(name="Work", version="1")
async def returns_async(page: int) -> dict:
    await asyncio.sleep(0)
    return {"page": page}


@pytest.mark.parametrize("handler", [returns, returns_async])
def test_a_result_is_completed(make_worker, quick_swf, handler):
    assert run_one(make_worker, quick_swf, handler, 3) == Completed('{"page":3}')


@pytest.mark.parametrize("how", ["thread", "async"])
def test_a_cancel_request_then_activity_canceled_is_canceled(make_worker, quick_swf, how):
    @activity(name="Work", version="1", heartbeat_interval=0.1)
    def in_thread(context: ActivityContext):
        assert context.wait_for_stop(20)
        assert context.cancel_requested
        raise ActivityCanceled({"undone": True})

    @activity(name="Work", version="1", heartbeat_interval=0.1)
    async def in_loop(context: ActivityContext):
        try:
            await asyncio.sleep(20)
        except asyncio.CancelledError:
            assert context.cancel_requested
            raise ActivityCanceled({"undone": True}) from None

    worker = make_worker(in_thread if how == "thread" else in_loop)
    scheduled = quick_swf.schedule("Work", "1")
    with worker:
        scheduled.wait_for_heartbeats()
        scheduled.request_cancel()
        assert scheduled.outcome() == Canceled('{"undone":true}')


def test_an_async_handler_that_lets_our_cancel_out_is_canceled(make_worker, quick_swf):
    @activity(name="Work", version="1", heartbeat_interval=0.1)
    async def handler():
        await asyncio.gather(asyncio.sleep(20), asyncio.sleep(30))

    worker = make_worker(handler)
    scheduled = quick_swf.schedule("Work", "1")
    with worker:
        scheduled.wait_for_heartbeats()
        scheduled.request_cancel()
        assert scheduled.outcome() == Canceled()


def test_a_finished_result_beats_a_cancel(make_worker, quick_swf):

    @activity(name="Work", version="1", heartbeat_interval=0.1)
    def handler(context: ActivityContext) -> str:
        context.wait_for_stop(20)
        return "done anyway"

    worker = make_worker(handler)
    scheduled = quick_swf.schedule("Work", "1")
    with worker:
        scheduled.wait_for_heartbeats()
        scheduled.request_cancel()
        assert scheduled.outcome() == Completed('"done anyway"')


def test_activity_canceled_without_a_request_is_a_failure(make_worker, quick_swf):

    @activity(name="Work", version="1")
    def handler():
        raise ActivityCanceled("just so")

    outcome = run_one(make_worker, quick_swf, handler)
    assert outcome.reason == "CancelNotRequested"
    assert json.loads(outcome.details)["retryable"] is False


@pytest.mark.parametrize("swallow", [False, True])
def test_a_cancelled_error_of_the_handlers_own_is_a_failure(make_worker, quick_swf, swallow):
    """Also after ours was swallowed: a library's cancellation is nothing SWF asked for."""

    @activity(name="Work", version="1", heartbeat_interval=0.1)
    async def handler():
        if swallow:
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(20)
        future = asyncio.get_running_loop().create_future()
        future.cancel()
        await future

    worker = make_worker(handler)
    scheduled = quick_swf.schedule("Work", "1")
    with worker:
        if swallow:
            scheduled.wait_for_heartbeats()
            scheduled.request_cancel()
        assert scheduled.outcome().reason == "CancelledError"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ValueError("no"), "ValueError"),
        (SystemExit(3), "SystemExit"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
        (GeneratorExit(), "GeneratorExit"),
        (StopIteration(), None),
        (ActivityFailed("NoSuchPage", {"page": 9}), "NoSuchPage"),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("how", ["thread", "async"])
def test_whatever_a_handler_raises_is_a_failure_and_the_worker_lives(
    make_worker, quick_swf, error, reason, how
):

    @activity(name="Raises", version="1")
    def raises():
        raise error

    @activity(name="Raises", version="1")
    async def raises_async():
        raise error

    worker = make_worker(raises if how == "thread" else raises_async, returns)
    first = quick_swf.schedule("Raises", "1")
    with worker:
        outcome = first.outcome()
        assert isinstance(outcome, Failed)
        assert reason is None or outcome.reason == reason
        assert quick_swf.schedule("Work", "1", 1).outcome() == Completed('{"page":1}')


def test_a_result_that_is_too_large_is_a_typed_failure_with_the_sizes(make_worker, quick_swf):

    @activity(name="Work", version="1")
    def handler(count: int) -> str:
        return "😀" * count

    assert isinstance(run_one(make_worker, quick_swf, handler, 16_383), Completed)
    outcome = run_one(make_worker, quick_swf, handler, 16_384)
    assert outcome.reason == "PayloadTooLarge"
    assert "32,770" in outcome.details
    assert "32,768" in outcome.details


def test_an_unregistered_type_fails_naming_the_registered_ones(make_worker, quick_swf):

    @activity(name="Other", version="1")
    def other(): ...

    worker = make_worker(returns)
    quick_swf.register([other], domain="tests")
    scheduled = quick_swf.schedule("Other", "1", task_list="tasks")
    with worker:
        outcome = scheduled.outcome()
    assert outcome.reason == "ActivityNotRegistered"
    assert "Work/1" in outcome.details


def test_a_task_that_swf_closed_is_answered_nothing(make_worker, quick_swf, recorder):
    """The decider scheduled a shorter timeout than the type's."""
    stopped = threading.Event()

    @activity(name="Work", version="1", heartbeat_interval=0.2, start_to_close_timeout=3600)
    def handler(context: ActivityContext):
        context.wait_for_stop(20)
        stopped.reason = context.cancel_reason
        stopped.set()
        raise ActivityCanceled

    worker = make_worker(handler)
    scheduled = quick_swf.schedule("Work", "1", start_to_close_timeout=1)
    with worker:
        assert scheduled.outcome() == TimedOut("START_TO_CLOSE")
        assert stopped.wait(10)
        assert stopped.reason == "task_closed"
        assert recorder.wait_for(TaskEnded)[0].disposition == "closed"
    kinds = [event["eventType"] for event in scheduled.history()]
    assert sum(kind.startswith("ActivityTask") for kind in kinds) == 3


def test_manual_completion_answers_nothing_and_its_beats_end(make_worker, quick_swf, recorder):
    tokens = []

    @activity(name="Work", version="1", manual_completion=True, heartbeat_interval=0.1)
    def handler(context: ActivityContext):
        tokens.append(context.task.task_token)

    worker = make_worker(handler)
    scheduled = quick_swf.schedule("Work", "1")
    with worker:
        assert recorder.wait_for(TaskEnded)[0].disposition == "handed_over"
        quick_swf.client().respond_activity_task_completed(taskToken=tokens[0], result="later")
        assert scheduled.outcome() == Completed("later")


def test_a_manual_completion_handler_that_raises_fails(make_worker, quick_swf):
    @activity(name="Work", version="1", manual_completion=True)
    def handler():
        raise ValueError("no")

    assert run_one(make_worker, quick_swf, handler).reason == "ValueError"


def test_wrappers_run_around_handlers_of_all_kinds(make_worker, quick_swf):
    """What a wrapper swallows still counts, what it raises is the failure."""
    seen = []

    @contextmanager
    def noting(context):
        assert current_context() is context
        seen.append("in")
        try:
            yield
        finally:
            seen.append("out")

    @contextmanager
    def swallowing(context):
        with suppress(ValueError):
            yield

    @activity(name="Sync", version="1")
    def sync_handler():
        raise ValueError("swallowed")

    @activity(name="Async", version="1")
    async def async_handler():
        return 1

    worker = make_worker(sync_handler, async_handler, wrappers=[noting, swallowing])
    first, second = quick_swf.schedule("Sync", "1"), quick_swf.schedule("Async", "1")
    with worker:
        assert first.outcome().reason == "ValueError"
        assert second.outcome() == Completed("1")
    assert seen == ["in", "out", "in", "out"]


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_wrapper_that_raises_is_the_handlers_failure(make_worker, quick_swf, when):
    @contextmanager
    def broken(context):
        if when == "before":
            raise LookupError("before")
        yield
        raise LookupError("after")

    worker = make_worker(returns, wrappers=[broken])
    scheduled = quick_swf.schedule("Work", "1", 1)
    with worker:
        assert scheduled.outcome().reason == "LookupError"


def test_an_observer_that_raises_touches_no_task(make_worker, quick_swf):

    class Broken:
        def observe(self, record):
            raise RuntimeError("observer")

    worker = make_worker(returns)
    worker._options.observers.append(Broken())
    scheduled = quick_swf.schedule("Work", "1", 1)
    with worker:
        assert scheduled.outcome() == Completed('{"page":1}')


def test_current_context_is_the_tasks_own(make_worker, quick_swf):
    @activity(name="Sync", version="1")
    def sync_handler() -> str:
        return current_context().task.workflow_execution.workflow_id

    @activity(name="Async", version="1")
    async def async_handler() -> str:
        await asyncio.sleep(0)
        return current_context().task.workflow_execution.workflow_id

    worker = make_worker(sync_handler, async_handler)
    scheduled = [quick_swf.schedule(name, "1") for name in ("Sync", "Async") * 5]
    with worker:
        for each in scheduled:
            assert each.outcome() == Completed(json.dumps(each.workflow_id))
    with pytest.raises(LookupError, match="outside of an activity"):
        current_context()


def test_heartbeats_after_the_task_ended_are_ignored(make_worker, quick_swf, recorder):
    kept = []

    @activity(name="Work", version="1", heartbeat_interval=0.1)
    def handler(context: ActivityContext):
        kept.append(context)

    worker = make_worker(handler)
    scheduled = quick_swf.schedule("Work", "1")
    with worker:
        scheduled.outcome()
        recorder.wait_for(TaskEnded)
        kept[0].heartbeat("late")
    assert scheduled.heartbeats == 0
