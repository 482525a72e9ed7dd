"""Deadlines, and answers: each goes out once, whatever the service says to it."""

from __future__ import annotations

import json
import threading

import pytest

from swf_worker import (
    ActivityCanceled,
    ActivityContext,
    CancelReason,
    Completed,
    RetryPolicy,
    activity,
)
from swf_worker.observations import (
    AnswerRetried,
    HandlerStuck,
    TaskEnded,
    TaskRepeated,
)
from tests import wire
from tests.wire import OK, Wire, fault, http
from tests.worker.wired import BEAT, hold, wired, work


def test_a_deadline_asks_before_it_and_the_failure_names_it(make_worker, quick_swf):
    @activity(name="Work", version="1", deadline=2)
    def handler(context: ActivityContext):
        assert 0.2 < context.time_remaining <= 2
        context.wait_for_stop(20)
        assert context.cancel_reason is CancelReason.TIMED_OUT
        raise ActivityCanceled

    worker = make_worker(handler)
    scheduled = quick_swf.schedule("Work", "1")
    with worker:
        assert scheduled.outcome().reason == "HandlerTimedOut"


def test_a_thread_past_its_deadline_is_reported_and_its_late_result_still_tried(
    make_worker, quick_swf, recorder
):
    """Its beats stop, its slot stays taken, nothing is answered at the deadline."""
    go_on = threading.Event()

    @activity(name="Work", version="1", deadline=0.3, heartbeat_interval=0.1)
    def handler():
        go_on.wait(20)
        return "after all"

    worker = make_worker(handler, max_concurrent_activities=1)
    scheduled = quick_swf.schedule("Work", "1")
    with worker:
        stuck = recorder.wait_for(HandlerStuck)[0]
        assert "go_on.wait" in stuck.stack
        assert not recorder.of(TaskEnded)
        go_on.set()
        assert scheduled.outcome() == Completed('"after all"')


def test_nothing_is_stopped_on_a_guessed_timeout(make_worker, quick_swf):
    """A decider scheduled longer timeouts than the type's defaults."""

    @activity(name="Work", version="1", start_to_close_timeout=1, heartbeat_timeout=1)
    def handler(context: ActivityContext):
        assert context.wait_for_stop(1.5) is False
        assert context.time_remaining == 0
        return "whole"

    worker = make_worker(handler)
    scheduled = quick_swf.schedule("Work", "1", start_to_close_timeout=60, heartbeat_timeout=60)
    with worker:
        assert scheduled.outcome() == Completed('"whole"')


def test_an_answer_outlives_failures_while_beats_go_on(recorder):
    """The handler runs once, the answer is sent until it is accepted."""
    runs = []

    @activity(name="Work", version="1", heartbeat_interval=0.1)
    def handler():
        runs.append(1)
        return "kept"

    troubles = [http(500), fault("ThrottlingException"), http(200, "<html>"), wire.hang_up]
    slow = RetryPolicy(initial_wait=0.2, max_wait=0.4, denied_wait=0.4)
    with (
        Wire(
            PollForActivityTask=[wire.task(), hold()],
            RecordActivityTaskHeartbeat=[BEAT],
            RespondActivityTaskCompleted=[*troubles, fault("ExpiredTokenException"), http(503), OK],
        ) as service,
        wired(service, recorder, handler, retry_policy=slow),
    ):
        assert recorder.wait_for(TaskEnded)[0].disposition == "accepted"
    assert runs == [1]
    assert len(recorder.of(AnswerRetried)) == 6
    assert {body["result"] for body in service.named("RespondActivityTaskCompleted")} == {'"kept"'}
    assert service.named("RecordActivityTaskHeartbeat"), "no beat while the answer was retried"


@pytest.mark.parametrize(
    "first", [http(500), wire.hang_up, http(200, "{")], ids=["500", "hang-up", "cut"]
)
def test_unknown_after_an_ambiguous_try_is_presumed_accepted(recorder, first):
    """Never a different answer after one that may have been carried out."""
    with (
        Wire(
            PollForActivityTask=[wire.task(), hold()],
            RespondActivityTaskCompleted=[first, fault("UnknownResourceFault")],
        ) as service,
        wired(service, recorder, work),
    ):
        assert recorder.wait_for(TaskEnded)[0].disposition == "presumed_accepted"
    assert not service.named("RespondActivityTaskFailed")


def test_unknown_on_the_first_try_drops_the_result(recorder):
    with (
        Wire(
            PollForActivityTask=[wire.task(), hold()],
            RespondActivityTaskCompleted=[fault("UnknownResourceFault")],
        ) as service,
        wired(service, recorder, work),
    ):
        assert recorder.wait_for(TaskEnded)[0].disposition == "late"


def test_a_refused_result_is_failed_once(recorder):
    """It is never left to time out."""
    with (
        Wire(
            PollForActivityTask=[wire.task(), hold()],
            RespondActivityTaskCompleted=[fault("ValidationException", "1 validation error")],
            RespondActivityTaskFailed=[OK],
        ) as service,
        wired(service, recorder, work),
    ):
        assert recorder.wait_for(TaskEnded)[0].disposition == "accepted"
    failed = service.named("RespondActivityTaskFailed")
    assert len(failed) == 1
    assert failed[0]["reason"] == "ResultRefused"
    assert json.loads(failed[0]["details"])["retryable"] is False


def test_an_unknown_error_code_is_final_and_loud(recorder):
    with (
        Wire(
            PollForActivityTask=[wire.task(), hold()],
            RespondActivityTaskCompleted=[fault("SomethingNew")],
        ) as service,
        wired(service, recorder, work),
    ):
        assert recorder.wait_for(TaskEnded)[0].disposition == "rejected"
    assert len(service.named("RespondActivityTaskCompleted")) == 1


def test_the_same_token_twice_runs_once_and_resends_what_was_not_accepted(recorder):
    runs = []

    @activity(name="Work", version="1", heartbeat_interval=30)
    def handler():
        runs.append(1)

    def again_after(ends):
        def reply(sock):
            recorder.wait_for(TaskEnded, ends)
            sock.sendall(wire.task())

        return reply

    with (
        Wire(
            PollForActivityTask=[wire.task(), again_after(1), again_after(2), hold()],
            RespondActivityTaskCompleted=[fault("UnknownResourceFault"), OK],
        ) as service,
        wired(service, recorder, handler, max_concurrent_polls=1),
    ):
        told = recorder.wait_for(TaskRepeated, 2)
    assert runs == [1]
    assert [end.disposition for end in recorder.of(TaskEnded)] == ["late", "accepted"]
    assert [record.answer_sent_again for record in told] == [True, False]
    assert len(service.named("RespondActivityTaskCompleted")) == 2


def test_a_task_with_members_missing_is_failed_by_its_token(recorder):
    broken = http(200, {"taskToken": "t", "startedEventId": 3})
    with (
        Wire(PollForActivityTask=[broken, hold()], RespondActivityTaskFailed=[OK]) as service,
        wired(service, recorder, work),
    ):
        recorder.wait_for(TaskEnded)
    assert service.named("RespondActivityTaskFailed")[0]["reason"] == "MalformedTask"
