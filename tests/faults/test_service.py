"""The service: what it refuses, throttles, repeats and forgets, and what it says of an answer."""

from __future__ import annotations

import threading
import time

import pytest

from swf_worker import (
    ActivityContext,
    LimitExceededFault,
    OperationNotPermittedFault,
    RetryPolicy,
    ThrottledError,
    activity,
)
from swf_worker.local import Canceled, Completed, Fault, FaultKind, TimedOut
from swf_worker.observations import (
    AnswerRetried,
    HeartbeatAccepted,
    HeartbeatFailed,
    PollFailed,
    StopAsked,
    TaskEnded,
    TaskRepeated,
)
from tests.conftest import eventually
from tests.faults.conftest import wired, work
from tests.wire import EMPTY_POLL, OK, Wire, fault, http, task

POLL, BEAT = "PollForActivityTask", "RecordActivityTaskHeartbeat"
RESPOND = "RespondActivityTaskCompleted"
NOT_ASKED = http(200, {"cancelRequested": False})
ASKED = http(200, {"cancelRequested": True})
CLOSED = fault("UnknownResourceFault", "Unknown activity, scheduledEventId = 5")


@activity(name="Work", version="1", heartbeat_interval=0.1)
def until_asked(context: ActivityContext) -> str:
    context.wait_for_stop(1.0)
    context.raise_if_canceled()
    return "never asked"


def held(release, answer):
    def reply(sock):
        release.wait(20)
        sock.sendall(answer)

    return reply


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        pytest.param(FaultKind.THROTTLED, ThrottledError, id="12"),
        pytest.param(FaultKind.LIMIT_EXCEEDED, LimitExceededFault, id="15"),
    ],
)
def test_a_throttled_poll_backs_off_with_fewer_pollers(stage, recorder, kind, error, log):
    with stage(max_concurrent_activities=16, max_concurrent_polls=8, poll_hold=1.0) as s:
        plan = s.worker._running.engine.parts.poller.plan
        for scheduled in [s.schedule() for _ in range(24)]:
            assert scheduled.outcome() == Completed('"done"')
        assert plan.target >= 4, "the flow of tasks wants many"
        s.swf.set_faults([Fault(POLL, kind, calls=range(1, 13))])
        recorder.wait_for(PollFailed, 2)
        s.swf.set_faults([])
        assert plan.target <= 4
        assert s.schedule().outcome() == Completed('"done"'), "and it goes on"
    assert all(isinstance(record.error, error) for record in recorder.of(PollFailed))
    assert all(record.retry_in > 0 for record in recorder.of(PollFailed))
    assert log.says("warning", "poll failed", error.__name__)


@pytest.mark.parametrize("kind", [FaultKind.INTERNAL, FaultKind.UNAVAILABLE])
def test_a_5xx_backs_off(stage, recorder, kind, log):
    faults = [Fault("*", kind, calls=range(1, 4))]
    with stage(faults=faults) as s:
        assert s.schedule().outcome() == Completed('"done"')
        assert recorder.wait_for(TaskEnded)[0].disposition == "accepted"
        assert s.swf.calls[RESPOND] == 4
    assert len(recorder.of(PollFailed)) == 3
    assert len(recorder.of(AnswerRetried)) == 3
    assert log.says("warning", "poll failed", "an injected fault")


class Tokens:
    """Counts the tasks of two kinds of records."""

    def __init__(self) -> None:
        self.retried: set[str] = set()
        self.beaten: set[str] = set()

    def observe(self, record) -> None:
        if isinstance(record, AnswerRetried):
            self.retried.add(record.task.task_token)
        elif isinstance(record, HeartbeatAccepted) and record.task.task_token in self.retried:
            self.beaten.add(record.task.task_token)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("count", [100, pytest.param(1_000, marks=pytest.mark.full)])
