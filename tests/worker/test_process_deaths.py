"""Handler processes that hold the GIL, crash, are killed, or never get ready."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import types

import pytest

from swf_worker import ActivityWorker, ConfigurationError, activity
from swf_worker.local import Canceled, Completed
from swf_worker.observations import (
    HandlerLogged,
    HandlerProcessDied,
    HandlerStarted,
    HeartbeatAccepted,
)
from swf_worker.runtime.children import child_process
from swf_worker.runtime.children.child_process import LIMITS, ChildPhase
from tests.conftest import children, eventually
from tests.worker import children as handlers
from tests.worker.processes import envelope


@activity(name="Plain", version="1", heartbeat_interval=0.2)
def plain(seconds: float = 0) -> str:
    time.sleep(seconds)
    return "plain"


def beats_on_time(swf, recorder, seconds, timeout):
    gil = swf.schedule("HoldTheGil", "1", seconds, heartbeat_timeout=timeout)
    neighbour = swf.schedule("Plain", "1", float(seconds), heartbeat_timeout=timeout)
    assert gil.outcome() == Completed('"held"')
    assert neighbour.outcome() == Completed('"plain"')
    late = [record.late_by for record in recorder.of(HeartbeatAccepted)]
    assert len(late) >= 2 * seconds
    return max(late)


def test_a_handler_that_holds_the_gil_delays_nobodys_beats(run, recorder):
    assert beats_on_time(run(handlers.gil, plain), recorder, 3, 2) < 1


@pytest.mark.full
def test_a_handler_that_holds_the_gil_for_ten_seconds(run, recorder):
    assert beats_on_time(run(handlers.gil, plain), recorder, 10, 3) < 1.5


@pytest.mark.parametrize(
    ("how", "says", "code"),
    [
        ("kill", "was killed by SIGKILL", -9),
        ("segv", "was killed by SIGSEGV", -11),
        ("exit", "ended with exit code 3", 3),
    ],
)
def test_a_child_that_dies_fails_its_own_task_and_a_new_one_serves(run, recorder, how, says, code):
    swf = run(handlers.die, handlers.pid, plain)
    neighbours = [swf.schedule("Pid", "1", 1.5), swf.schedule("Plain", "1", 1.5)]
    for each in neighbours:
        each.wait_for_heartbeats()
    outcome = swf.schedule("Die", "1", how).outcome()
    died = time.monotonic()
    assert outcome.reason == "HandlerDied"
    told = envelope(outcome)
    assert says in told["message"]
    assert told["retryable"] is True
    assert told["details"]["exit"] == code
    assert told["details"]["stderr"].startswith("last words")
    assert isinstance(swf.schedule("Pid", "1", 0).outcome(), Completed)
    assert time.monotonic() - died < 6, "a start on a busy machine, and no backoff"
    for each in neighbours:
        assert isinstance(each.outcome(), Completed)
    record = recorder.wait_for(HandlerProcessDied)[0]
    assert (record.task.activity_type.name, record.how) == ("Die", says)


@pytest.mark.parametrize(("how", "reason"), [("sys.exit", "SystemExit"), ("memory", "MemoryError")])
def test_what_python_can_catch_fails_the_task_and_the_child_lives(run, recorder, how, reason):
    swf = run(handlers.die)
    assert swf.schedule("Die", "1", how).outcome().reason == reason
    if how == "sys.exit":
        assert swf.schedule("Die", "1", "").outcome() == Completed('"lived"')
        assert not recorder.of(HandlerProcessDied)


def test_a_death_is_noticed_where_the_kernel_has_no_pidfd(run, monkeypatch):
    def missing(pid, flags=0):
        raise OSError("not on this system")

    monkeypatch.setattr(os, "pidfd_open", missing)
    swf = run(handlers.die)
    assert swf.schedule("Die", "1", "exit").outcome().reason == "HandlerDied"


def test_a_child_that_does_not_end_is_ended(quick_swf, make_worker):
    worker = make_worker(handlers.lingers)
    with worker:
        assert quick_swf.schedule("Lingers", "1").outcome() == Completed('"done"')
        began = time.monotonic()
    assert time.monotonic() - began < 4
    assert not children()


def test_a_stderr_that_nobody_reads_holds_no_task_up(quick_swf):
    script = (
        "import sys\nfrom swf_worker import ActivityWorker\nfrom tests.worker import children\n"
        "worker = ActivityWorker(domain='tests', task_list='tasks', endpoint_url=sys.argv[1],\n"
        "    activities=[children.flood, children.pid])\nsys.exit(worker.run())\n"
    )
    quick_swf.register([handlers.flood, handlers.pid], domain="tests")
    with subprocess.Popen(
        [sys.executable, "-c", script, quick_swf.endpoint_url], stderr=subprocess.PIPE
    ) as process:
        try:
            flood = quick_swf.schedule("Flood", "1", 20, task_list="tasks")
            assert flood.outcome() == Completed('"written"')
            after = quick_swf.schedule("Pid", "1", 0, task_list="tasks")
            assert isinstance(after.outcome(), Completed)
        finally:
            process.terminate()
            process.communicate(timeout=20)
    assert process.returncode == 0


MAIN = """
import sys
from swf_worker import ActivityWorker, activity
@activity(name="Main", version="1", isolation="process")
def in_main() -> str:
    return __name__
