"""What an operator reads, and how much of it."""

from __future__ import annotations

from structlog.testing import capture_logs

from swf_worker.instrumentation import floods
from swf_worker.instrumentation.logs import LogObserver
from swf_worker.observations import HeartbeatLate, PollSucceeded, WorkerStopped
from swf_worker.task import ActivityTask, ActivityType, WorkflowExecution


def late(number, late_by=6.0):
    task = ActivityTask(
        task_token=f"t{number}",
        activity_id=f"a{number}",
        activity_type=ActivityType("Work", "1"),
        workflow_execution=WorkflowExecution("w", "r"),
        started_event_id=1,
        input=None,
    )
    return HeartbeatLate(task, interval=10.0, late_by=late_by)


def test_thousands_of_late_beats_are_a_line_now_and_then(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(floods, "now", lambda: now[0])
    with capture_logs() as lines:
        observer = LogObserver()
        for number in range(1_000):
            observer.observe(late(number, late_by=6 + number))
        assert [line["activity_id"] for line in lines] == ["a0"], "the first one at once"
        now[0] += floods.EACH
        observer.observe(PollSucceeded(None, 60.0))  # whatever comes next
        assert lines[1]["lines"] == 999
        assert lines[1]["late_by"] == 1005
        observer.observe(late(1_000))
        observer.observe(WorkerStopped((), None))
    events = [line["event"] for line in lines if line["log_level"] == "warning"]
    assert len(events) == 3, "what was counted is told at the end at the latest"
    assert lines[-2]["lines"] == 1
