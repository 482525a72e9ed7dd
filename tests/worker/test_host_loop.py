"""Async handlers on the program's own event loop: its resources belong to it."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import textwrap
import threading
import time
from contextlib import contextmanager

import pytest

from swf_worker import ActivityContext, ActivityWorker, ConfigurationError, activity
from swf_worker.local import Canceled, Completed, Failed, TimedOut
from swf_worker.observations import LoopBlocked, LoopFreed, TaskEnded
from tests.commands import environment
from tests.conftest import started
from tests.worker import children as handlers


class Pool:
    """A resource as asyncpg's or aiohttp's is: bound to the loop that it was first used on."""

    def __init__(self):
        self._free = asyncio.Semaphore(1)

    async def query(self, seconds=0.02):
        async with self._free:
            await asyncio.sleep(seconds)
            return threading.get_ident()


def worker_of(make_worker, *activities, loop="current", **options):
    return make_worker(*activities, event_loop=loop, **options)


async def outcome(scheduled):
    return await asyncio.to_thread(scheduled.outcome)


def test_handlers_share_a_pool_with_the_program_under_load(make_worker, quick_swf):
    """fastapi#5790: "is bound to a different event loop", and only under load."""

    async def service():
        pool = Pool()

        @activity(name="Asks", version="1", heartbeat_interval=1)
        async def asks() -> int:
            return await pool.query()

        worker = worker_of(make_worker, asks, max_concurrent_activities=5)
        scheduled = [quick_swf.schedule("Asks", "1") for _ in range(10)]
        async with worker:
            mine = await asyncio.gather(*(pool.query() for _ in range(10)))
            found = [await outcome(each) for each in scheduled]
        assert found == [Completed(str(mine[0]))] * 10, "in the thread of the program's loop"

    asyncio.run(service())


class Hooked(ActivityWorker):
    async def on_start(self):
        self.seen = [asyncio.get_running_loop()]

    async def on_stop(self):
        self.seen.append(asyncio.get_running_loop())

    async def handle_unregistered(self, context: ActivityContext, input: str | None) -> str:
        self.seen.append(asyncio.get_running_loop())
        return "there"


def test_hooks_and_wrappers_run_there_and_everything_else_as_ever(make_worker, quick_swf):
    wrapped = []

    @contextmanager
    def wrapper(context):
        wrapped.append(threading.get_ident())
        yield

    @activity(name="Plain", version="1", heartbeat_interval=1)
    def plain() -> bool:
        return threading.current_thread() is threading.main_thread()

    @activity(name="Async", version="1", heartbeat_interval=1)
    async def asynchronous() -> bool:
        return threading.current_thread() is threading.main_thread()

    async def service():
        worker = worker_of(make_worker, plain, asynchronous, handlers.pid, kind=Hooked, wrappers=[])
        worker.configure({"wrappers": [handlers.marked]})
        quick_swf.client().register_activity_type(domain="tests", name="Other", version="1")
        async with worker:
            assert await outcome(quick_swf.schedule("Plain", "1")) == Completed("false")
            assert await outcome(quick_swf.schedule("Async", "1")) == Completed("true")
            assert (await outcome(quick_swf.schedule("Pid", "1", 0))).result.isdigit()
            assert await outcome(quick_swf.schedule("Other", "1")) == Completed("there")
        assert worker.seen == [asyncio.get_running_loop()] * 3
        again = worker_of(make_worker, asynchronous, wrappers=[wrapper])
        async with again:
            await outcome(quick_swf.schedule("Async", "1"))
        assert wrapped == [threading.get_ident()]

    asyncio.run(service())


def test_cancels_deadlines_and_beats_are_as_on_our_own(make_worker, quick_swf, recorder):
    @activity(name="Undo", version="1", heartbeat_interval=0.1)
    async def undo() -> None:
        await asyncio.sleep(60)

    @activity(name="Late", version="1", heartbeat_interval=0.1, deadline=0.5)
    async def late() -> None:
        await asyncio.sleep(60)

    async def service():
        async with worker_of(make_worker, undo, late):
            canceled = quick_swf.schedule("Undo", "1")
            too_late = quick_swf.schedule("Late", "1")
            await asyncio.to_thread(canceled.wait_for_heartbeats, 2)
            await asyncio.to_thread(canceled.request_cancel)
            assert await outcome(canceled) == Canceled()
            assert (await outcome(too_late)).reason == "HandlerTimedOut"

    asyncio.run(service())


def test_a_loop_that_the_program_blocks_is_told_and_beats_go_on(make_worker, quick_swf, recorder):
    @activity(name="Waits", version="1", heartbeat_interval=0.2)
    async def waits() -> str:
        await asyncio.sleep(0.1)
        return "waited"

    async def service():
        async with worker_of(make_worker, waits):
            scheduled = quick_swf.schedule("Waits", "1", heartbeat_timeout=2)
            time.sleep(4)  # the program's own code
            assert await outcome(scheduled) == Completed('"waited"')

    asyncio.run(service())
    assert recorder.of(LoopBlocked)
    assert recorder.of(LoopFreed)


