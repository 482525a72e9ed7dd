"""One task's life, told on the wire: what a newcomer may read first."""

from __future__ import annotations

import threading

from swf_worker import (
    ActivityCanceled,
    ActivityContext,
    ActivityWorker,
    CancelReason,
    RetryPolicy,
    activity,
)
from swf_worker.observations import (
    AnswerRetried,
    HeartbeatAccepted,
    HeartbeatFailed,
    StopAsked,
    TaskDecided,
    TaskEnded,
    TaskStarted,
    WorkerStopped,
)
from swf_worker.outcome import Canceled
from tests import wire
from tests.wire import EMPTY_POLL, Wire, fault, http

POLL, BEAT = "PollForActivityTask", "RecordActivityTaskHeartbeat"
ANSWER = "RespondActivityTaskCanceled"
GOES_ON = http(200, {"cancelRequested": False})
CANCEL = http(200, {"cancelRequested": True})
QUICK = RetryPolicy(initial_wait=0.01, max_wait=0.05)


def test_a_tasks_life(recorder):
    stop_comes = threading.Event()

    @activity(name="Copy", version="1", heartbeat_interval=0.1)
    def copy(context: ActivityContext, folder: str) -> None:
        # It tells how far it is. That, and whatever it does not say, goes out with its heartbeats.
        context.heartbeat({"copied": folder})
        # The decider wants it canceled. A heartbeat brings that, and the handler asks.
        assert context.wait_for_stop(20)
        assert context.cancel_reason is CancelReason.REQUESTED
        # So it undoes what it has done, and says so.
        raise ActivityCanceled({"removed": folder})

    def poll_again(sock):
        stop_comes.wait(20)
        sock.sendall(EMPTY_POLL)

    swf = Wire(
        # A slot is reserved, a poll is opened, a task comes. When it is over, the slot polls again.
        PollForActivityTask=[wire.task(input='"films"', activityType=COPY), poll_again],
        # The network loses a heartbeat; a task is not given up for that.
        RecordActivityTaskHeartbeat=[http(500), GOES_ON, CANCEL],
        # It loses the answer as well, on its way back: SWF has taken it, and the task is closed.
        RespondActivityTaskCanceled=[wire.hang_up, fault("UnknownResourceFault", "Unknown token")],
    )
    with swf:
        worker = ActivityWorker(
            domain="d",
            task_list="t",
            activities=[copy],
            endpoint_url=swf.url,
            max_concurrent_activities=1,
            retry_policy=QUICK,
            observers=[recorder],
        )
        with worker:
            (ended,) = recorder.wait_for(TaskEnded)
            swf.wait_for(POLL, 2)
            # A stop waits for the poll that is open: SWF may give it a task at any moment.
            worker.request_stop()
            stop_comes.set()

    # What went over the wire.
    operations = [name for name, _ in swf.calls]
    assert operations[0] == POLL
    assert operations[1] == BEAT
    assert operations[-1] == POLL
    assert len(swf.named(ANSWER)) == 2, "an answer that may be lost is sent again"
    beats = swf.named(BEAT)
    assert len(beats) >= 3
    assert {beat["details"] for beat in beats} == {'{"copied":"films"}'}
    for answer in swf.named(ANSWER):
        assert answer == {"taskToken": "token-1", "details": '{"removed":"films"}'}

    # What observers, and so the log, were told of it, in this order.
    told = [record for record in recorder.records if isinstance(record, STORY)]
    story = [type(record) for record in told]
    assert story[0] is TaskStarted
    assert story.index(HeartbeatFailed) < story.index(HeartbeatAccepted) < story.index(StopAsked)
    end = [kind for kind in story if kind not in (HeartbeatFailed, HeartbeatAccepted)]
    assert end == [TaskStarted, StopAsked, TaskDecided, AnswerRetried, TaskEnded, WorkerStopped]
    assert ended.outcome == Canceled('{"removed":"films"}')
    assert ended.disposition == "presumed_accepted"
    assert told[-1].abandoned == ()


COPY = {"name": "Copy", "version": "1"}
STORY = (
    TaskStarted,
    HeartbeatAccepted,
    HeartbeatFailed,
    StopAsked,
    TaskDecided,
    AnswerRetried,
    TaskEnded,
    WorkerStopped,
)
