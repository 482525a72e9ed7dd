"""Heartbeats: when they leave, what they bring, and what becomes of those that are missed."""

from __future__ import annotations

import threading
import time

import pytest

from swf_worker import (
    ActivityCanceled,
    ActivityContext,
    CancelReason,
    Completed,
    UnknownResourceFault,
    activity,
)
from swf_worker.observations import (
    DetailsShortened,
    HeartbeatAccepted,
    HeartbeatFailed,
    HeartbeatIntervalGuessed,
    StopAsked,
    TaskEnded,
)
from swf_worker.runtime import running_worker
from swf_worker.runtime.heartbeats.registered_timeouts import TimeoutLookups
from swf_worker.task import ActivityType
from tests import wire
from tests.conftest import eventually
from tests.wire import OK, Wire, fault, http
from tests.worker.wired import BEAT, hold, wired, work

ASKED = http(200, {"cancelRequested": True})


def test_a_short_task_costs_two_calls(recorder):
    with (
        Wire(
            PollForActivityTask=[wire.task(), hold()], RespondActivityTaskCompleted=[OK]
        ) as service,
        wired(service, recorder, work),
    ):
        recorder.wait_for(TaskEnded)
    of_the_task = [name for name, _ in service.calls if name != "PollForActivityTask"]
    assert of_the_task == ["RespondActivityTaskCompleted"], "one answer, and no beat"


def test_no_beat_leaves_once_the_answer_is_accepted(recorder):
    @activity(name="Work", version="1", heartbeat_interval=0.1)
    def handler(context: ActivityContext):
        recorder.wait_for(HeartbeatAccepted)
        if context.task.task_token == "token-2":  # it goes on for many intervals of the first
            assert eventually(lambda: len(beats_of(service, "token-2")) >= 10)

    with (
        Wire(
            PollForActivityTask=[wire.task(), wire.task("token-2"), hold()],
            RecordActivityTaskHeartbeat=[BEAT],
            RespondActivityTaskCompleted=[OK],
        ) as service,
        wired(service, recorder, handler, max_concurrent_activities=1),
    ):
        recorder.wait_for(TaskEnded, 2)
    answered = service.calls.index(("RespondActivityTaskCompleted", {"taskToken": "token-1"}))
    late = [body for _, body in service.calls[answered:] if body.get("taskToken") == "token-1"]
    assert len(late) <= 2, "the answer itself, and a beat that was under way"


def beats_of(service, token):
    beats = service.named("RecordActivityTaskHeartbeat")
    return [body for body in beats if body["taskToken"] == token]


def test_details_are_coalesced_and_the_last_win(make_worker, quick_swf):
    """10,000 heartbeats a second."""

    @activity(name="Work", version="1", heartbeat_interval=0.3)
    def handler(context: ActivityContext):
        for number in range(10_000):
            context.heartbeat({"n": number})
        context.wait_for_stop(20)
        raise ActivityCanceled

    worker = make_worker(handler)
    scheduled = quick_swf.schedule("Work", "1")
    with worker:
        assert eventually(lambda: scheduled.heartbeat_details == '{"n":9999}')
        assert scheduled.heartbeats < 12
        scheduled.request_cancel()
        scheduled.outcome()


def test_beats_derive_from_the_registered_timeout_and_details_repeat(make_worker, quick_swf):
    """The timeout that SWF reports on a dead worker still carries the last progress."""

    @activity(name="Work", version="1", heartbeat_timeout=1)
    def handler(context: ActivityContext):
        context.heartbeat("halfway")
        context.wait_for_stop(1.5)
        return "alive"

    worker = make_worker(handler)
    scheduled = quick_swf.schedule("Work", "1")
    with worker:
        assert scheduled.outcome() == Completed('"alive"')
    assert scheduled.heartbeats >= 3
    assert scheduled.heartbeat_details == "halfway"


def test_an_undeclared_heartbeat_timeout_is_looked_up_once(make_worker, quick_swf, recorder):
    @activity(name="Work", version="1", heartbeat_timeout=1)
    def declared(): ...

    @activity(name="Work", version="1")
    def handler(context: ActivityContext):
        context.wait_for_stop(1.5)
        return "alive"

    quick_swf.register([declared], domain="tests")
    worker = make_worker(handler)
    scheduled = quick_swf.schedule("Work", "1")
    with worker:
        assert scheduled.outcome() == Completed('"alive"')
    assert not recorder.of(HeartbeatIntervalGuessed)