worker = ActivityWorker(domain="tests", task_list="tasks", activities=[in_main],
    endpoint_url=sys.argv[1])
"""


@pytest.mark.parametrize("way", ["script", "module"])
def test_handlers_of_a_main_module_run(quick_swf, tmp_path, way):
    file = tmp_path / "mainly.py"
    file.write_text(MAIN + "if __name__ == '__main__':\n    sys.exit(worker.run())\n")
    quick_swf.register(types.new_class("W", (WithMain,)))
    scheduled = quick_swf.schedule("Main", "1")
    how = [str(file)] if way == "script" else ["-m", "mainly"]
    with subprocess.Popen(
        [sys.executable, *how, quick_swf.endpoint_url], cwd=tmp_path, stderr=subprocess.DEVNULL
    ) as process:
        assert scheduled.outcome() == Completed('"__mp_main__"')
        process.terminate()
        assert process.wait(20) == 0


class WithMain(ActivityWorker):
    domain = "tests"
    task_list = "tasks"

    @activity(name="Main", version="1")
    def main(self) -> None: ...


def test_a_main_module_that_starts_its_worker_unguarded_is_told(quick_swf, tmp_path):
    file = tmp_path / "unguarded.py"
    file.write_text(MAIN + "worker.run()\n")
    done = subprocess.run(
        [sys.executable, str(file), quick_swf.endpoint_url],
        capture_output=True,
        text=True,
        timeout=40,
    )
    assert done.returncode == 1
    assert "if __name__ == '__main__':" in done.stderr.splitlines()[-1]


def test_handlers_of_an_interactive_session_are_refused(quick_swf):
    done = subprocess.run(
        [sys.executable, "-c", MAIN + "worker.start()\n", quick_swf.endpoint_url],
        capture_output=True,
        text=True,
        timeout=40,
    )
    assert done.returncode == 1
    assert "interactive session" in done.stderr.splitlines()[-1]


def test_a_whole_result_in_the_pipe_wins_over_a_death(quick_swf, make_worker):
    worker = make_worker(handlers.pid)
    with worker:
        pid = int(quick_swf.schedule("Pid", "1", 0).outcome().result)
        processes = worker._running.engine.parts.runners._processes
        scheduled = quick_swf.schedule("Pid", "1", 0.3)
        scheduled.wait_until_started()
        assert eventually(lambda: bool(processes._running))
        blocked, go = threading.Event(), threading.Event()
        processes._pool.call_soon(lambda: (blocked.set(), go.wait(20)))
        assert blocked.wait(5)
        time.sleep(1)  # it returns meanwhile, and nobody reads
        os.kill(pid, signal.SIGKILL)
        go.set()
        assert scheduled.outcome() == Completed(str(pid))


def given_to_one_that_does_not_take_it(swf, worker, **options):
    """A task that was given to an idle child, which can't begin with it: it is stopped."""
    pid = int(swf.schedule("Pid", "1", 0).outcome().result)
    processes = worker._running.engine.parts.runners._processes
    os.kill(pid, signal.SIGSTOP)
    scheduled = swf.schedule("Pid", "1", 0, **options)
    assert eventually(lambda: bool(processes._running))
    return scheduled, pid