def test_many_answers_are_retried_at_once_and_no_thread_sleeps(stage, count):
    """For as long as it takes, with beats going on."""

    @activity(name="Many", version="1", heartbeat_interval=4)
    async def many(number: int) -> int:
        return number

    tokens = Tokens()
    with stage(
        many,
        faults=[Fault(RESPOND, FaultKind.UNAVAILABLE)],
        max_concurrent_activities=1_100,
        max_concurrent_polls=10,
        retry_policy=RetryPolicy(initial_wait=2, max_wait=8),
        start=False,
    ) as s:
        s.worker.configure({"observers": [tokens]})
        with s.worker:
            scheduled = [s.swf.schedule("Many", "1", n, heartbeat_timeout=60) for n in range(count)]
            try:
                assert eventually(lambda: len(tokens.retried) == count, 60)
                threads = [each for each in threading.enumerate() if "swf-worker" in each.name]
                assert len(threads) < 64, threads
                assert eventually(lambda: len(tokens.beaten) == count, 30)
            finally:
                s.swf.set_faults([])  # a failure here must not wait for a drain without answers
            outcomes = [each.outcome(60) for each in scheduled]
    assert outcomes == [Completed(str(n)) for n in range(count)]


def test_a_refusal_after_hours_of_health_is_loud_and_throws_nothing_away(stage, recorder, log):
    @activity(name="Long", version="1", heartbeat_interval=0.1)
    def long() -> str:
        go.wait(20)
        return "precious"

    go = threading.Event()
    with stage(long) as s:
        scheduled = s.schedule("Long")
        scheduled.wait_for_heartbeats()
        s.swf.set_faults([Fault("*", FaultKind.DENIED)])
        recorder.wait_for(HeartbeatFailed, 2)
        go.set()
        recorder.wait_for(AnswerRetried, 3)
        recorder.wait_for(PollFailed, 2)
        assert s.worker.error is None
        s.swf.set_faults([])
        assert scheduled.outcome() == Completed('"precious"')
    for kind in (HeartbeatFailed, AnswerRetried, PollFailed):
        assert isinstance(recorder.of(kind)[0].error, OperationNotPermittedFault)
    for event in ("heartbeat failed", "answer not accepted yet", "poll failed"):
        assert log.says("error", event, "AccessDeniedException")


def test_a_closed_task_is_asked_to_stop_and_answered_nothing(stage, recorder, log):
    @activity(name="Long", version="1", heartbeat_interval=0.2)
    def long(context: ActivityContext) -> str:
        return f"asked: {context.wait_for_stop(30)}"

    with stage(long, work, max_concurrent_activities=1) as s:
        scheduled = s.schedule("Long", start_to_close_timeout=1)
        assert scheduled.outcome() == TimedOut("START_TO_CLOSE")
        assert recorder.wait_for(StopAsked)[0].reason == "task_closed"
        assert recorder.wait_for(TaskEnded)[0].disposition == "closed"
        assert not [name for name in s.swf.calls if name.startswith("Respond")]
        assert s.schedule().outcome() == Completed('"done"'), "its slot is free"
    assert log.says("info", "handler asked to stop", "task_closed")
    assert log.says("warning", "task ended", "closed")


@pytest.mark.parametrize("kind", [FaultKind.INTERNAL, FaultKind.HUNG_UP])
def test_unknown_after_an_ambiguous_try_is_presumed_accepted(recorder, kind):
    first = http(500) if kind is FaultKind.INTERNAL else (lambda sock: sock.shutdown(2))
    script = {POLL: [task(), EMPTY_POLL], RESPOND: [first, CLOSED]}
    with Wire(**script) as service, wired(service.url, recorder):
        assert recorder.wait_for(TaskEnded)[0].disposition == "presumed_accepted"
    assert not service.named("RespondActivityTaskFailed")


def test_an_accepted_answer_whose_answer_is_lost_is_sent_again_and_presumed(stage, recorder, log):
    with stage(faults=[Fault(RESPOND, FaultKind.LOST, calls=[1])]) as s:
        scheduled = s.schedule()
        assert recorder.wait_for(TaskEnded)[0].disposition == "presumed_accepted"
        assert scheduled.outcome() == Completed('"done"')
        assert s.swf.calls[RESPOND] == 2
        assert "RespondActivityTaskFailed" not in s.swf.calls
    assert log.says("warning", "task ended", "presumed_accepted")


@pytest.mark.parametrize("where", [BEAT, RESPOND])
def test_an_invalid_token_drops_the_task_loudly(recorder, where, log):
    invalid = fault("ValidationException", "Invalid token")
    script = {
        POLL: [task(), EMPTY_POLL],
        BEAT: [invalid if where == BEAT else NOT_ASKED],
        RESPOND: [invalid],
    }
    with Wire(**script) as service, wired(service.url, recorder, until_asked):
        ended = recorder.wait_for(TaskEnded)[0]
        assert ended.disposition == ("closed" if where == BEAT else "late")
    assert len(service.named(RESPOND)) == (0 if where == BEAT else 1)
    assert not service.named("RespondActivityTaskFailed"), "no second answer"
    assert log.says("error", "Invalid token")


