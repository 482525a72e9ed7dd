"""``ActivityTaskHandle`` and ``swf-worker task``: a task is answered by whoever holds its token."""

from __future__ import annotations

import json
import queue
import threading

import pytest

from swf_worker import (
    ActivityContext,
    ActivityTaskHandle,
    CancelNotRequestedError,
    ConfigurationError,
    OperationNotPermittedFault,
    PayloadTooLargeError,
    ResultEncodeError,
    RetryPolicy,
    ServiceError,
    TextConverter,
    ThrottledError,
    UnknownResourceFault,
    activity,
    handle,
)
from swf_worker.local import Canceled, Completed, Failed
from swf_worker.observations import TaskEnded
from tests.commands import swf_worker
from tests.wire import OK, Wire, fault, hang_up, http, silence

QUICK = RetryPolicy(initial_wait=0.02, max_wait=0.05, denied_wait=0.05)
BEAT = http(200, {"cancelRequested": False})
ASKED = http(200, {"cancelRequested": True})
CLOSED = fault("UnknownResourceFault", "Unknown activity, scheduledEventId = 5")
DENIED = fault("AccessDeniedException", "not you")


@pytest.fixture
def handed_over(quick_swf, make_worker, recorder):
    """A task that a worker has handed over, and its token."""
    tokens: queue.Queue[str] = queue.Queue()

    @activity(name="Hand", version="1", manual_completion=True, heartbeat_interval=0.1)
    def hand(context: ActivityContext) -> None:
        tokens.put(context.task.task_token)

    with make_worker(hand):
        scheduled = quick_swf.schedule("Hand", "1", heartbeat_timeout=60)
        token = tokens.get(timeout=20)
        assert recorder.wait_for(TaskEnded)[0].disposition == "handed_over"
        yield scheduled, token


def of(service, **options):
    options = {"endpoint_url": service.endpoint_url} | options
    return lambda token: ActivityTaskHandle(token, **options)


def wired(service, **options):
    return ActivityTaskHandle("token-1", endpoint_url=service.url, retry_policy=QUICK, **options)


# --- on the local SWF ---------------------------------------------------------------------------


def test_it_beats_and_completes(quick_swf, handed_over):
    scheduled, token = handed_over
    task = of(quick_swf)(token)
    assert task.heartbeat({"step": 1}) is False
    assert scheduled.heartbeat_details == '{"step":1}'
    task.complete({"über": [1, None]})
    assert scheduled.outcome() == Completed('{"über":[1,null]}')
    task.complete({"über": [1, None]})  # told again: no news, and no error
    with pytest.raises(RuntimeError, match="Completed already"):
        task.fail("Late")
    with pytest.raises(UnknownResourceFault, match="the task is closed"):
        of(quick_swf)(token).complete()


def test_it_fails(quick_swf, handed_over):
    scheduled, token = handed_over
    of(quick_swf)(token).fail("R" * 300, ["why"])
    outcome = scheduled.outcome()
    assert isinstance(outcome, Failed)
    assert len(outcome.reason) == 256
    assert outcome.details == '["why"]'


def test_it_cancels_only_after_a_beat_reported_the_request(quick_swf, handed_over):
    scheduled, token = handed_over
    task = of(quick_swf)(token)
    with pytest.raises(CancelNotRequestedError, match="call heartbeat"):
        task.cancel()
    scheduled.request_cancel()
    assert task.heartbeat() is True
    task.cancel({"undone": True})
    assert scheduled.outcome() == Canceled('{"undone":true}')


def test_a_result_that_can_not_be_sent_answers_nothing(quick_swf, handed_over):
    scheduled, token = handed_over
    task = of(quick_swf)(token)
    with pytest.raises(ResultEncodeError):
        task.complete(object())
    with pytest.raises(PayloadTooLargeError):
        task.complete("x" * 40_000)
    of(quick_swf, converter=TextConverter())(token).complete("plain")
    assert scheduled.outcome() == Completed("plain")


