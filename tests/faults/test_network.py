"""The network: what is refused, reset, cut, swallowed or answered by somebody else."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress

import boto3
import pytest

from swf_worker import (
    ActivityContext,
    ConfigurationError,
    MalformedResponseError,
    ServiceUnavailableError,
    activity,
)
from swf_worker.core import heartbeats, pollers
from swf_worker.local import Completed, Fault, FaultKind, TimedOut
from swf_worker.observations import (
    AnswerRetried,
    HeartbeatAccepted,
    HeartbeatFailed,
    PollCut,
    PollFailed,
    PollSucceeded,
    TaskEnded,
)
from swf_worker.runtime import assembly
from swf_worker.runtime.heartbeats import heartbeater
from swf_worker.service import clients, gateway
from tests import proxy
from tests.conftest import eventually, started
from tests.faults.conftest import wired
from tests.wire import EMPTY_POLL, OK, Wire, http, silence, task

POLL, BEAT = "PollForActivityTask", "RecordActivityTaskHeartbeat"
RESPOND = "RespondActivityTaskCompleted"
BROKEN = [FaultKind.HTML, FaultKind.EMPTY, FaultKind.TRUNCATED]
NO_OBJECT = [FaultKind.A_LIST, FaultKind.NULL, FaultKind.BAD_UTF8]


def beating(until):
    """An activity that beats until that call returns."""

    @activity(name="Beats", version="1", heartbeat_interval=0.1)
    def beats() -> str:
        until()
        return "done"

    return beats


def test_refused_connections_are_waited_out(stage, recorder, log):
    with stage(proxied=True) as s:
        assert s.schedule().outcome() == Completed('"done"')
        s.proxy.down()
        recorder.wait_for(PollFailed, 3)
        assert s.worker.error is None
        before = len(recorder.of(PollSucceeded))
        s.proxy.up()
        # Polls again by itself. (SWF may give a task to the polls that were cut; those end first.)
        recorder.wait_for(PollSucceeded, before + 2)
        assert s.schedule().outcome() == Completed('"done"')
    assert isinstance(recorder.of(PollFailed)[-1].error, ServiceUnavailableError)
    assert log.says("warning", "poll failed", "Could not connect")


def test_a_name_that_does_not_resolve_is_waited_out(recorder, log):
    unknown = "http://swf.nowhere.invalid"
    session = boto3.Session("id", "secret")
    worker = wired(unknown, recorder, session=session, region_name="us-east-1")
    with worker:
        recorder.wait_for(PollFailed, 3)
        assert worker.error is None
    assert log.says("warning", "poll failed", "swf.nowhere.invalid")


@pytest.mark.parametrize("behaviour", [proxy.resets, proxy.half_closes])
def test_a_poll_that_is_cut_counts_a_possibly_lost_task(stage, recorder, behaviour, log):
    with stage(proxied=True, start=False) as s:
        s.proxy.behaviour = behaviour
        with s.worker:
            recorder.wait_for(PollFailed, 2)
            s.proxy.behaviour = proxy.healthy
            assert s.schedule().outcome() == Completed('"done"')
    assert all(record.task_may_be_lost for record in recorder.of(PollFailed))
    assert log.says("warning", "poll failed", "task_may_be_lost': True")


def test_a_silent_poll_is_one_request_and_one_timeout(recorder, monkeypatch, log):
    monkeypatch.setattr(clients, "POLL_READ_TIMEOUT", 1)

    with Wire(**{POLL: [silence, EMPTY_POLL]}) as service:
        worker = wired(service.url, recorder)
        with worker:
            began = time.monotonic()
            recorder.wait_for(PollFailed)
            assert time.monotonic() - began > 0.8
            assert len(service.named(POLL)) == 1, "no hidden retry"
            recorder.wait_for(PollSucceeded)
    assert len(recorder.of(PollFailed)) == 1
    assert log.says("warning", "poll failed", "Read timeout")


def test_a_poll_cut_at_its_length_is_an_empty_poll(stage, recorder, monkeypatch, log):
    """A load balancer ends idle connections at 60 s: no backoff, no possibly lost task."""
    monkeypatch.setattr(pollers, "IDLE_CUT", (0.3, 20))

    def balancer(connection: proxy.Connection) -> None:
        connection.client.recv(65_536)
        connection.ended.wait(0.5)

    with stage(proxied=True, start=False) as s:
        s.proxy.behaviour = balancer
        with s.worker:
            recorder.wait_for(PollCut, 2)
            s.proxy.behaviour = proxy.healthy
            assert s.schedule().outcome() == Completed('"done"')
    assert not recorder.of(PollFailed)
    assert log.says("info", "poll cut at the length of a long poll")


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_answer_to_a_poll_is_malformed(stage, recorder, kind, log):
    with stage(faults=[Fault(POLL, kind, calls=range(1, 6))]) as s:
        recorder.wait_for(PollFailed, 5)
        assert s.schedule().outcome() == Completed('"done"')
    failed = recorder.of(PollFailed)
    assert all(isinstance(record.error, MalformedResponseError) for record in failed)
    assert all(record.retry_in > 0 for record in failed), "no hot loop"
    assert len(failed) == 5
    assert log.says("error", "poll failed", "HTTP 200")


def accepted_at_last(stage, recorder, kind):
    """The same on a beat and on a Respond: not accepted, retried."""
    faults = [Fault(BEAT, kind, calls=[1, 2]), Fault(RESPOND, kind, calls=[1, 2])]
    beats = beating(lambda: recorder.wait_for(HeartbeatAccepted))
    with stage(beats, faults=faults) as s:
        assert s.schedule("Beats", heartbeat_timeout=5).outcome() == Completed('"done"')
        ended = recorder.wait_for(TaskEnded)[0]
        # TRUNCATED was carried out: then the task is closed, and the answer presumed accepted.
        assert ended.disposition in ("accepted", "presumed_accepted")
        assert s.swf.calls[RESPOND] >= 2
    assert recorder.of(AnswerRetried)
    assert len(recorder.of(HeartbeatFailed)) >= 2
    assert recorder.of(HeartbeatAccepted)


@pytest.mark.parametrize("kind", [FaultKind.HTML, FaultKind.EMPTY])
def test_a_broken_answer_to_a_beat_or_a_respond_is_not_accepted(stage, recorder, kind, log):
    accepted_at_last(stage, recorder, kind)
    assert log.says("warning", "answer not accepted yet")
    assert log.says("warning", "heartbeat failed")


@pytest.mark.parametrize("kind", NO_OBJECT)
def test_no_exception_type_gets_through_a_loop(stage, recorder, kind):
    accepted_at_last(stage, recorder, kind)


@pytest.mark.parametrize("kind", NO_OBJECT)
def test_of_a_poll(stage, recorder, kind):
    with stage(faults=[Fault(POLL, kind, calls=[1, 2])]) as s:
        assert s.schedule().outcome() == Completed('"done"')
    assert len(recorder.of(PollFailed)) == 2


def test_a_dead_keep_alive_connection_costs_nothing(stage, recorder):
    with stage(proxied=True) as s:
        for _ in range(3):
            assert s.schedule().outcome() == Completed('"done"')
            polls = len(recorder.of(PollSucceeded))
            recorder.wait_for(PollSucceeded, polls + 1)
    assert s.proxy.accepted < len(recorder.of(PollSucceeded)) * 2, "connections are kept"

    def once(sock: socket.socket) -> None:
        sock.sendall(EMPTY_POLL)
        sock.shutdown(socket.SHUT_RDWR)  # dead, and the client's pool doesn't know

    recorder.records.clear()
    replies = [once, once, once, task(), EMPTY_POLL]
    with Wire(**{POLL: replies, RESPOND: [OK]}) as service:
        worker = wired(service.url, recorder)
        with worker:
            assert recorder.wait_for(TaskEnded)[0].disposition == "accepted"
    assert not recorder.of(PollFailed), "retried at once on a fresh one"


def test_an_answer_that_trickles_ends_at_the_polls_limit(stage, recorder, monkeypatch):
    monkeypatch.setattr(gateway, "POLL_LIMIT", 1.0)
    with stage(proxied=True, start=False) as s:
        s.proxy.behaviour = proxy.trickles(0.2)
        with s.worker:
            began = time.monotonic()
            recorder.wait_for(PollFailed)
            assert time.monotonic() - began < 3
            s.proxy.become(proxy.healthy)
            assert s.schedule().outcome() == Completed('"done"')
    assert "no whole answer within 1 s" in str(recorder.of(PollFailed)[0].error)


@pytest.mark.parametrize("kind", [FaultKind.PROXY_DENIED, FaultKind.PROXY_BAD_GATEWAY])
def test_a_proxys_refusal_is_the_network_and_no_permission(stage, recorder, kind, log):
    with stage(faults=[Fault("*", kind, calls=[1, 2, 3])]) as s:
        assert s.schedule().outcome() == Completed('"done"')
        assert s.worker.error is None
        recorder.wait_for(TaskEnded)
    assert all(isinstance(r.error, ServiceUnavailableError) for r in recorder.of(PollFailed))
    assert recorder.of(AnswerRetried)
    assert log.says("warning", "not from AWS")


def test_a_tls_error_is_a_configuration_error_that_names_it(recorder):
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def speak_no_tls() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection:
                        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")

        thread = threading.Thread(target=speak_no_tls)
        thread.start()
        worker = wired(f"https://127.0.0.1:{listener.getsockname()[1]}", recorder)
        with started(worker), pytest.raises(ConfigurationError, match="TLS failed.*AWS_CA_BUNDLE"):
            worker.wait(20)
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_trickling_beats_and_answers_end_at_their_limits(stage, recorder, monkeypatch):
    """30 s, a beat's and an answer's; here 0.5 and 1. What goes out beside a beat trickles, too."""
    monkeypatch.setattr(gateway, "ANSWER_LIMIT", 1.0)
    monkeypatch.setattr(heartbeater, "LONGEST_ATTEMPT", 0.5)
    beats = beating(lambda: recorder.wait_for(HeartbeatFailed, 3))
    with stage(beats, proxied=True, poll_hold=0.2) as s:
        scheduled = s.schedule("Beats", heartbeat_timeout=30)
        scheduled.wait_for_heartbeats()
        s.proxy.become(proxy.trickles(0.1))
        recorder.wait_for(HeartbeatFailed, 3)
        recorder.wait_for(AnswerRetried, 2)
        s.proxy.become(proxy.healthy)
        assert scheduled.outcome() == Completed('"done"')
        recorder.wait_for(TaskEnded)
    # (The first ones may be the connections that were cut for it.)
    assert any("within 0." in str(record.error) for record in recorder.of(HeartbeatFailed))
    assert any("within 1 s" in str(record.error) for record in recorder.of(AnswerRetried))


def test_a_third_of_all_heartbeats_throttled_and_no_task_times_out(stage, recorder):
    @activity(name="Long", version="1", heartbeat_timeout=2)
    def long() -> str:
        time.sleep(4)
        return "done"

    faults = [Fault(BEAT, FaultKind.THROTTLED, share=0.3)]
    with stage(long, faults=faults, max_concurrent_activities=8) as s:
        scheduled = [s.schedule("Long", heartbeat_timeout=2) for _ in range(6)]
        outcomes = [each.outcome() for each in scheduled]
        assert s.swf.injected[FaultKind.THROTTLED] > 0
    assert outcomes == [Completed('"done"')] * 6
    assert not any(isinstance(outcome, TimedOut) for outcome in outcomes)


@pytest.mark.parametrize(
    "behaviour",
    [
        pytest.param(proxy.black_hole, id="black hole"),
        pytest.param(proxy.cuts_at(40), id="cut at 40 bytes"),
        pytest.param(proxy.cuts_at(200), id="cut at 200 bytes"),
        pytest.param(proxy.loses_the_answer, id="answer lost"),
        pytest.param(proxy.slow(0.3), id="latency"),
        pytest.param(proxy.trickles(0.05), id="trickle"),
    ],
)
def test_an_answer_survives_every_bad_network(stage, recorder, monkeypatch, behaviour):
    monkeypatch.setattr(gateway, "ANSWER_LIMIT", 1.0)
    bad = threading.Event()
    with stage(beating(lambda: bad.wait(20)), proxied=True) as s:
        scheduled = s.schedule("Beats", heartbeat_timeout=30)
        scheduled.wait_for_heartbeats()
        s.proxy.become(behaviour)
        bad.set()
        assert eventually(lambda: recorder.of(AnswerRetried) or recorder.of(TaskEnded), 20)
        s.proxy.become(proxy.healthy)
        assert scheduled.outcome() == Completed('"done"')
        ended = recorder.wait_for(TaskEnded)[0]
    assert ended.disposition in ("accepted", "presumed_accepted")
    answered = [name for name in s.swf.calls if name.startswith("Respond")]
    assert answered == [RESPOND], "never a different answer"


def given(name: str, number: int = 1) -> bytes:
    kind = {"name": name, "version": "1"}
    return task(f"token-{number}", activityType=kind, input=None)


@pytest.mark.parametrize(
    ("interval", "takes"),
    [pytest.param(1.2, 0.7, id="within its interval"), pytest.param(0.3, 0.9, id="longer")],
)
def test_a_beat_that_is_answered_late_is_heard_all_the_same(recorder, monkeypatch, interval, takes):
    """A service or a proxy that takes 6 s, where an attempt has 5 for itself; here 0.4. SWF has
    each beat, and one answer asks for the cancellation."""
    monkeypatch.setattr(heartbeats, "ATTEMPT_LIMIT", 0.4)

    @activity(name="Late", version="1", heartbeat_interval=interval)
    def late(context: ActivityContext) -> bool:
        return context.wait_for_stop(20)

    def after_a_while(sock: socket.socket) -> None:
        time.sleep(takes)  # the slowness itself
        with suppress(OSError):
            sock.sendall(http(200, {"cancelRequested": True}))

    with (
        Wire(
            PollForActivityTask=[given("Late"), EMPTY_POLL],
            RecordActivityTaskHeartbeat=[after_a_while],
            RespondActivityTaskCompleted=[OK],
        ) as service,
        wired(service.url, recorder, late),
    ):
        (answer,) = service.wait_for("RespondActivityTaskCompleted")
    assert answer["result"] == "true"
    assert recorder.of(HeartbeatFailed) == [], "none was cut"


def test_beside_a_beat_that_hangs_another_goes_out_and_is_heard(recorder, monkeypatch):
    monkeypatch.setattr(heartbeats, "ATTEMPT_LIMIT", 0.3)
    yes = http(200, {"cancelRequested": True})

    @activity(name="Hangs", version="1", heartbeat_interval=5, heartbeat_deadline=15)
    def hangs(context: ActivityContext) -> bool:
        context.heartbeat()
        began = time.monotonic()
        assert context.wait_for_stop(20)
        return time.monotonic() - began < 4.5

    with (
        Wire(
            PollForActivityTask=[given("Hangs"), EMPTY_POLL],
            RecordActivityTaskHeartbeat=[silence, yes],
            RespondActivityTaskCompleted=[OK],
        ) as service,
        wired(service.url, recorder, hangs),
    ):
        (answer,) = service.wait_for("RespondActivityTaskCompleted")
    assert answer["result"] == "true", "an interval would be 5 s"
    assert recorder.of(HeartbeatFailed) == [], "of two, the first to be heard counts"


@pytest.mark.parametrize("senders", [1, 2])
def test_a_beat_that_hangs_gives_its_sender_to_one_that_waits(recorder, monkeypatch, senders):
    """Also where a second one hangs beside it."""
    monkeypatch.setattr(heartbeats, "ATTEMPT_LIMIT", 0.3)
    monkeypatch.setattr(assembly, "SENDERS", senders)
    no = http(200, {"cancelRequested": False})
    beaten = threading.Event()

    @activity(name="Hangs", version="1", heartbeat_interval=5)
    def hangs(context: ActivityContext) -> None:
        context.heartbeat()
        beaten.wait(20)

    @activity(name="Waits", version="1", heartbeat_interval=0.2)
    def waits(context: ActivityContext) -> None:
        beaten.wait(20)

    def last(sock: socket.socket) -> None:
        sock.sendall(no)
        beaten.set()

    with (
        Wire(
            PollForActivityTask=[given("Hangs"), given("Waits", 2), EMPTY_POLL],
            RecordActivityTaskHeartbeat=[
                *([silence] if senders == 1 else [silence, no, silence]),
                *(no, no, last),
            ],
            RespondActivityTaskCompleted=[OK],
        ) as service,
        wired(service.url, recorder, hangs, waits),
    ):
        began = time.monotonic()
        assert beaten.wait(20)
        assert time.monotonic() - began < 15, "30 s are the longest that one may take"
        service.wait_for("RespondActivityTaskCompleted", 2)
