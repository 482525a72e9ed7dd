"""Beats while it runs, answers while the network fails, a stop that loses nothing: on the wire."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from contextlib import ExitStack

import pytest

from swf_worker import (
    ActivityCanceled,
    ActivityContext,
    ActivityWorker,
    CancelReason,
    Completed,
    Failed,
    MalformedResponseError,
    RetryPolicy,
    activity,
)
from swf_worker.local import LocalSwf, TimedOut
from swf_worker.observations import (
    AnswerRetried,
    DetailsShortened,
    DrainEnded,
    HandlerStuck,
    HeartbeatAccepted,
    HeartbeatFailed,
    HeartbeatIntervalGuessed,
    InternalError,
    PollFailed,
    StopAsked,
    TaskEnded,
    TaskRepeated,
    TaskStarted,
    WorkerStopping,
)
from swf_worker.runtime import running_worker
from swf_worker.runtime.heartbeats.registered_timeouts import TimeoutLookups
from swf_worker.task import ActivityType
from tests import wire
from tests.conftest import eventually
from tests.wire import EMPTY_POLL, OK, Wire, fault, http


@pytest.fixture
def slow_swf():
    """A local SWF that holds polls long enough to stop a worker meanwhile."""
    with LocalSwf(poll_hold=20) as swf:
        yield swf


QUICK = RetryPolicy(initial_wait=0.05, max_wait=0.1, denied_wait=0.1)
BEAT = http(200, {"cancelRequested": False})
ASKED = http(200, {"cancelRequested": True})


def hold(seconds=0.05):
    """An empty poll, held for a moment."""

    def reply(sock):
        time.sleep(seconds)
        sock.sendall(EMPTY_POLL)

    return reply


def wired(service, recorder, *activities, **options):
    settings = {"domain": "d", "task_list": "t", "retry_policy": QUICK} | options
    return ActivityWorker(
        activities=activities, endpoint_url=service.url, observers=[recorder], **settings
    )


@activity(name="Work", version="1", heartbeat_interval=30)
def work() -> str:
    return "done"


# --- heartbeats ---------------------------------------------------------------------------------


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


def test_a_failed_poll_is_followed_by_the_next_when_its_wait_is_over(recorder):
    came = []

    def failing(sock):
        came.append(time.monotonic())
        sock.sendall(http(500))

    def accepted(sock):
        came.append(time.monotonic())
        sock.sendall(EMPTY_POLL)

    with (
        Wire(PollForActivityTask=[*[failing] * 8, accepted, hold()]) as service,
        wired(service, recorder, work, retry_policy=RetryPolicy(initial_wait=0.2, max_wait=0.4)),
    ):
        failed = recorder.wait_for(PollFailed, 8)
        service.wait_for("PollForActivityTask", 9)
    for record, before, after in zip(failed, came[:-1], came[1:], strict=True):
        assert after - before > record.retry_in - 0.02
    assert came[-1] - came[0] > 0.2, "eight waits of 0.2 s on average"


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


# --- deadlines ----------------------------------------------------------------------------------


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


# --- answers ------------------------------------------------------------------------------------


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


# --- polls --------------------------------------------------------------------------------------


def test_polling_survives_everything_and_goes_on(recorder):
    """No exception type gets through the loop."""
    troubles = [
        http(500),
        wire.hang_up,
        wire.reset,
        http(200, "<html>"),
        http(200, "[]"),
        http(200, b"\xff"),
        fault("ThrottlingException"),
        fault("LimitExceededFault"),
        http(403, "proxy"),
        fault("OperationNotPermittedFault"),
        fault("UnknownResourceFault", "Unknown domain: d"),
    ]
    with (
        Wire(
            PollForActivityTask=[EMPTY_POLL, *troubles, wire.task(), hold()],
            RespondActivityTaskCompleted=[OK],
        ) as service,
        wired(service, recorder, work) as worker,
    ):
        assert recorder.wait_for(TaskEnded)[0].disposition == "accepted"
        assert worker.error is None
    assert len(recorder.of(PollFailed)) == len(troubles)
    assert any(isinstance(r.error, MalformedResponseError) for r in recorder.of(PollFailed))


def test_empty_polls_answered_at_once_have_a_floor(recorder):
    with Wire(PollForActivityTask=[EMPTY_POLL]) as service, wired(service, recorder, work):
        service.wait_for("PollForActivityTask", 3)
        began, before = time.monotonic(), len(service.calls)
        service.wait_for("PollForActivityTask", before + 5)
        assert time.monotonic() - began > 0.7


def test_a_task_is_taken_only_when_it_can_be_run(make_worker, quick_swf, recorder):
    """Slots: open polls and running tasks together never exceed max_concurrent_activities."""
    release, running, most = threading.Event(), [], []

    @activity(name="Work", version="1", heartbeat_interval=30)
    def handler(number: int):
        running.append(number)
        most.append(len(running))
        release.wait(20)
        running.remove(number)

    worker = make_worker(handler, max_concurrent_activities=3)
    scheduled = [quick_swf.schedule("Work", "1", number) for number in range(7)]
    with worker:
        recorder.wait_for(TaskStarted, 3)
        client = quick_swf.client()
        pending = client.count_pending_activity_tasks(domain="tests", taskList={"name": "tasks"})
        assert pending["count"] == 4
        release.set()
        for each in scheduled:
            assert isinstance(each.outcome(), Completed)
    assert max(most) == 3


# --- stopping -----------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["thread", "async"])
def test_running_tasks_are_finished_at_a_stop(make_worker, quick_swf, recorder, how):
    """Drained, with beats going on."""
    stopping = []

    @activity(name="Work", version="1", heartbeat_interval=0.1)
    def in_thread(context: ActivityContext):
        while not context.worker_stopping:
            context.wait_for_stop(0.01)
        recorder.wait_for(WorkerStopping)
        stopping.append(context.should_stop)
        return "drained"

    @activity(name="Work", version="1", heartbeat_interval=0.1)
    async def in_loop(context: ActivityContext):
        while not context.worker_stopping:
            await asyncio.sleep(0.01)
        await asyncio.to_thread(recorder.wait_for, WorkerStopping)
        stopping.append(context.should_stop)
        return "drained"

    worker = make_worker(in_thread if how == "thread" else in_loop)
    scheduled = quick_swf.schedule("Work", "1")
    with worker:
        scheduled.wait_until_started()
        assert worker.stop() == []
        assert scheduled.outcome() == Completed('"drained"')
        assert stopping == [False], "a drain asks nobody to stop"


def test_what_an_open_poll_brings_after_the_stop_is_run(slow_swf, recorder):
    """SWF gives tasks to polls that were cut, so none is cut."""
    worker = ActivityWorker(
        domain="tests",
        task_list="tasks",
        activities=[work],
        endpoint_url=slow_swf.endpoint_url,
        observers=[recorder],
    )
    slow_swf.register(worker)
    with worker:
        polling = worker._running.engine.parts.poller
        assert eventually(lambda: polling.open_polls == 1)
        worker.request_stop()
        recorder.wait_for(WorkerStopping)
        scheduled = slow_swf.schedule("Work", "1")
        assert scheduled.outcome() == Completed('"done"')
        assert worker.wait()


def test_what_an_open_poll_brings_after_the_second_step_fails_and_never_runs(recorder):
    asked, polled = threading.Event(), threading.Event()
    ran = []

    @activity(name="Work", version="1", heartbeat_interval=30)
    def handler() -> None:
        ran.append(True)

    def held(sock):
        polled.set()
        asked.wait(20)
        sock.sendall(wire.task())

    with (
        Wire(
            PollForActivityTask=[EMPTY_POLL, held, hold()], RespondActivityTaskFailed=[OK]
        ) as service,
        wired(service, recorder, handler, max_concurrent_activities=1) as worker,
    ):
        assert polled.wait(20)
        worker._running.driver.signaled()
        worker._running.driver.signaled()
        recorder.wait_for(DrainEnded)
        asked.set()
        (answer,) = service.wait_for("RespondActivityTaskFailed")
    assert answer["reason"] == "WorkerShutdown"
    assert ran == []


@pytest.mark.parametrize("how", ["thread", "async"])
def test_after_the_drain_handlers_are_asked_to_stop(make_worker, quick_swf, how):
    @activity(name="Work", version="1", heartbeat_interval=30)
    def in_thread(context: ActivityContext):
        assert context.wait_for_stop(20)
        assert context.cancel_reason is CancelReason.WORKER_SHUTDOWN
        raise ActivityCanceled

    @activity(name="Work", version="1", heartbeat_interval=30)
    async def in_loop():
        await asyncio.sleep(20)

    worker = make_worker(in_thread if how == "thread" else in_loop)
    scheduled = quick_swf.schedule("Work", "1")
    with worker:
        scheduled.wait_until_started()
        assert worker.stop(drain_timeout=0.1) == []
        outcome = scheduled.outcome()
        assert isinstance(outcome, Failed)
        assert outcome.reason == "WorkerShutdown", "never Canceled: SWF did not ask"


def test_an_embedded_stop_abandons_what_never_ends_and_names_it(make_worker, quick_swf):
    release = threading.Event()

    @activity(name="Work", version="1", heartbeat_interval=30)
    def handler():
        release.wait(30)

    worker = make_worker(handler, cancel_grace=0.1)
    scheduled = quick_swf.schedule("Work", "1", heartbeat_timeout=1)
    with worker:
        scheduled.wait_until_started()
        began = time.monotonic()
        abandoned = worker.stop(drain_timeout=0.1)
        assert time.monotonic() - began < 5
        assert [task.workflow_execution.workflow_id for task in abandoned] == [
            scheduled.workflow_id
        ]
        assert scheduled.outcome() == TimedOut("HEARTBEAT")
        release.set()


def test_a_stop_while_the_service_is_gone_is_bounded(recorder):
    service = Wire(PollForActivityTask=[hold()])
    with ExitStack() as there:
        there.enter_context(service)
        with wired(service, recorder, work) as worker:
            service.wait_for("PollForActivityTask", 2)
            there.close()
            recorder.wait_for(PollFailed)
            began = time.monotonic()
            assert worker.stop() == []
            assert time.monotonic() - began < 5
    assert not recorder.of(InternalError)


def test_a_look_up_that_ends_while_its_first_task_is_taken_counts(recorder, monkeypatch):
    """What serves a type is kept once it is settled: what was read before must not be."""
    go_on = threading.Event()
    real = TimeoutLookups.time_limit

    def told_just_now(self, definition):
        # Asked right behind the interval: in between the look-up ends.
        if self.is_pending(definition.type):
            go_on.set()
            assert self._settled.wait(10)
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