def test_a_task_whose_handler_never_began_runs_in_another_process(quick_swf, make_worker, recorder):
    with make_worker(handlers.pid) as worker:
        scheduled, pid = given_to_one_that_does_not_take_it(quick_swf, worker)
        os.kill(pid, signal.SIGKILL)
        outcome = scheduled.outcome()
        assert isinstance(outcome, Completed), "nothing of it has run: it is no failure of its own"
        assert int(outcome.result) != pid
        record = recorder.wait_for(HandlerProcessDied)[0]
        assert (record.pid, record.task, record.restart_in) == (pid, None, 0.0)
        started = [
            each.task.workflow_execution.run_id for each in recorder.wait_for(HandlerStarted, 2)
        ]
        assert len(started) == len(set(started)) == 2, "each handler began once"


def test_a_task_that_is_canceled_before_its_handler_began_is_canceled(quick_swf, make_worker):
    with make_worker(handlers.pid) as worker:
        task, pid = given_to_one_that_does_not_take_it(quick_swf, worker, heartbeat_timeout=1)
        task.request_cancel()
        run = next(iter(worker._running.engine.parts.runners._processes._running))
        assert eventually(lambda: run.context.should_stop)
        os.kill(pid, signal.SIGKILL)
        assert isinstance(task.outcome(), Canceled)


def test_a_task_that_no_process_survives_to_begin_fails(quick_swf, make_worker, recorder):
    """As one of an input that is too large for the memory: it must not go round for ever."""
    with make_worker(handlers.pid) as worker:
        processes = worker._running.engine.parts.runners._processes
        give = processes._pool.give

        def killed_first(child, task, frame):
            os.kill(child.pid, signal.SIGKILL)
            give(child, task, frame)

        processes._pool.give = killed_first
        outcome = quick_swf.schedule("Pid", "1", 0).outcome()
        assert outcome.reason == "HandlerDied"
        died = recorder.wait_for(HandlerProcessDied, 3)
        assert [each.task is None for each in died] == [True, True, False]


def test_a_crash_loop_backs_off_loudly_and_the_others_go_on(run, recorder):
    """Of the crashing type only: each of its tasks fails, later and later."""
    swf = run(handlers.die, handlers.pid, plain)
    for _ in range(6):
        assert swf.schedule("Die", "1", "exit").outcome().reason == "HandlerDied"
    waits = [each.restart_in for each in recorder.wait_for(HandlerProcessDied, 6)]
    assert waits[0] == 0, "one death is nobody's fault"
    assert max(waits[3:]) > 0
    crashing = swf.schedule("Die", "1", "exit")
    assert swf.schedule("Plain", "1").outcome() == Completed('"plain"')
    assert isinstance(swf.schedule("Pid", "1", 0).outcome(), Completed)
    assert crashing.outcome().reason == "HandlerDied"


