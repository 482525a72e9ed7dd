"""Handlers in processes of their own: what they get, say and return, one after the other."""

from __future__ import annotations

import json
import os
import threading
import time

import pytest

from swf_worker import ActivityTaskHandle
from swf_worker.local import Completed
from swf_worker.observations import (
    HandlerLogged,
    HandlerProcessDied,
    TaskDecided,
    TaskEnded,
    TaskHeld,
)
from swf_worker.runtime.children.wire import Frames, ToChild, ToWorker
from tests.conftest import children, eventually
from tests.worker import children as handlers
from tests.worker.processes import envelope


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