@pytest.mark.parametrize("accepted", [True, False])
def test_a_task_handed_out_twice_runs_once(stage, recorder, accepted, log):
    runs = []

    @activity(name="Once", version="1")
    def once() -> str:
        runs.append(1)
        return "done"

    faults = [Fault(POLL, FaultKind.TWICE)]
    if not accepted:
        faults.append(Fault(RESPOND, FaultKind.UNAVAILABLE, calls=[1, 2]))
    with stage(once, faults=faults) as s:
        scheduled = s.schedule("Once")
        assert scheduled.outcome() == Completed('"done"')
        recorder.wait_for(TaskRepeated)
    assert runs == [1]
    assert log.says("warning", "SWF delivered a task again")


@pytest.mark.parametrize("flag", [None, "true", 1, "yes", [True]])
def test_only_json_true_is_a_cancel_request(recorder, flag):
    answer = {} if flag is None else {"cancelRequested": flag}
    script = {
        POLL: [task(), EMPTY_POLL],
        BEAT: [http(200, answer)],
        RESPOND: [OK],
    }
    with Wire(**script) as service, wired(service.url, recorder, until_asked):
        ended = recorder.wait_for(TaskEnded)[0]
    assert (ended.disposition, ended.outcome.result) == ("accepted", '"never asked"')
    assert not recorder.of(StopAsked)


def test_unknown_members_are_ignored(recorder):
    given = task(novelty={"deep": [1]}, taskPriority="9", startedEventId=3)
    beat = http(200, {"cancelRequested": False, "more": 1})
    script = {POLL: [given, EMPTY_POLL], BEAT: [beat], RESPOND: [http(200, "")]}
    with Wire(**script) as service, wired(service.url, recorder, until_asked):
        assert recorder.wait_for(TaskEnded)[0].disposition == "accepted"


def test_a_request_that_arrives_while_the_result_is_sent_changes_nothing(recorder):
    release, beaten = threading.Event(), threading.Event()

    def late_request(sock):
        beaten.set()
        sock.sendall(ASKED)

    @activity(name="Work", version="1", heartbeat_interval=0.1)
    def quick() -> str:
        return "result"

    script = {
        POLL: [task(), EMPTY_POLL],
        BEAT: [late_request],
        RESPOND: [held(release, OK)],
    }
    with Wire(**script) as service, wired(service.url, recorder, quick):
        assert beaten.wait(10)
        recorder.wait_for(HeartbeatAccepted)
        release.set()
        ended = recorder.wait_for(TaskEnded)[0]
    assert (ended.disposition, ended.outcome.result) == ("accepted", '"result"')
    assert len(service.named(RESPOND)) == 1
    assert not service.named("RespondActivityTaskCanceled")
    assert not isinstance(ended.outcome, Canceled)


def test_a_beat_that_hears_of_our_own_answer_is_no_loss(recorder, log):
    """The answer was accepted, its confirmation is on its way; the task is closed by it."""
    release, beaten = threading.Event(), threading.Event()

    def closed(sock):
        beaten.set()
        sock.sendall(CLOSED)

    @activity(name="Work", version="1", heartbeat_interval=0.1)
    def quick() -> str:
        return "result"

    script = {POLL: [task(), EMPTY_POLL], BEAT: [closed], RESPOND: [held(release, OK)]}
    with Wire(**script) as service, wired(service.url, recorder, quick):
        assert beaten.wait(10)
        time.sleep(0.3)  # no other beat may follow
        release.set()
        ended = recorder.wait_for(TaskEnded)[0]
    assert ended.disposition == "accepted"
    assert len(service.named(BEAT)) == 1
    assert log.says("info", "task ended", "accepted")


def test_denied_waits_are_longer_and_bounded():
    """Where permission is denied, somebody has to mend it: 60 s at most."""
    from swf_worker.service.retries import TenacityBackoff

    backoff = TenacityBackoff(RetryPolicy())
    waits = [backoff.wait(40, denied=True) for _ in range(500)]
    assert 20 < max(waits) <= 60
    assert max(backoff.wait(40) for _ in range(500)) <= 20