@pytest.mark.parametrize(
    ("module", "name", "refusal"),
    [
        ("subprocess", "Popen", BlockingIOError(11, "Resource temporarily unavailable")),
        ("socket", "socketpair", OSError(24, "Too many open files")),
    ],
)
def test_when_the_machine_gives_no_more_processes_tasks_wait_with_their_beats(
    run, recorder, monkeypatch, module, name, refusal
):
    swf = run(handlers.pid, max_concurrent_activities=1)
    victim = int(swf.schedule("Pid", "1", 0).outcome().result)
    refused = threading.Event()

    def refuse(*args, **kwargs):
        refused.set()
        raise refusal

    with monkeypatch.context() as patched:
        patched.setattr(getattr(child_process, module), name, refuse)
        os.kill(victim, signal.SIGKILL)
        assert eventually(lambda: victim not in children())
        scheduled = swf.schedule("Pid", "1", 0, heartbeat_timeout=2)
        assert refused.wait(10)
        scheduled.wait_for_heartbeats(2)
    assert isinstance(scheduled.outcome(), Completed)
    assert any(each.pid is None for each in recorder.of(HandlerProcessDied))


def test_a_process_that_a_handler_forks_answers_nothing(run):
    """It comes back from the handler as well, on the same pipe."""
    swf = run(handlers.bare_fork, handlers.pid, max_concurrent_activities=1)
    for _ in range(3):
        assert swf.schedule("BareFork", "1").outcome() == Completed('"from the parent"')
        assert swf.schedule("Pid", "1", 0).outcome().result.isdigit()


def test_handlers_may_use_multiprocessing(run):
    swf = run(handlers.terminates, handlers.spawns)
    assert swf.schedule("Terminates", "1").outcome() == Completed("-15")
    assert swf.schedule("Spawns", "1").outcome() == Completed("[1,2]")


def test_a_log_line_never_fails_a_handler(run, recorder):
    swf = run(handlers.logs)
    assert swf.schedule("Logs", "1").outcome() == Completed('"logged"')
    odd, long = recorder.wait_for(HandlerLogged, 2)
    assert odd.fields["large"] == str(2**70)
    assert odd.fields["fine"] == 1.5
    assert len(long.event) < 40_000


def test_the_last_details_win_also_of_a_handler_that_never_rests(run):
    swf = run(handlers.counts)
    for _ in range(3):
        scheduled = swf.schedule("Counts", "1")
        assert scheduled.outcome() == Completed('"counted"')
        assert scheduled.heartbeat_details == "the last"


def test_a_child_that_can_not_load_ends_at_once_whatever_threads_it_has(make_worker, capfd):
    worker = make_worker(kind=handlers.LingeringHook)
    began = time.monotonic()
    with pytest.raises(ConfigurationError, match="OSError: no GPU here"):
        worker.start()
    assert time.monotonic() - began < 10
    capfd.readouterr()


def test_a_start_that_hangs_is_given_up(make_worker, monkeypatch):
    monkeypatch.setitem(LIMITS, ChildPhase.LOADING, 1.0)
    worker = make_worker(kind=handlers.HangingHook)
    with pytest.raises(ConfigurationError, match="not ready after 1 s"):
        worker.start()


def test_a_stop_ends_a_child_that_hangs_in_its_start(quick_swf, make_worker, tmp_path):
    worker = make_worker(kind=handlers.SecondHangs, marker=str(tmp_path / "first"))
    with worker:
        scheduled = [quick_swf.schedule("Hooked", "1", 3.0) for _ in range(2)]
        for each in scheduled:
            each.wait_for_heartbeats()
        assert eventually(lambda: len(children()) == 2, 10), "one runs, one hangs"
        worker.stop(0)
        assert not children()


def test_children_that_die_together_are_one_crash(run, recorder, tmp_path):
    swf = run(handlers.deaf_plain, handlers.pid, max_concurrent_activities=4)
    scheduled = [swf.schedule("Deaf", "1", str(tmp_path / str(n))) for n in range(4)]
    assert eventually(lambda: len(list(tmp_path.iterdir())) == 4, 20), "all of them run"
    for child in children():
        os.kill(child, signal.SIGKILL)
    assert {each.outcome().reason for each in scheduled} == {"HandlerDied"}
    assert [each.restart_in for each in recorder.wait_for(HandlerProcessDied, 4)] == [0.0] * 4