def test_from_several_threads_the_calls_take_turns(quick_swf, handed_over):
    _, token = handed_over
    task = of(quick_swf)(token)
    heard = []
    threads = [
        threading.Thread(target=lambda n=n: heard.append(task.heartbeat(n))) for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert heard == [False] * 8


# --- faults -------------------------------------------------------------------------------------


def test_what_passes_is_tried_again_until_it_is_accepted():
    replies = [fault("ThrottlingException"), hang_up, http(503, "busy"), http(200, ""), OK]
    replies[3] = http(200, "<html>", request_id=False)
    with Wire(RespondActivityTaskCompleted=replies) as service:
        wired(service).complete(1)
        assert (
            service.named("RespondActivityTaskCompleted")
            == [{"taskToken": "token-1", "result": "1"}] * 5
        )


def test_an_answer_that_was_lost_on_its_way_back_is_presumed_accepted():
    with Wire(RespondActivityTaskCompleted=[hang_up, CLOSED]) as service:
        task = wired(service)
        task.complete("done")
        with pytest.raises(RuntimeError, match="no different one"):
            task.fail("Other")
    with Wire(RespondActivityTaskCompleted=[fault("ThrottlingException"), CLOSED]) as service:
        with pytest.raises(UnknownResourceFault):  # throttling carried nothing out
            wired(service).complete("done")


def test_an_ambiguous_answer_that_is_given_up_allows_no_other(monkeypatch):
    with Wire(RespondActivityTaskCompleted=[hang_up, DENIED]) as service:
        task = wired(service)
        with pytest.raises(OperationNotPermittedFault):
            task.complete("done")
        with pytest.raises(RuntimeError, match="no different one"):
            task.fail("Other")


def test_a_refusal_is_raised_at_once_and_after_an_accepted_call_it_is_waited_out():
    with Wire(
        RespondActivityTaskCompleted=[DENIED, DENIED, OK],
        RecordActivityTaskHeartbeat=[BEAT],
    ) as service:
        task = wired(service)
        with pytest.raises(
            OperationNotPermittedFault, match="allow swf:RespondActivityTaskCompleted"
        ):
            task.complete()
        task.heartbeat()
        task.complete()
        assert len(service.named("RespondActivityTaskCompleted")) == 3


def test_a_refused_result_is_the_callers_to_mend():
    refused = fault("ValidationException", "result is bad")
    with Wire(RespondActivityTaskCompleted=[refused], RespondActivityTaskFailed=[OK]) as service:
        task = wired(service)
        with pytest.raises(ServiceError, match="result is bad"):
            task.complete("x")
        task.fail("Refused")
        assert service.named("RespondActivityTaskFailed") == [
            {"taskToken": "token-1", "reason": "Refused"}
        ]


def test_a_heartbeat_gives_up_after_a_while_and_an_attempt_has_a_limit(monkeypatch):
    monkeypatch.setattr(handle, "BEAT_RETRIES", 1.5)
    with Wire(RecordActivityTaskHeartbeat=[fault("ThrottlingException")]) as service:
        with pytest.raises(ThrottledError):
            wired(service).heartbeat()
        assert len(service.named("RecordActivityTaskHeartbeat")) > 1
    monkeypatch.setattr(handle, "BEAT_RETRIES", 20.0)
    monkeypatch.setattr(handle, "BEAT_LIMIT", 0.4)
    with Wire(RecordActivityTaskHeartbeat=[silence, ASKED]) as service:
        assert wired(service).heartbeat() is True


def test_the_request_stays_seen():
    with Wire(
        RecordActivityTaskHeartbeat=[ASKED, BEAT], RespondActivityTaskCanceled=[OK]
    ) as service:
        task = wired(service)
        assert task.heartbeat() is True
        assert task.heartbeat() is True, "once requested, it stays requested"
        task.cancel()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"task_token": ""}, "1 to 1024"),
        ({"task_token": "t" * 1025}, "1 to 1024"),
        ({"task_token": 5}, "must be text"),
        ({"task_token": "t", "endpoint_url": "x"}, "http://"),
        ({"task_token": "t", "converter": 1}, "no method decode"),
        ({"task_token": "t", "retry_policy": 1}, "RetryPolicy is needed"),
        ({"task_token": "t", "session": 1}, "boto3.Session"),
    ],
)
def test_bad_arguments_are_refused_at_construction(arguments, says):
    with pytest.raises(ConfigurationError, match=says):
        ActivityTaskHandle(**arguments)


