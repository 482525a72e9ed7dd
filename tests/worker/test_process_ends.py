"""Handler processes that are asked to stop and killed; and what can't run in one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import types
from pathlib import Path

import pytest

from swf_worker import ActivityWorker, ConfigurationError, activity
from swf_worker.local import Canceled, Completed, TimedOut
from swf_worker.observations import (
    HandlerProcessDied,
    HandlerStarted,
    StopAsked,
    TaskEnded,
)
from swf_worker.runtime.children import pool
from tests.conftest import children, eventually
from tests.worker import children as handlers
from tests.worker.processes import hidden


def test_a_cancel_request_is_asked_over_the_pipe(run, recorder):
    swf = run(handlers.until_asked)
    swf.schedule("UntilAsked", "1")
    scheduled = swf.schedule("UntilAsked", "1")
    recorder.wait_for(HandlerStarted, 2)
    scheduled.wait_for_heartbeats(4)
    scheduled.request_cancel()
    assert scheduled.outcome() == Canceled()


def test_a_request_may_be_ignored_by_a_process_too(run, recorder):
    swf = run(handlers.finish, handlers.deaf_plain, cancel_grace=0.1)
    finishing, deaf = swf.schedule("Finish", "1"), swf.schedule("Deaf", "1")
    recorder.wait_for(HandlerStarted, 2)  # one that still waits for a process would be canceled
    for each in (finishing, deaf):
        each.wait_for_heartbeats(6)
        each.request_cancel()
    assert finishing.outcome() == Completed('"asked: requested"')
    recorder.wait_for(StopAsked, 2)
    deaf.wait_for_heartbeats(deaf.heartbeats + 5)  # a second: nobody killed it
    assert not recorder.of(HandlerProcessDied)


def test_cancel_kills_answers_canceled(run):
    swf = run(handlers.kills, cancel_grace=0.2)
    scheduled = swf.schedule("Kills", "1")
    scheduled.wait_for_heartbeats(6)
    scheduled.request_cancel()
    assert scheduled.outcome() == Canceled()


def test_a_deadline_kills_and_answers_and_sigterm_lets_it_clean_up(run, tmp_path, recorder):
    swf = run(handlers.with_deadline)
    scheduled = swf.schedule("Deadline", "1", str(tmp_path / "temporary"))
    outcome = scheduled.outcome()
    assert outcome.reason == "HandlerTimedOut"
    assert list(tmp_path.iterdir()) == []
    assert recorder.wait_for(TaskEnded)[0].seconds < 4
    assert not recorder.of(HandlerProcessDied), "we did that"


def test_a_sigterm_that_comes_before_its_announcement_counts_all_the_same(run, tmp_path, recorder):
    """The two take different ways; the signal's may be faster."""
    swf = run(handlers.with_deadline)
    scheduled = swf.schedule("Deadline", "1", str(tmp_path / "temporary"))
    assert eventually(lambda: bool(list(tmp_path.iterdir())), 10)
    (child,) = children()
    os.kill(child, signal.SIGTERM)  # not announced: nobody's business
    assert scheduled.outcome().reason == "HandlerTimedOut"
    assert list(tmp_path.iterdir()) == []


def test_a_closed_task_is_killed_and_nothing_is_answered(run, recorder):
    swf = run(handlers.deaf_plain, handlers.pid, cancel_grace=0.2, max_concurrent_activities=1)
    scheduled = swf.schedule("Deaf", "1", start_to_close_timeout=1)
    assert scheduled.outcome() == TimedOut("START_TO_CLOSE")
    assert recorder.wait_for(TaskEnded)[0].disposition == "closed"
    assert isinstance(swf.schedule("Pid", "1", 0).outcome(), Completed), "its slot is free"


def test_a_lost_lease_kills(run, quick_swf, recorder, monkeypatch):
    from swf_worker.errors import ServiceUnavailableError
    from swf_worker.service.gateway import Boto3Service

    def lost(*_):
        raise ServiceUnavailableError("RecordActivityTaskHeartbeat", "", "down")

    monkeypatch.setattr(Boto3Service, "heartbeat", lost)
    swf = run(handlers.lease, cancel_grace=0.2)
    assert swf.schedule("Lease", "1").outcome().reason == "LeaseLost"


@pytest.mark.parametrize("name", ["Deaf", "Kills"])
def test_an_embedded_stop_kills_and_answers(quick_swf, make_worker, name):
    worker = make_worker(handlers.deaf_plain, handlers.kills, cancel_grace=0.2)
    with worker:
        scheduled = quick_swf.schedule(name, "1")
        scheduled.wait_for_heartbeats(5)
        assert worker.stop(0) == []
        assert scheduled.outcome().reason == "WorkerShutdown"
        assert not children()


