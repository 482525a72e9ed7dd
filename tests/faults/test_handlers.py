"""Handlers that hold the GIL or flood their worker, clocks that jump: harm from inside."""

from __future__ import annotations

import ctypes
import math
import os
import signal
import subprocess
import sys
import time
from typing import Any

import pytest

from swf_worker import ActivityContext, OperationNotPermittedFault, activity
from swf_worker.local import Completed, Failed, Fault, FaultKind, LocalSwf, TimedOut
from swf_worker.observations import HeartbeatFailed, HeartbeatLate, TaskEnded
from tests.cli import workers
from tests.commands import environment

BEAT = "RecordActivityTaskHeartbeat"


def test_in_a_thread_late_beats_are_detected_and_named(stage, recorder, log):
    """Only a process of its own keeps them on time; a thread's are at least told."""

    @activity(name="HoldsTheGil", version="1", heartbeat_interval=0.3)
    def holds() -> str:
        time.sleep(0.5)
        ctypes.PyDLL(None).sleep(ctypes.c_uint(2))
        time.sleep(0.5)
        return "held"

    with stage(holds) as s:
        scheduled = s.schedule("HoldsTheGil", heartbeat_timeout=10)
        assert scheduled.outcome() == Completed('"held"')
    late = recorder.wait_for(HeartbeatLate)[0]
    assert late.late_by > 1
    assert late.task.activity_type.name == "HoldsTheGil"
    assert log.says("warning", "heartbeat was late", "HoldsTheGil")


@activity(name="Typed", version="1")
def typed(number: int = 7) -> int:
    return number


@pytest.mark.parametrize(
    ("given", "outcome"),
    [
        (None, Completed("7")),
        ("3", Completed("3")),
        ("{not json", "InputDecodeError"),
        ('"secret-value"', "InputDecodeError"),
        ('{"number": "secret-value"}', "InputDecodeError"),
        ("[1, 2]", "InputDecodeError"),
    ],
)
def test_input_that_is_missing_no_json_or_of_another_shape(stage, given, outcome, log):
    with stage(typed) as s:
        ended = s.schedule("Typed", raw_input=given).outcome()
    if isinstance(outcome, Completed):
        assert ended == outcome
        return
    assert isinstance(ended, Failed)
    assert ended.reason == outcome
    assert "secret-value" not in ended.details, "inputs may be secret"
    assert '"retryable":false' in ended.details
    assert log.says("warning", "handler ended", outcome)


def cycle() -> Any:
    value: dict[str, Any] = {}
    value["self"] = value
    return value


RESULTS = {
    "object": lambda: object(),
    "nan": lambda: math.nan,
    "infinity": lambda: [math.inf],
    "cycle": cycle,
    "surrogate": lambda: "lone \ud800",
}


@activity(name="Bad", version="1")
def bad(which: str) -> Any:
    return RESULTS[which]()


@pytest.mark.parametrize("which", RESULTS)
def test_a_result_that_can_not_be_encoded_is_a_typed_failure(stage, which, log):
    with stage(bad) as s:
        ended = s.schedule("Bad", input=which).outcome()
    assert isinstance(ended, Failed)
    assert ended.reason == "ResultEncodeError"
    assert '"retryable":false' in ended.details
    assert log.says("warning", "handler ended", "ResultEncodeError")


def test_a_signature_refused_for_the_clock_names_the_clock(stage, recorder, log):
    @activity(name="Long", version="1", heartbeat_interval=0.1)
    def long(context: ActivityContext) -> str:
        recorder.wait_for(HeartbeatFailed, 2)
        return "done"

    with stage(long, faults=[Fault(BEAT, FaultKind.SKEWED, calls=[2, 3])]) as s:
        assert s.schedule("Long", heartbeat_timeout=10).outcome() == Completed('"done"')
        recorder.wait_for(TaskEnded)
    failed = recorder.of(HeartbeatFailed)
    assert len(failed) == 2
    assert isinstance(failed[0].error, OperationNotPermittedFault)
    assert log.says("error", "heartbeat failed", "check this machine's clock")


def test_after_a_sleep_past_the_heartbeat_timeout_nothing_is_answered():
    """The machine sleeps: here, the worker's process does."""
    with LocalSwf(poll_hold=0.3) as swf:
        swf.register(workers.worker)
        scheduled = swf.schedule("Polite", "1", heartbeat_timeout=1)
        command = [sys.executable, "-m", "swf_worker", "run", "tests.cli.workers:worker"]
        with subprocess.Popen(
            [*command, "--endpoint-url", swf.endpoint_url],
            env=environment(),
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            scheduled.wait_for_heartbeats()
            os.kill(process.pid, signal.SIGSTOP)
            assert scheduled.outcome() == TimedOut("HEARTBEAT")
            os.kill(process.pid, signal.SIGCONT)
            said = ""
            while "task ended" not in said:
                said = process.stderr.readline()
            process.terminate()
            process.communicate(timeout=20)
        assert '"disposition": "closed"' in said
        assert not [name for name in swf.calls if name.startswith("Respond")]
        assert process.returncode == 0


EXHAUSTED = """
import os, resource, sys, threading
from swf_worker import ActivityWorker, RetryPolicy, activity
hoard = []

@activity(name="Hoard", version="1", heartbeat_interval=0.2)
def hoard_descriptors() -> None:
    threading.Timer(1.5, lambda: [os.close(hoard.pop()) for _ in range(len(hoard))]).start()
    while True:
        hoard.append(os.open(os.devnull, os.O_RDONLY))  # until there are none

@activity(name="Work", version="1")
def work() -> str:
    return "done"

resource.setrlimit(resource.RLIMIT_NOFILE, (128, 128))
worker = ActivityWorker(domain="tests", task_list="tasks", activities=[hoard_descriptors, work],
    endpoint_url=sys.argv[1], retry_policy=RetryPolicy(initial_wait=0.1, max_wait=0.3))
sys.exit(worker.run())
"""


def test_without_descriptors_the_task_fails_and_the_worker_lives():
    with LocalSwf(poll_hold=0.3) as swf:
        swf.register([typed], domain="tests")
        for name in ("Hoard", "Work"):
            swf.client().register_activity_type(domain="tests", name=name, version="1")
        with subprocess.Popen(
            [sys.executable, "-c", EXHAUSTED, swf.endpoint_url],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as process:
            hoard = swf.schedule("Hoard", "1", domain="tests", task_list="tasks")
            outcome = hoard.outcome()
            after = swf.schedule("Work", "1", domain="tests", task_list="tasks")
            assert after.outcome() == Completed('"done"')
            process.terminate()
            assert process.wait(20) == 0
    assert isinstance(outcome, Failed)
    assert outcome.reason == "OSError"
    assert "Too many open files" in outcome.details