def test_a_type_is_looked_up_once_however_many_tasks_it_has(recorder):
    @activity(name="Work", version="1")
    def handler(): ...

    registered = http(200, {"configuration": {"defaultTaskHeartbeatTimeout": "90"}})
    tasks = [wire.task(f"token-{number}") for number in range(5)]
    with (
        Wire(
            PollForActivityTask=[*tasks, hold()],
            DescribeActivityType=[registered],
            RespondActivityTaskCompleted=[OK],
        ) as service,
        wired(service, recorder, handler, max_concurrent_activities=1) as worker,
    ):
        recorder.wait_for(TaskEnded, len(tasks))
        served = worker._running.engine.parts.served_types.of(ActivityType("Work", "1"))
    assert served.interval == 30
    assert len(service.named("DescribeActivityType")) == 1


def test_a_denied_look_up_is_a_warning(recorder):
    @activity(name="Work", version="1")
    def handler(): ...

    with (
        Wire(
            PollForActivityTask=[wire.task(), wire.task("token-2"), hold()],
            DescribeActivityType=[fault("AccessDeniedException")],
            RespondActivityTaskCompleted=[OK],
        ) as service,
        wired(service, recorder, handler),
    ):
        recorder.wait_for(TaskEnded, 2)
        (guessed,) = recorder.of(HeartbeatIntervalGuessed)
    assert guessed.interval == 30
    assert "AccessDenied" in guessed.why


def test_at_a_start_that_fails_only_the_cause_is_told(recorder):
    """Nothing of an interval that was guessed for no task."""

    @activity(name="Work", version="1")
    def handler(): ...

    unknown = fault("UnknownResourceFault", "Unknown domain: nope")
    looked_up = threading.Event()

    def after_the_look_up(sock):
        assert looked_up.wait(20)
        sock.sendall(unknown)

    with (
        pytest.raises(UnknownResourceFault),
        Wire(PollForActivityTask=[after_the_look_up], DescribeActivityType=[unknown]) as service,
        wired(service, recorder, handler) as worker,
    ):
        lookups = worker._running.engine.parts.served_types._timeouts
        assert eventually(lambda: not lookups.is_pending(ActivityType("Work", "1")))
        looked_up.set()
        worker.wait(20)
    assert recorder.of(HeartbeatIntervalGuessed) == []


def test_a_missed_beat_is_retried_soon_and_never_fatal(recorder):

    @activity(name="Work", version="1", heartbeat_interval=0.2)
    def handler(context: ActivityContext):
        assert context.wait_for_stop(20)
        raise ActivityCanceled

    throttled = fault("ThrottlingException", "Rate exceeded")
    with (
        Wire(
            PollForActivityTask=[wire.task(), hold()],
            RecordActivityTaskHeartbeat=[
                throttled,
                http(500),
                wire.hang_up,
                http(200),
                BEAT,
                ASKED,
            ],
            RespondActivityTaskCanceled=[OK],
        ) as service,
        wired(service, recorder, handler),
    ):
        assert recorder.wait_for(TaskEnded)[0].disposition == "accepted"
    assert len(recorder.of(HeartbeatFailed)) == 4
    assert max(record.retry_in for record in recorder.of(HeartbeatFailed)) < 0.2


def test_a_request_once_heard_stays_requested(recorder):
    heard_again = threading.Event()

    @activity(name="Work", version="1", heartbeat_interval=0.5)  # it is the attempt's limit too
    def handler(context: ActivityContext):
        context.wait_for_stop(20)
        heard_again.wait(20)
        raise ActivityCanceled

    def beat_again(sock):
        sock.sendall(BEAT)
        heard_again.set()

    with (
        Wire(
            PollForActivityTask=[wire.task(), hold()],
            RecordActivityTaskHeartbeat=[ASKED, beat_again],
            RespondActivityTaskCanceled=[OK],
        ) as service,
        wired(service, recorder, handler),
    ):
        assert recorder.wait_for(TaskEnded)[0].disposition == "accepted"
    assert len(recorder.of(StopAsked)) == 1


@pytest.mark.parametrize(
    "closing",
    [
        fault("UnknownResourceFault", "Unknown activity, scheduledEventId = 5"),
        fault("ValidationException", "Invalid token"),
    ],
    ids=["unknown", "invalid-token"],
)
def test_a_beat_that_hears_of_a_closed_task_stops_the_work(recorder, closing):
    """Nothing is answered, the slot is free when it ended."""
    reasons = []

    @activity(name="Work", version="1", heartbeat_interval=0.1)
    def handler(context: ActivityContext):
        context.wait_for_stop(20)
        reasons.append(context.cancel_reason)
        return "too late"

    with (
        Wire(
            PollForActivityTask=[wire.task(), hold()], RecordActivityTaskHeartbeat=[closing]
        ) as service,
        wired(service, recorder, handler, max_concurrent_activities=1),
    ):
        assert recorder.wait_for(TaskEnded)[0].disposition == "closed"
        service.wait_for("PollForActivityTask", 2)
    assert reasons == [CancelReason.TASK_CLOSED]
    assert not [name for name, _ in service.calls if name.startswith("Respond")]


