"""What a handler changes of its whole process is not for the next task in it."""

from __future__ import annotations

import json
import os
import signal

import pytest

from swf_worker.local import Completed
from swf_worker.observations import HandlerLeft, HandlerProcessDied
from tests.conftest import children
from tests.worker import children as handlers

ODD = ["lost folder", "storm", *handlers.STUCK]
REST = [each for each in handlers.CHANGES if each not in ODD]


@pytest.mark.parametrize("count", [20, pytest.param(500, marks=pytest.mark.full)])
@pytest.mark.timeout(120)
def test_a_timer_that_raises_without_an_end_kills_no_task(make_worker, quick_swf, count):
    """It strikes at any place, in the middle of ours as well."""
    with make_worker(handlers.strikes, max_concurrent_activities=1, max_concurrent_polls=1):
        for _ in range(count):
            outcome = quick_swf.schedule("Strikes", "1").outcome()
            # Raised inside of the handler or of what follows it, it is the handler's failure.
            reason = getattr(outcome, "reason", "ValueError")
            assert reason in ("ValueError", "ResultEncodeError"), outcome


@pytest.fixture
def swf(make_worker, quick_swf):
    """One child at a time."""
    worker = make_worker(handlers.changes, handlers.tells, max_concurrent_activities=1)
    with worker:
        yield quick_swf


def told(swf):
    found = json.loads(swf.schedule("Tells", "1").outcome().result)
    return found.pop("pid"), found


def change(swf, *what):
    outcome = swf.schedule("Changes", "1", list(what)).outcome()
    assert isinstance(outcome, Completed), outcome
    return int(outcome.result)


def test_everything_goes_back_between_two_tasks(swf, recorder):
    child, before = told(swf)
    assert change(swf, *REST) == child
    assert told(swf) == (child, before), "in the same process"
    (left,) = recorder.wait_for(HandlerLeft)
    assert left.stuck == ()
    said = " ".join(left.put_back)
    for word in ("SIGTERM", "SIGALRM", "working directory", "OF_A_TASK", "umask", "timers"):
        assert word in said
    assert "a secret" not in said


@pytest.mark.parametrize("what", [*ODD, *(pytest.param(w, marks=pytest.mark.full) for w in REST)])
def test_each_thing_that_a_handler_changes_is_put_back(swf, recorder, what):
    child, before = told(swf)
    changed = swf.schedule("Changes", "1", [what]).outcome()
    if what != "storm":  # which may end the handler itself
        assert changed == Completed(str(child))
    another, after = told(swf)
    assert after == before
    if another != child:
        assert recorder.wait_for(HandlerLeft), "replaced where it can't be put back, and told"
    stuck = [left for left in recorder.of(HandlerLeft) if left.stuck]
    assert bool(stuck) is (another != child)
    if what == "session":
        assert another != child
        assert stuck[0].stuck == ("session and process group",)


@pytest.mark.parametrize("what", ["closed loop", pytest.param("signals", marks=pytest.mark.full)])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1])
def test_signals_don_t_kill_the_next_task(swf, recorder, number, what):
    """cpython#88378: a loop's signal handlers outlive it."""
    child = change(swf, what, "faulthandler")
    (handler,) = children()
    assert handler == child
    os.kill(handler, number)
    assert told(swf)[0] == child
    assert not recorder.of(HandlerProcessDied)


def test_what_was_put_back_is_told_once_a_type(swf, recorder):
    for _ in range(3):
        change(swf, "folder")
    change(swf, "folder", "umask")
    assert [left.put_back for left in recorder.wait_for(HandlerLeft, 2)] == [
        ("the working directory",),
        ("the working directory", "umask"),
    ]


def test_what_on_process_start_sets_stays(make_worker, quick_swf):
    with make_worker(handlers.tells, kind=handlers.SetsUp):
        for _ in range(2):
            _, found = told(quick_swf)
            assert found["folder"] == "/"
            assert found["environment"][0] == "of the process"
            assert "of_the_process" in found["handlers"]["SIGTERM"]
