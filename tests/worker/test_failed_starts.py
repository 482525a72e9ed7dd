"""No handler process can be started any more: whoever waits for one fails, retryably, and the type
is taken up again as soon as one starts."""

from __future__ import annotations

import errno
import json
import os
import signal
import sys

import pytest

from swf_worker import RetryPolicy
from swf_worker.local import Completed, Failed
from swf_worker.observations import HandlerNotStarted, HandlerProcessDied, HeartbeatAccepted
from swf_worker.runtime.children import child_process
from swf_worker.runtime.children.child_process import LIMITS, ChildPhase
from swf_worker.runtime.runners import crashes
from tests.conftest import children, eventually
from tests.worker import children as handlers

QUICK = {"retry_policy": RetryPolicy(initial_wait=0.02)}


@pytest.fixture
def trouble(tmp_path, monkeypatch):
    monkeypatch.setenv("TROUBLE", str(tmp_path / "trouble"))
    return tmp_path / "trouble"


def lose_the_child(swf, recorder):
    """The one that is kept warm, and its worker knows."""
    victim = int(swf.schedule("Pid", "1", 0).outcome().result)
    known = len(recorder.of(HandlerProcessDied))
    os.kill(victim, signal.SIGKILL)
    recorder.wait_for(HandlerProcessDied, known + 1)


def envelope(outcome):
    assert isinstance(outcome, Failed), outcome
    assert outcome.reason == "HandlerNotStarted"
    return json.loads(outcome.details)


def test_whoever_waits_fails_and_is_named(make_worker, quick_swf, recorder, trouble, monkeypatch):
    monkeypatch.setattr(crashes, "MOST_FAILED_STARTS", 3)
    with make_worker(handlers.pid, kind=handlers.Breaks, max_concurrent_activities=2, **QUICK):
        trouble.write_text("no model here")
        lose_the_child(quick_swf, recorder)
        waiting = [quick_swf.schedule("Pid", "1", 0, heartbeat_timeout=2) for _ in range(2)]
        for each in waiting:
            told = envelope(each.outcome())
            assert told["retryable"] is True
            assert "LookupError: no model here" in told["message"]
            assert "the model is gone" in told["details"]["stderr"]
        named = recorder.wait_for(HandlerNotStarted, 2)
        assert len({each.task.task_token for each in named}) == 2
        assert all("no model here" in each.why for each in named)
        assert all(each.starts >= crashes.MOST_FAILED_STARTS for each in named)
        assert recorder.of(HeartbeatAccepted), "beats went on meanwhile"

        trouble.unlink()

        def serves():
            return isinstance(quick_swf.schedule("Pid", "1", 0).outcome(), Completed)

        assert eventually(serves), "a start that had begun before may fail one more"
        trouble.write_text("again")
        lose_the_child(quick_swf, recorder)
        scheduled = quick_swf.schedule("Pid", "1", 0)
        trouble.unlink()
        assert isinstance(scheduled.outcome(), Completed), "one failed start is no handful"


def test_the_interpreter_is_gone(make_worker, quick_swf, recorder, tmp_path, monkeypatch):
    """A deploy has replaced the files."""
    interpreter = tmp_path / "python3"
    interpreter.symlink_to(sys.executable)
    monkeypatch.setattr(sys, "executable", str(interpreter))
    with make_worker(handlers.pid, max_concurrent_activities=1, **QUICK):
        interpreter.unlink()
        lose_the_child(quick_swf, recorder)
        told = envelope(quick_swf.schedule("Pid", "1", 0).outcome())
        assert "FileNotFoundError" in told["message"]
        interpreter.symlink_to(os.path.realpath(os.environ["REAL_PYTHON"]))
        assert isinstance(quick_swf.schedule("Pid", "1", 0).outcome(), Completed)


@pytest.fixture(autouse=True)
def real_python(monkeypatch):
    monkeypatch.setenv("REAL_PYTHON", sys.executable)


def test_a_start_that_hangs(make_worker, quick_swf, recorder, trouble, monkeypatch):
    monkeypatch.setitem(LIMITS, ChildPhase.LOADING, 6.0)  # a start takes a second or two
    monkeypatch.setattr(crashes, "LONGEST_TROUBLE", 3.0)
    with make_worker(handlers.pid, kind=handlers.Hangs, max_concurrent_activities=1, **QUICK):
        trouble.write_text("")
        lose_the_child(quick_swf, recorder)
        told = envelope(quick_swf.schedule("Pid", "1", 0).outcome())
        assert "not ready after 6 s" in told["message"]
        trouble.unlink()
        assert isinstance(quick_swf.schedule("Pid", "1", 0).outcome(), Completed)


@pytest.mark.parametrize(
    ("longest", "completes"), [(300.0, True), (0.5, False)], ids=["for a while", "for too long"]
)
def test_a_machine_that_gives_no_more_processes(
    make_worker, quick_swf, recorder, monkeypatch, longest, completes
):
    """It is waited for, but not for ever."""
    monkeypatch.setattr(crashes, "LONGEST_TROUBLE", longest)
    real, refused = child_process.subprocess.Popen, []

    def refuse(*args, **kwargs):
        if completes and len(refused) > crashes.MOST_FAILED_STARTS:
            return real(*args, **kwargs)
        refused.append(args)
        raise BlockingIOError(errno.EAGAIN, "no more processes")

    with make_worker(handlers.pid, max_concurrent_activities=1, **QUICK):
        victim = int(quick_swf.schedule("Pid", "1", 0).outcome().result)
        with monkeypatch.context() as patched:
            patched.setattr(child_process.subprocess, "Popen", refuse)
            os.kill(victim, signal.SIGKILL)
            assert eventually(lambda: victim not in children())
            outcome = quick_swf.schedule("Pid", "1", 0, heartbeat_timeout=2).outcome()
        if completes:
            assert isinstance(outcome, Completed)
        else:
            assert "no more processes" in envelope(outcome)["message"]


def test_a_task_that_waits_for_its_types_limit_is_next(
    make_worker, quick_swf, recorder, trouble, monkeypatch
):
    monkeypatch.setattr(crashes, "MOST_FAILED_STARTS", 2)
    with make_worker(
        handlers.limited_pid, kind=handlers.Breaks, max_concurrent_activities=3, **QUICK
    ):
        victim = int(quick_swf.schedule("LimitedPid", "1", 0).outcome().result)
        trouble.write_text("no model here")
        os.kill(victim, signal.SIGKILL)
        assert eventually(lambda: victim not in children())
        waiting = [quick_swf.schedule("LimitedPid", "1", 0) for _ in range(2)]
        for each in waiting:
            envelope(each.outcome(40))