@pytest.mark.parametrize("how", ["asyncio.run ends", "closed"])
def test_a_loop_that_is_closed_under_way_is_fatal_and_nothing_is_silent(
    make_worker, quick_swf, recorder, how
):
    told = []
    began = threading.Event()

    @activity(name="Work", version="1", heartbeat_interval=0.2)
    async def work() -> None:
        began.set()
        await asyncio.sleep(60)

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    worker = worker_of(make_worker, work, loop=loop, on_fatal_error=told.append)
    with started(worker):
        scheduled = quick_swf.schedule("Work", "1", heartbeat_timeout=2)
        assert began.wait(10)

        async def cancel_all():
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()

        if how == "asyncio.run ends":  # it cancels everybody first
            asyncio.run_coroutine_threadsafe(cancel_all(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        for task in asyncio.all_tasks(loop):
            task.get_coro().close()
            task._log_destroy_pending = False
        loop.close()
        ended = scheduled.outcome()
        assert isinstance(ended, Failed)
        assert ended.reason in ("WorkerShutdown", "CancelledError")
        with pytest.raises(ConfigurationError, match="was closed while the worker ran"):
            worker.wait(20)
        assert told == [worker.error]
        assert recorder.wait_for(TaskEnded)
        assert not worker.is_running


def test_a_task_that_comes_when_the_loop_is_gone_is_failed(make_worker, quick_swf):
    @activity(name="Work", version="1", heartbeat_interval=0.2)
    async def work() -> None: ...

    @activity(name="Slow", version="1", heartbeat_interval=0.2)
    def slow(context: ActivityContext) -> str:
        context.wait_for_stop(1.5)
        return "done"

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    worker = worker_of(make_worker, work, slow, loop=loop, max_concurrent_activities=2)
    with started(worker):
        running = quick_swf.schedule("Slow", "1")
        running.wait_for_heartbeats(1)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
        lost = quick_swf.schedule(
            "Work", "1", start_to_close_timeout=20, schedule_to_start_timeout=2
        )
        found = lost.outcome()
        failed = isinstance(found, Failed) and found.reason == "WorkerShutdown"
        assert failed or found == TimedOut("SCHEDULE_TO_START")
        assert running.outcome() == Completed('"done"'), "threads go on to the end"
        with pytest.raises(ConfigurationError):
            worker.stop()


@pytest.mark.parametrize("given", [5, "any"])
def test_what_is_no_loop_is_refused(given):
    @activity(name="Work", version="1")
    async def work() -> None: ...

    with pytest.raises(ConfigurationError, match="event_loop is"):
        ActivityWorker(domain="d", task_list="t", activities=[work], event_loop=given)


def test_a_loop_that_does_not_run_and_a_current_one_that_is_none_are_refused(make_worker):
    @activity(name="Work", version="1")
    async def work() -> None: ...

    loop = asyncio.new_event_loop()
    with pytest.raises(ConfigurationError, match="does not run"):
        worker_of(make_worker, work, loop=loop).start()
    loop.close()
    with pytest.raises(ConfigurationError, match="async with worker"):
        worker_of(make_worker, work).start()

    async def inside():
        with pytest.raises(RuntimeError, match="async with worker"):
            worker_of(make_worker, work).start()
        with pytest.raises(RuntimeError, match="async with worker"):
            worker_of(make_worker, work, loop=asyncio.get_running_loop()).start()

    asyncio.run(inside())


def test_an_eager_loop_leaves_nothing_behind(make_worker, quick_swf):
    if not hasattr(asyncio, "eager_task_factory"):
        pytest.skip("tasks are eager from Python 3.12 on")

    @activity(name="Work", version="1", heartbeat_interval=1)
    async def work() -> int:
        return 5

    async def service():
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
        async with worker_of(make_worker, work) as worker:
            assert await outcome(quick_swf.schedule("Work", "1")) == Completed("5")
            assert not worker._running.engine.parts.runners._coroutines._tasks

    asyncio.run(service())


INTERRUPTED = """
    import asyncio, sys
    from swf_worker import ActivityWorker, activity
    from swf_worker.observations import WorkerStopping

    @activity(name="Work", version="1", heartbeat_interval=0.2)
    async def work() -> None:
        await asyncio.sleep(60)

    class Tells:
        def observe(self, record):
            if isinstance(record, WorkerStopping):
                print("stopping", flush=True)

    async def main():
        worker = ActivityWorker(
            domain="tests",
            task_list="tasks",
            activities=[work],
            observers=[Tells()],
            event_loop="current",
        )
        async with worker:
            await asyncio.Event().wait()

    asyncio.run(main())
"""


def test_a_program_that_is_interrupted_twice_shuts_down(quick_swf):
    """The second Ctrl-C ends the program, and asyncio.run cancels what still runs on its loop."""

    @activity(name="Work", version="1", heartbeat_interval=0.2)
    async def work() -> None: ...

    quick_swf.register([work], domain="tests")
    scheduled = quick_swf.schedule("Work", "1", domain="tests", task_list="tasks")
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(INTERRUPTED)],
        env=environment(AWS_ENDPOINT_URL_SWF=quick_swf.endpoint_url),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as program:
        scheduled.wait_for_heartbeats()
        program.send_signal(signal.SIGINT)
        assert program.stdout.readline() == b"stopping\n"
        program.send_signal(signal.SIGINT)
        outcome = scheduled.outcome()
        program.communicate(timeout=20)
    assert isinstance(outcome, Failed)
    assert outcome.reason == "WorkerShutdown"
