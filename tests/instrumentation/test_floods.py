"""Where the service is gone, the log says so and no more: fewer than 400 lines in 10 s."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter

import pytest
from structlog.testing import capture_logs

from swf_worker.errors import OperationNotPermittedFault, ServiceUnavailableError
from swf_worker.instrumentation import floods
from swf_worker.instrumentation.logs import LogObserver
from swf_worker.local import LocalSwf
from swf_worker.observations import (
    AnswerRetried,
    HandlerProcessDied,
    HeartbeatFailed,
    PollFailed,
    StopAsked,
    TaskDecided,
    TaskEnded,
    WorkerStopped,
)
from swf_worker.outcome import Completed, Failed
from swf_worker.task import ActivityTask, ActivityType, CancelReason, WorkflowExecution
from tests.cli.test_run import running
from tests.instrumentation import crowd
from tests.proxy import Proxy

GONE = ServiceUnavailableError("RecordActivityTaskHeartbeat", "Connection", "not reached")
DENIED = OperationNotPermittedFault("PollForActivityTask", "AccessDenied", "not authorized")


def task(number):
    return ActivityTask(
        task_token=f"t{number}",
        activity_id=f"a{number}",
        activity_type=ActivityType("Work", "1"),
        workflow_execution=WorkflowExecution("w", "r"),
        started_event_id=1,
        input=None,
    )


@pytest.fixture
def now(monkeypatch):
    moment = [100.0]
    monkeypatch.setattr(floods, "now", lambda: moment[0])
    return moment


def test_what_everything_says_at_once_is_counted(now):
    with capture_logs() as lines:
        observer = LogObserver()
        for _ in range(100):  # tenths of a second
            now[0] += 0.1
            for number in range(64):
                observer.observe(PollFailed(GONE, 1.0, False))
                observer.observe(HeartbeatFailed(task(number), GONE, 1.0))
                observer.observe(AnswerRetried(task(number), Completed(), GONE, 1.0))
                observer.observe(HandlerProcessDied(1, "killed", task(number), "", 0.0))
        within = len(lines)
        observer.observe(WorkerStopped(()))
    assert within < 60
    told = Counter()
    for line in lines[:-1]:
        told[line["event"].removeprefix("more of: ")] += line.get("lines", 1)
    assert set(told.values()) == {6_400}, "every one was told or counted"
    assert len(told) == 4


def test_what_is_louder_is_told_at_once(now):
    with capture_logs() as lines:
        observer = LogObserver()
        for _ in range(50):
            observer.observe(PollFailed(GONE, 1.0, False))
        observer.observe(PollFailed(DENIED, 1.0, False))
    assert lines[-1]["log_level"] == "error"
    assert "not authorized" in lines[-1]["error"]


def test_a_crowd_that_is_stopped_names_each_task_once(now):
    """And what handlers raised is told of each."""
    tasks = [task(number) for number in range(200)]
    failed = Failed("WorkerShutdown", None)
    with capture_logs() as lines:
        observer = LogObserver()
        for each in tasks:
            observer.observe(StopAsked(each, CancelReason.WORKER_SHUTDOWN))
            observer.observe(TaskDecided(each, failed, 1.0))
            observer.observe(TaskEnded(each, "abandoned", failed, 1.0, 0))
        assert len(lines) < 230
        assert len({line["activity_id"] for line in lines if line["event"] == "task ended"}) == 200
        for each in tasks:
            observer.observe(TaskDecided(each, Failed("KeyError", None), 1.0, KeyError("k")))
    assert sum("exc_info" in line for line in lines) == 200


@pytest.mark.full
def test_a_worker_with_hundreds_of_tasks_whose_service_is_gone():
    """64 polls, 200 tasks on the loop, some that end, some whose processes die."""
    flags = ("--log-format", "json", "--max-concurrent-activities", "264")
    with LocalSwf(poll_hold=0.5) as swf, Proxy(swf.endpoint_url) as proxy:
        swf.register(crowd.worker)
        where = ("--max-concurrent-polls", "64", "--endpoint-url", proxy.url)
        with running("tests.instrumentation.crowd:worker", *flags, *where) as process:
            lines = []
            threading.Thread(target=lambda: lines.extend(process.stderr), daemon=True).start()
            for version, count in (("async", 200), ("thread", 20), ("process", 5)):
                for _ in range(count):
                    last = swf.schedule("Work", version, heartbeat_timeout=60)
            last.wait_for_heartbeats()
            lines.clear()
            proxy.down()
            time.sleep(10)
            within = list(lines)
            process.kill()
    events = Counter(json.loads(line)["event"] for line in within)
    assert len(within) < 400, events
    assert events["heartbeat failed"] == 10
    assert events["more of: heartbeat failed"] >= 1
