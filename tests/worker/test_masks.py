"""Threads that run users' code have nothing special about them, whoever has them started."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest

from swf_worker import ActivityContext, ActivityWorker, JsonConverter, activity
from swf_worker.local import Completed, TimedOut
from swf_worker.observations import TaskEnded
from tests.worker import children as handlers

SPECIAL = {"swf-worker-children"}
"""Holds SIGINT, SIGTERM and SIGHUP, so that processes it starts don't die of them as they start."""


def masks():
    """What each of the worker's threads blocks, as the kernel sees it."""
    found = {}
    for thread in threading.enumerate():
        if thread.name.startswith("swf-worker-"):
            status = Path(f"/proc/self/task/{thread.native_id}/status").read_text()
            found[thread.name] = int(status.partition("SigBlk:")[2].split()[0], 16)
    return found


def blocked():
    return signal.pthread_sigmask(signal.SIG_BLOCK, [])


def hold_on(context: ActivityContext):
    while not context.worker_stopping and not context.should_stop:
        context.wait_for_stop(0.02)


@activity(name="Held", version="1", heartbeat_interval=0.2)
def held(context: ActivityContext) -> None:
    hold_on(context)


@activity(name="Starts", version="1", heartbeat_interval=0.2)
def starts_a_program() -> int:
    with subprocess.Popen(["sleep", "60"]) as program:
        program.terminate()
        try:
            return program.wait(5)
        except subprocess.TimeoutExpired:
            program.kill()
            return 0


@pytest.fixture(autouse=True)
def only_where_the_kernel_tells():
    if not Path("/proc/self/task").exists():
        pytest.skip("the kernel tells threads' masks on Linux only")


def test_a_thread_that_the_children_s_thread_had_started(make_worker, quick_swf, recorder):
    """dramatiq#465: a process task is closed while two thread handlers run, and its slot's next
    thread is started as its process is seen to die."""
    options = {"max_concurrent_activities": 3, "cancel_grace": 0.2}
    worker = make_worker(handlers.pid, held, starts_a_program, **options)
    with worker:
        closed = quick_swf.schedule("Pid", "1", 60, start_to_close_timeout=2)
        closed.wait_for_heartbeats(1)
        for _ in range(2):
            quick_swf.schedule("Held", "1").wait_for_heartbeats(1)
        assert closed.outcome() == TimedOut("START_TO_CLOSE")
        assert recorder.wait_for(TaskEnded)
        scheduled = quick_swf.schedule("Starts", "1")
        assert scheduled.outcome() == Completed(str(-signal.SIGTERM))
        told = masks()
        assert {name for name, mask in told.items() if mask} == SPECIAL
        assert sum(name.startswith("swf-worker-slot") for name in told) == 3


seen = {}


class Masks(ActivityWorker):
    """Notes the mask wherever it runs code of the user's."""

    domain = "tests"
    task_list = "tasks"

    def on_start(self):
        seen["on_start"] = blocked()

    def on_stop(self):
        seen["on_stop"] = blocked()

    def handle_unregistered(self, context: ActivityContext, input: str | None) -> str:
        seen["unregistered"] = blocked()
        return "there"

    @activity(name="Plain", version="1", heartbeat_interval=0.2)
    def plain(self) -> None:
        seen["plain"] = blocked()

    @activity(name="Async", version="1", heartbeat_interval=0.2)
    async def asynchronous(self) -> None:
        seen["async"] = blocked()
        seen["to_thread"] = await asyncio.to_thread(blocked)


class NotingConverter(JsonConverter):
    def encode(self, value):
        seen["converter"] = blocked()
        return super().encode(value)


class NotingObserver:
    def observe(self, record):
        seen["observer"] = blocked()


@contextmanager
def noting_wrapper(context):
    seen["wrapper"] = blocked()
    yield


def test_every_place_where_users_code_runs(quick_swf, make_worker):
    seen.clear()
    worker = make_worker(
        handlers.pid,
        kind=Masks,
        converter=NotingConverter(),
        wrappers=[noting_wrapper],
    )
    worker.configure({"observers": [NotingObserver()]})
    quick_swf.client().register_activity_type(domain="tests", name="Other", version="1")
    with worker:
        for name in ("Plain", "Async"):
            assert quick_swf.schedule(name, "1").outcome() == Completed()
        assert quick_swf.schedule("Other", "1").outcome() == Completed("there")
        assert quick_swf.schedule("Pid", "1", 0).outcome().result
    places = {"on_start", "on_stop", "unregistered", "plain", "async", "to_thread"}
    assert set(seen) == places | {"converter", "wrapper", "observer"}
    assert set(map(frozenset, seen.values())) == {frozenset()}


@activity(name="Blocks", version="1", heartbeat_interval=0.2)
def blocks() -> int:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    return threading.get_ident()


@activity(name="Blocked", version="1", heartbeat_interval=0.2)
def tells_what_is_blocked() -> list:
    return [threading.get_ident(), sorted(blocked())]


def test_what_a_handler_blocks_in_its_thread_is_not_the_next_ones(quick_swf, make_worker):
    with make_worker(blocks, tells_what_is_blocked, max_concurrent_activities=1):
        thread = quick_swf.schedule("Blocks", "1").outcome().result
        following = quick_swf.schedule("Blocked", "1").outcome().result
        assert following == f"[{thread},[]]"


def test_a_thread_that_a_handler_had_started(quick_swf, make_worker):
    """A beat that goes out early grows the senders from the handler's own thread."""

    @activity(name="Beats", version="1", heartbeat_interval=30)
    def beats(context: ActivityContext) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        context.heartbeat("now")
        hold_on(context)

    with make_worker(beats):
        quick_swf.schedule("Beats", "1").wait_for_heartbeats(1)
        others = {n: m for n, m in masks().items() if "slot" not in n}
        assert not any(others.values()), others


HOST = """
import signal, subprocess, sys, threading
from swf_worker import ActivityWorker, activity

@activity(name="Starts", version="1", heartbeat_interval=0.2)
def starts() -> list:
    return sorted(signal.pthread_sigmask(signal.SIG_BLOCK, []))

signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
worker = ActivityWorker(domain="tests", task_list="tasks", activities=[starts],
                        endpoint_url=sys.argv[1])
worker.start()
print("ready", flush=True)
signal.sigwait({signal.SIGTERM})
worker.stop()
print("stopped", flush=True)
"""


def test_a_host_that_waits_for_its_signals_still_gets_them(quick_swf, make_worker):
    """It blocks SIGTERM in every thread, so that ``sigwait`` gets it: a thread of ours that took
    the signal would end the host."""

    @activity(name="Starts", version="1", heartbeat_interval=0.2)
    def starts() -> list: ...

    make_worker(starts)
    scheduled = quick_swf.schedule("Starts", "1")
    command = [sys.executable, "-c", HOST, quick_swf.endpoint_url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ) as host:
        lines = iter(host.stdout.readline, "")
        assert any("ready" in line for line in lines)
        assert scheduled.outcome() == Completed(f"[{signal.SIGTERM:d}]")
        host.terminate()
        assert host.wait(20) == 0
        assert "stopped\n" in lines