def held(release, answer):
    def reply(sock):
        release.wait(20)
        sock.sendall(answer)

    return reply


def test_beats_go_on_while_an_answer_is_tried_again():
    replies = [fault("ThrottlingException")] * 5 + [OK]
    with Wire(RespondActivityTaskCompleted=replies, RecordActivityTaskHeartbeat=[BEAT]) as service:
        slow = RetryPolicy(initial_wait=0.5, max_wait=0.5)
        task = ActivityTaskHandle("t", endpoint_url=service.url, retry_policy=slow)
        answering = threading.Thread(target=task.complete)
        answering.start()
        service.wait_for("RespondActivityTaskCompleted")
        task.heartbeat()
        assert answering.is_alive()
        answering.join()


def test_two_threads_with_different_answers_send_one():
    release = threading.Event()
    with Wire(RespondActivityTaskCompleted=[held(release, OK)]) as service:
        task = wired(service)
        answering = threading.Thread(target=task.complete)
        answering.start()
        service.wait_for("RespondActivityTaskCompleted")
        said = []

        def fail():
            with pytest.raises(RuntimeError, match="Completed already"):
                task.fail("Other")
            said.append(True)

        failing = threading.Thread(target=fail)
        failing.start()
        release.set()
        answering.join()
        failing.join()
        assert said == [True]
        assert not service.named("RespondActivityTaskFailed")


def test_an_answer_that_was_interrupted_may_have_left(monkeypatch):
    from swf_worker.service.gateway import TokenCalls

    def interrupted(*_):
        raise KeyboardInterrupt

    with Wire(RespondActivityTaskCompleted=[OK]) as service:
        task = wired(service)
        with monkeypatch.context() as patched:
            patched.setattr(TokenCalls, "respond", interrupted)
            with pytest.raises(KeyboardInterrupt):
                task.complete("x")
        with pytest.raises(RuntimeError, match="or may be"):
            task.fail("Other")
        task.complete("x")


# --- swf-worker task ----------------------------------------------------------------------------


def command(*arguments, **variables):
    return swf_worker("task", *arguments, **variables)


def test_the_command_line_beats_and_answers(quick_swf, handed_over):
    scheduled, token = handed_over
    there = ["--endpoint-url", quick_swf.endpoint_url]
    beat = command("heartbeat", "--token", token, "--details", "half", *there)
    assert (beat.code, json.loads(beat.out)) == (0, {"cancelRequested": False})
    assert scheduled.heartbeat_details == "half"
    refused = command("cancel", "--token", token, *there)
    assert refused.code == 1
    assert "has not requested this task's cancellation" in refused.err
    done = command("complete", "--result", '{"a": 1}', *there, SWF_WORKER_TOKEN=token)
    assert (done.code, done.out) == (0, "")
    assert scheduled.outcome() == Completed('{"a": 1}'), "text, as it is"
    again = command("fail", "--token", token, "--reason", "R", *there)
    assert again.code == 1
    assert "the task is closed" in again.err.splitlines()[-1]


def test_the_command_line_cancels(quick_swf, handed_over):
    scheduled, token = handed_over
    scheduled.request_cancel()
    done = command(
        "cancel", "--token", token, "--details", "d", "--endpoint-url", quick_swf.endpoint_url
    )
    assert done.code == 0, done.err
    assert scheduled.outcome() == Canceled("d")


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["complete"], 2, "needs --token"),
        (["fail", "--token", "t"], 2, "needs --reason"),
        ([], 2, "ACTION"),
        (["complete", "--token", "t"], 1, "no AWS region"),
        (["complete", "--token", "t", "--region", "us-easy-1"], 1, "did you mean us-east-1"),
        (["complete", "--token", "t", "--region", "us-east-1"], 1, "credentials"),
    ],
)
def test_what_the_command_line_can_not_do_is_one_readable_line(arguments, code, says):
    env = (
        {}
        if "us-easy-1" not in arguments
        else {
            "AWS_ACCESS_KEY_ID": "a",
            "AWS_SECRET_ACCESS_KEY": "b",
        }
    )
    done = command(*arguments, **env)
    assert done.code == code
    assert says in done.err.splitlines()[-1]
