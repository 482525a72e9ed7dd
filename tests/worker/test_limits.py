"""``max_concurrent`` of a type, and a blocked event loop: what one handler may cost the others."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time

import pytest

from swf_worker import ActivityContext, activity
from swf_worker.local import Canceled, Completed
from swf_worker.observations import (
    HeartbeatAccepted,
    LoopBlocked,
    LoopFreed,
    TaskHeld,
)


class AtOnce:
    """Counts how many handlers run at once, and holds them until told."""

    def __init__(self) -> None:
        self.now = self.most = 0
        self.started = threading.Semaphore(0)
        self.go = threading.Event()
        self._lock = threading.Lock()

    def __enter__(self):
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)
        self.started.release()

    def __exit__(self, *_):
        with self._lock:
            self.now -= 1


def handlers(at_once):
    @activity(name="Work", version="1", max_concurrent=2, heartbeat_interval=0.2)
    def plain(number: int) -> int:
        with at_once:
            at_once.go.wait(20)
        return number

    @activity(name="Work", version="1", max_concurrent=2, heartbeat_interval=0.2)
    async def coroutine(number: int) -> int:
        with at_once:
            await asyncio.to_thread(at_once.go.wait, 20)
        return number

    return {"thread": plain, "async": coroutine}


@pytest.mark.parametrize("mode", ["thread", "async"])
def test_no_more_handlers_of_a_type_run_at_once_and_the_others_wait_with_their_beats(
    quick_swf, make_worker, recorder, mode
):
    at_once = AtOnce()
    worker = make_worker(handlers(at_once)[mode], max_concurrent_activities=6)
    scheduled = [
        quick_swf.schedule("Work", "1", number, heartbeat_timeout=2) for number in range(5)
    ]
    with worker:
        held = {record.task.task_token for record in recorder.wait_for(TaskHeld, 3)}
        assert at_once.started.acquire(timeout=5)
        assert at_once.started.acquire(timeout=5)

        def beating():
            return {r.task.task_token for r in recorder.of(HeartbeatAccepted)}

        while not held <= beating():  # those that wait are kept alive
            recorder.wait_for(HeartbeatAccepted, len(recorder.of(HeartbeatAccepted)) + 1)
        assert at_once.most == 2
        at_once.go.set()
        assert [each.outcome() for each in scheduled] == [Completed(str(n)) for n in range(5)]
    assert at_once.most == 2


def test_a_cancel_request_ends_a_task_that_waits_and_it_never_runs(
    quick_swf, make_worker, recorder
):
    at_once = AtOnce()
    worker = make_worker(handlers(at_once)["thread"], max_concurrent_activities=6)
    scheduled = {s.workflow_id: s for s in (quick_swf.schedule("Work", "1", n) for n in range(3))}
    with worker:
        held = recorder.wait_for(TaskHeld)[0].task.workflow_execution.workflow_id
        waits = scheduled.pop(held)
        waits.request_cancel()
        assert waits.outcome() == Canceled()
        at_once.go.set()
        assert all(isinstance(each.outcome(), Completed) for each in scheduled.values())
    assert [at_once.started.acquire(blocking=False) for _ in range(3)] == [True, True, False]


def test_at_the_end_of_a_drain_tasks_that_wait_fail_and_never_run(quick_swf, make_worker, recorder):
    at_once = AtOnce()
    worker = make_worker(
        handlers(at_once)["thread"], max_concurrent_activities=6, drain_timeout=0, cancel_grace=20
    )
    scheduled = {s.workflow_id: s for s in (quick_swf.schedule("Work", "1", n) for n in range(3))}
    with worker:
        held = recorder.wait_for(TaskHeld)[0].task.workflow_execution.workflow_id
        worker.request_stop()
        assert scheduled.pop(held).outcome().reason == "WorkerShutdown"
        at_once.go.set()
        assert worker.stop() == []
        assert all(isinstance(each.outcome(), Completed) for each in scheduled.values())
        assert [at_once.started.acquire(blocking=False) for _ in range(3)] == [True, True, False]


# --- a blocked loop -----------------------------------------------------------------------------


@activity(name="Blocks", version="1", heartbeat_interval=0.2)
async def blocks(context: ActivityContext) -> str:
    await asyncio.sleep(0)
    time.sleep(2.5)
    return "late"


@activity(name="BlocksInATaskOfItsOwn", version="1", heartbeat_interval=0.2)
async def blocks_elsewhere() -> str:
    async def deep() -> None:
        time.sleep(2.5)

    await asyncio.create_task(deep())
    return "late"


@activity(name="Waits", version="1", heartbeat_interval=0.2)
async def waits() -> None:
    await asyncio.sleep(60)


@pytest.mark.parametrize("name", ["Blocks", "BlocksInATaskOfItsOwn"])
def test_a_blocked_loop_is_named_and_nobodys_beats_stop(quick_swf, make_worker, recorder, name):
    worker = make_worker(blocks, blocks_elsewhere, waits)
    innocent = quick_swf.schedule("Waits", "1", heartbeat_timeout=1)
    with worker:
        innocent.wait_for_heartbeats()
        guilty = quick_swf.schedule(name, "1", heartbeat_timeout=1)
        blocked = recorder.wait_for(LoopBlocked)[0]
        assert guilty.outcome() == Completed('"late"'), "its own beats went on as well"
        freed = recorder.wait_for(LoopFreed)[0]
        innocent.request_cancel()
        assert innocent.outcome() == Canceled()
    assert 1 <= blocked.seconds < freed.seconds
    assert "time.sleep(2.5)" in blocked.stack
    if name == "Blocks" or hasattr(asyncio.Task, "get_context"):  # Python 3.12
        assert blocked.activity.activity_type.name == name
        assert freed.activity == blocked.activity
    assert len(recorder.of(LoopBlocked)) == 1, "said once"


def test_a_busy_loop_that_turns_is_not_called_blocked(quick_swf, make_worker, recorder):
    @activity(name="Busy", version="1")
    async def busy() -> None:
        until = time.monotonic() + 2.5
        while time.monotonic() < until:
            await asyncio.sleep(0)

    worker = make_worker(busy)
    scheduled = quick_swf.schedule("Busy", "1")
    with worker:
        assert scheduled.outcome() == Completed()
    assert not recorder.of(LoopBlocked)


def test_what_a_handler_sets_in_its_context_is_not_the_next_ones(make_worker, quick_swf):
    """The end of one task starts the next one that waited, on the same loop."""
    tenant = contextvars.ContextVar("tenant", default="nobody")

    @activity(name="Tenant", version="1", heartbeat_timeout=30, max_concurrent=1)
    async def handler(number: int) -> str:
        seen = tenant.get()
        tenant.set(f"tenant of {number}")
        return seen

    worker = make_worker(handler, max_concurrent_activities=4)
    scheduled = [quick_swf.schedule("Tenant", "1", number) for number in range(4)]
    with worker:
        assert [each.outcome() for each in scheduled] == [Completed('"nobody"')] * 4