def test_a_lost_lease_asks_to_stop_where_that_was_asked_for(recorder):
    @activity(name="Work", version="1", heartbeat_interval=0.1, heartbeat_deadline=0.5)
    def handler(context: ActivityContext):
        context.wait_for_stop(20)
        assert context.cancel_reason is CancelReason.LEASE_LOST
        raise ActivityCanceled

    with (
        Wire(
            PollForActivityTask=[wire.task(), hold()],
            RecordActivityTaskHeartbeat=[http(500)],
            RespondActivityTaskFailed=[OK],
        ) as service,
        wired(service, recorder, handler),
    ):
        recorder.wait_for(TaskEnded)
    assert service.named("RespondActivityTaskFailed")[0]["reason"] == "LeaseLost"


def test_a_lost_lease_asks_nothing_where_it_was_not_asked_for(recorder):
    """The service is the judge: a handler works on, however long no beat is accepted."""
    missed = threading.Event()

    @activity(name="Work", version="1", heartbeat_interval=0.1)
    def handler(context: ActivityContext):
        assert missed.wait(20)
        return context.should_stop

    with (
        Wire(
            PollForActivityTask=[wire.task(), hold()],
            RecordActivityTaskHeartbeat=[http(500)],
            RespondActivityTaskCompleted=[OK],
        ) as service,
        wired(service, recorder, handler),
    ):
        recorder.wait_for(HeartbeatFailed, 10)  # for far longer than the other's deadline
        missed.set()
        recorder.wait_for(TaskEnded)
    assert service.named("RespondActivityTaskCompleted")[0]["result"] == "false"
    assert not recorder.of(StopAsked)


def test_long_details_are_shortened_and_odd_ones_reworded_once(make_worker, quick_swf, recorder):

    @activity(name="Work", version="1", heartbeat_interval=0.1)
    def handler(context: ActivityContext):
        context.heartbeat("x" * 5000)
        context.heartbeat(object())
        context.heartbeat("y" * 5000 + "z")
        context.wait_for_stop(20)
        raise ActivityCanceled

    worker = make_worker(handler)
    scheduled = quick_swf.schedule("Work", "1")
    with worker:
        assert eventually(lambda: (scheduled.heartbeat_details or "").endswith("z"))
        assert len(scheduled.heartbeat_details) <= 2048
        scheduled.request_cancel()
        scheduled.outcome()
    assert len(recorder.of(DetailsShortened)) == 1


def test_a_look_up_that_ends_while_its_first_task_is_taken_counts(recorder, monkeypatch):
    """What serves a type is kept once it is settled: what was read before must not be."""
    go_on = threading.Event()
    real = TimeoutLookups.time_limit

    def told_just_now(self, definition):
        # Asked right behind the interval: in between the look-up ends.
        if self.is_pending(definition.type):
            go_on.set()
            assert self._looked_up.wait(10)
            assert eventually(lambda: not self.is_pending(definition.type))
        return real(self, definition)

    def described(sock):
        assert go_on.wait(20)
        sock.sendall(http(200, {"configuration": {"defaultTaskHeartbeatTimeout": "1"}}))

    monkeypatch.setattr(TimeoutLookups, "time_limit", told_just_now)
    monkeypatch.setattr(running_worker, "LOOKUPS_BEFORE_POLLS", 0.0)

    @activity(name="Work", version="1")
    def until_it_has_beaten(context: ActivityContext) -> None:
        recorder.wait_for(HeartbeatAccepted, 2)

    with (
        Wire(
            PollForActivityTask=[wire.task(), hold()],
            DescribeActivityType=[described],
            RecordActivityTaskHeartbeat=[http(200, {"cancelRequested": False})],
            RespondActivityTaskCompleted=[OK],
        ) as service,
        wired(service, recorder, until_it_has_beaten) as worker,
    ):
        began = time.monotonic()
        recorder.wait_for(TaskEnded)
        assert time.monotonic() - began < 4, "5 s are the interval while a look-up goes on"
        served = worker._running.engine.parts.served_types.of(ActivityType("Work", "1"))
        assert served is None or served.interval < 1
