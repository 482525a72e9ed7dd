"""``isolation="process"``: what one handler does to its process is nobody else's."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import types
from pathlib import Path

import pytest

from swf_worker import ActivityTaskHandle, ActivityWorker, ConfigurationError, activity
from swf_worker.local import Canceled, Completed, Failed, TimedOut
from swf_worker.observations import (
    HandlerLogged,
    HandlerProcessDied,
    HeartbeatAccepted,
    StopAsked,
    TaskDecided,
    TaskEnded,
    TaskHeld,
)
from swf_worker.runtime.children import child_process, pool
from swf_worker.runtime.children.child_process import LIMITS, ChildPhase
from swf_worker.runtime.children.wire import Frames, ToChild, ToWorker
from tests.conftest import children, eventually
from tests.worker import children as handlers


@activity(name="Plain", version="1", heartbeat_interval=0.2)
def plain(seconds: float = 0) -> str:
    time.sleep(seconds)
    return "plain"


@pytest.fixture
def run(quick_swf, make_worker):
    """Runs a worker of some handlers, and schedules."""
    workers = []

    def started(*activities, **options):
        worker = make_worker(*activities, **options)
        worker.start()
        workers.append(worker)
        return quick_swf

    yield started
    for worker in workers:
        worker.stop(0)


def envelope(outcome):
    assert isinstance(outcome, Failed)
    return json.loads(outcome.details)


# --- inside -------------------------------------------------------------------------------------


def test_a_child_is_another_process_and_is_kept_warm(run):
    swf = run(handlers.pid)
    first = swf.schedule("Pid", "1", 0).outcome()
    assert first == swf.schedule("Pid", "1", 0).outcome()
    assert int(first.result) in children()


def test_tasks_run_in_parallel_one_in_each_child(run, tmp_path):
    swf = run(handlers.together, max_concurrent_activities=3)
    given = {"folder": str(tmp_path), "count": 3}
    scheduled = [swf.schedule("Together", "1", given) for _ in range(3)]
    assert len({each.outcome(40).result for each in scheduled}) == 3
    assert len(children()) == 3


def test_context_contextvars_and_loggers_work_inside(run, recorder):
    swf = run(handlers.inside)
    for name in ("first", "second"):
        scheduled = swf.schedule("Inside", "1", name, start_to_close_timeout=100)
        assert json.loads(scheduled.outcome().result) == {
            "before": "unset",  # a context of its own for each task
            "current": True,
            "workflow": scheduled.workflow_id,
            "stopping": False,
            "remaining": None,
        }
    said = recorder.wait_for(HandlerLogged, 6)[:3]
    assert [(each.level, each.event) for each in said] == [
        ("info", "from inside"),
        ("warning", "unbound"),
        ("error", "caught"),
    ]
    assert said[0].fields["workflow_id"].startswith("Inside")
    assert "ZeroDivisionError" in said[2].fields["exception"]


def test_wrappers_converters_and_their_errors_are_the_childs(run):
    swf = run(
        handlers.inside, handlers.text, wrappers=[handlers.marked], converter=handlers.Gentle("Hi")
    )
    outcome = swf.schedule("Inside", "1", "x").outcome()
    assert outcome.result.startswith('Hi {"before":"wrapped"')
    assert swf.schedule("Text", "1", raw_input="abc").outcome() == Completed("cba")


def test_a_wrapper_that_raises_fails_the_task(run):
    swf = run(handlers.pid, wrappers=[handlers.refusing])
    assert swf.schedule("Pid", "1", 0).outcome().reason == "PermissionError"


def test_on_process_start_runs_in_each_child_on_a_bare_instance(run):
    swf = run(kind=handlers.WithHook)
    assert swf.schedule("Hooked", "1").outcome() == Completed('["small of tests"]')


def test_a_drain_is_seen_inside(quick_swf, make_worker):
    worker = make_worker(handlers.draining)
    with worker:
        scheduled = quick_swf.schedule("Draining", "1")
        scheduled.wait_for_heartbeats(3)
    assert scheduled.outcome() == Completed('"saved"')


def test_progress_is_coalesced_and_the_last_details_win(run, recorder):
    swf = run(handlers.chatty)
    scheduled = swf.schedule("Chatty", "1", 20_000)
    assert scheduled.outcome() == Completed('"told"')
    assert scheduled.heartbeat_details == '{"number":19999}'
    assert scheduled.heartbeats < 20


def test_a_token_is_handed_over_from_inside(run, quick_swf, recorder, tmp_path):
    swf = run(handlers.hand_over)
    scheduled = swf.schedule("Hand", "1", str(tmp_path / "token"))
    assert recorder.wait_for(TaskEnded)[0].disposition == "handed_over"
    token = (tmp_path / "token").read_text()
    ActivityTaskHandle(token, endpoint_url=quick_swf.endpoint_url).complete(1)
    assert scheduled.outcome() == Completed("1")


def test_max_concurrent_holds_for_processes(run, recorder):
    swf = run(handlers.limited)
    scheduled = [swf.schedule("Limited", "1", 0.5) for _ in range(2)]
    (_, first_end), (second_begin, _) = sorted(json.loads(s.outcome().result) for s in scheduled)
    assert second_begin >= first_end
    assert recorder.of(TaskHeld)


def test_what_a_handler_writes_to_stderr_is_the_workers(run, capfd):
    swf = run(handlers.noise)
    assert swf.schedule("Noise", "1").outcome() == Completed('"said"')
    assert eventually(lambda: "handler's own words" in capfd.readouterr().err)


# --- payloads and exceptions across the pipe ----------------------------------------------------


def test_large_results_stream_and_too_large_ones_fail(run):
    swf = run(handlers.result)
    emoji = swf.schedule("Result", "1", "emoji").outcome()
    assert json.loads(emoji.result) == "\U0001f600" * 16_383
    assert swf.schedule("Result", "1", "large").outcome().reason == "PayloadTooLarge"
    assert swf.schedule("Result", "1", "object").outcome().reason == "ResultEncodeError"


def test_exceptions_cross_as_the_failure_envelope(run, recorder):
    swf = run(handlers.raises)

    def outcome(what):
        return swf.schedule("Raise", "1", what).outcome()

    nasty = outcome("nasty")
    assert nasty.reason == "Nasty"
    assert envelope(nasty)["message"] == "nasty"
    assert "children.py" in envelope(nasty)["traceback"]
    assert "raised RuntimeError" in envelope(outcome("mute"))["message"]
    own = outcome("failed")
    assert (own.reason, envelope(own)["retryable"], envelope(own)["details"]) == (
        "Own",
        False,
        {"a": 1},
    )
    chain = envelope(outcome("chain"))
    assert (chain["type"], chain["cause"]["type"]) == ("ValueError", "KeyError")
    assert outcome("canceled").reason == "CancelNotRequested"
    assert outcome("group").reason == "ExceptionGroup"
    logged = next(r for r in recorder.of(TaskDecided) if r.outcome.reason == "Nasty").error
    assert str(logged) == "Nasty: nasty"
    assert "raise Nasty" in logged.__notes__[0]


def test_input_that_does_not_fit_fails_as_in_a_thread(run):
    swf = run(handlers.pid, handlers.text)
    assert swf.schedule("Pid", "1", "x").outcome().reason == "InputDecodeError"
    assert swf.schedule("Pid", "1", raw_input="{").outcome().reason == "InputDecodeError"
    surrogate = swf.schedule("Text", "1", raw_input="lone \ud800 one").outcome()
    assert surrogate.reason == "ResultEncodeError"
    pickled = "cos\nsystem\n(S'touch /tmp/never'\ntR."
    assert swf.schedule("Text", "1", raw_input=pickled).outcome() == Completed(pickled[::-1])


@pytest.mark.parametrize("types_", [ToChild, ToWorker], ids=["to child", "to worker"])
def test_nonsense_on_the_channel_is_no_frame_and_no_other_error(types_):
    import random

    import msgspec

    chance = random.Random(5)
    for _ in range(5_000):
        frames = Frames(types_)
        length = chance.randrange(40)
        data = length.to_bytes(4, "big") + chance.randbytes(length)
        try:
            frames.feed(data)
        except msgspec.MsgspecError:
            pass


# --- the GIL, and death -------------------------------------------------------------------------


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
    assert time.monotonic() - died < 2
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


# --- what a review found ------------------------------------------------------------------------


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


# --- recycling ----------------------------------------------------------------------------------


def test_a_child_is_replaced_after_its_tasks_and_none_is_lost(run, recorder):
    swf = run(handlers.pid, max_tasks_per_child=2, max_concurrent_activities=1)
    pids = [swf.schedule("Pid", "1", 0).outcome().result for _ in range(6)]
    assert [pids.count(each) for each in dict.fromkeys(pids)] == [2, 2, 2]
    assert not recorder.of(HandlerProcessDied), "that is no death"


def test_a_replacement_is_warm_when_its_task_comes(quick_swf, make_worker, recorder):
    worker = make_worker(handlers.pid, max_tasks_per_child=1, max_concurrent_activities=1)
    runner = None
    with worker:
        runner = worker._running.engine.parts.runners._processes
        scheduled = quick_swf.schedule("Pid", "1", 2.0)
        scheduled.wait_for_heartbeats()
        assert eventually(lambda: len(runner._idle) == 1, 10), "while the first still runs"
        first = scheduled.outcome()
        assert quick_swf.schedule("Pid", "1", 0).outcome() != first


@pytest.mark.full
@pytest.mark.timeout(900)
def test_a_thousand_recycled_children_leave_nothing(quick_swf, make_worker, record_property):
    worker = make_worker(handlers.pid, max_tasks_per_child=1, max_concurrent_activities=4)
    before = len(os.listdir("/proc/self/fd"))
    with worker:
        began = time.monotonic()
        pids = set()
        for _ in range(50):
            scheduled = [quick_swf.schedule("Pid", "1", 0) for _ in range(20)]
            pids |= {each.outcome().result for each in scheduled}
        seconds = time.monotonic() - began
        assert len(pids) == 1_000
        assert len(children()) <= 8
        assert threading.active_count() < 60
        assert len(os.listdir("/proc/self/fd")) < before + 80
    record_property("figure", f"1,000 recycled handler processes in {seconds:.0f} s, none left")


# --- asking and killing -------------------------------------------------------------------------


def test_a_cancel_request_is_asked_over_the_pipe(run):
    swf = run(handlers.until_asked)
    swf.schedule("UntilAsked", "1")
    scheduled = swf.schedule("UntilAsked", "1")
    scheduled.wait_for_heartbeats(4)
    scheduled.request_cancel()
    assert scheduled.outcome() == Canceled()


def test_a_request_may_be_ignored_by_a_process_too(run, recorder):
    swf = run(handlers.finish, handlers.deaf_plain, cancel_grace=0.1)
    finishing, deaf = swf.schedule("Finish", "1"), swf.schedule("Deaf", "1")
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


# --- what can't run in a child ------------------------------------------------------------------


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


hidden = handlers.in_process("Hidden")(lambda: None)
hidden.__name__ = hidden.__qualname__ = "pid"
hidden.__module__ = handlers.__name__


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