def test_abandoning_answers_nothing_and_leaves_no_process(quick_swf, make_worker):
    worker = make_worker(
        handlers.deaf_plain, cancel_grace=30, on_drain_timeout="abandon", drain_timeout=0
    )
    with worker:
        scheduled = quick_swf.schedule("Deaf", "1", heartbeat_timeout=2)
        scheduled.wait_for_heartbeats(5)
        worker._running.engine.cancel_grace = 0.1  # the stop's grace ends before the process's own
        assert [task.activity_type.name for task in worker.stop()] == ["Deaf"]
        assert scheduled.outcome() == TimedOut("HEARTBEAT")
        assert eventually(lambda: not children())


def test_a_task_that_waits_for_a_child_is_canceled_without_one(run, recorder):
    swf = run(handlers.pid, handlers.finish, max_concurrent_activities=2)
    busy = swf.schedule("Pid", "1", 0.0)
    busy.outcome()
    # Nothing can be started now: the one child is busy.
    real = pool.ChildPool.start
    pool.ChildPool.start = lambda self: None
    try:
        occupied = swf.schedule("Finish", "1")
        occupied.wait_for_heartbeats(2)
        waits = swf.schedule("Pid", "1", 0)
        waits.wait_for_heartbeats(2)
        waits.request_cancel()
        assert waits.outcome() == Canceled()
        occupied.request_cancel()
        assert isinstance(occupied.outcome(), Completed)
    finally:
        pool.ChildPool.start = real


class Methods(ActivityWorker):
    @activity(name="M", version="1", isolation="process")
    def method(self) -> None: ...


def build(*activities, **options):
    return ActivityWorker(domain="d", task_list="t", activities=activities, **options)


def local_function():
    @activity(name="L", version="1", isolation="process")
    def inner() -> None: ...

    return inner


class LocalConverter(handlers.JsonConverter):
    def __reduce__(self):
        raise TypeError("holds a lock")


@pytest.mark.parametrize(
    ("construct", "says"),
    [
        (lambda: Methods(domain="d", task_list="t"), "a method, which needs the worker itself"),
        (lambda: build(handlers.in_process("X")(lambda: None)), "a lambda"),
        (lambda: build(local_function()), "defined inside another function"),
        (lambda: build(hidden), "not the same object"),
        (lambda: build(handlers.pid, wrappers=[lambda context: None]), "wrapper <function"),
        (lambda: build(handlers.pid, converter=LocalConverter()), "its converter can't be sent"),
        (
            lambda: type("Local", (handlers.WithHook,), {"on_process_start": print})(),
            "Local.on_process_start can't be sent",
        ),
    ],
)
def test_what_no_other_process_can_import_is_refused_at_construction(construct, says):
    with pytest.raises(ConfigurationError, match=says):
        construct()


def test_an_async_on_process_start_is_refused():
    class Hooked(handlers.WithHook):
        async def on_process_start(self) -> None: ...

    with pytest.raises(ConfigurationError, match="no event loop"):
        Hooked()


def test_a_function_that_the_child_can_not_find_is_told_at_the_start(make_worker, capfd):
    module = types.ModuleType("only_here")
    exec("def only_here(): pass", module.__dict__)
    sys.modules["only_here"] = module
    try:
        function = handlers.in_process("Only")(module.only_here)
        worker = make_worker(function)
        with pytest.raises(ConfigurationError, match="No module named 'only_here'"):
            worker.start()
    finally:
        del sys.modules["only_here"]
    assert "ModuleNotFoundError" in capfd.readouterr().err, "with its traceback on stderr"


def test_a_hook_that_fails_ends_the_start(make_worker, capfd):
    worker = make_worker(kind=handlers.BrokenHook)
    with pytest.raises(ConfigurationError, match="OSError: no GPU here"):
        worker.start()
    capfd.readouterr()


def test_handlers_registered_on_the_instance_are_checked_at_the_start():
    worker = ActivityWorker(domain="d", task_list="t", endpoint_url="http://127.0.0.1:9")
    with pytest.raises(ConfigurationError, match="inside another function"):

        @worker.activity(name="X", version="1", isolation="process")
        def local() -> None: ...


def oom_score(pid):
    return int(Path(f"/proc/{pid}/oom_score_adj").read_text())


@pytest.mark.skipif(not Path("/proc/self/oom_score_adj").exists(), reason="Linux has it")
def test_where_memory_runs_out_the_kernel_chooses_the_child(run):
    swf = run(handlers.pid)
    child = int(swf.schedule("Pid", "1", 0).outcome().result)
    assert oom_score(child) == min(1000, oom_score("self") + 500)


@pytest.mark.skipif(not Path("/proc/self/oom_score_adj").exists(), reason="Linux has it")
def test_what_is_chosen_first_already_stays_so():
    """A program that its supervisor has marked so, and its children with it."""
    code = (
        "open('/proc/self/oom_score_adj', 'w').write('1000')\n"
        "from swf_worker.runtime.children.child import be_the_kernels_choice\n"
        "be_the_kernels_choice()\n"
        "print(open('/proc/self/oom_score_adj').read())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) == 1000
