"""The health port of one process: probes, status, scale, and what opens it."""

from __future__ import annotations

import socket
import threading
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, closing

import boto3
import pytest

from swf_worker import ActivityWorker, ConfigurationError, activity, run_workers
from swf_worker.core import pollers, probes
from swf_worker.instrumentation.health import server, watched
from swf_worker.local import Canceled, Completed
from swf_worker.observations import HealthServed, PollFailed, TaskStarted
from swf_worker.runtime.polling import poller
from swf_worker.runtime.tasks.task_run import TaskRun
from swf_worker.service import gateway
from tests.cli.test_run import once
from tests.conftest import eventually, started
from tests.operating.conftest import get, samples
from tests.operating.workers import later, work
from tests.wire import EMPTY_POLL, OK, Wire, fault, hang_up, http, silence, task
from tests.worker.wired import wired


def test_a_worker_is_live_at_once_and_ready_from_its_first_accepted_poll(recorder):
    accept = threading.Event()

    def held(sock):
        accept.wait(10)
        sock.sendall(EMPTY_POLL)

    with Wire(PollForActivityTask=[held, EMPTY_POLL]) as wire:
        worker = wired(wire, recorder, work, health_port=0)
        with worker:
            url = recorder.wait_for(HealthServed)[0].url
            wire.wait_for("PollForActivityTask")
            assert get(url, "/livez") == (200, "ok\n")
            code, why = get(url, "/readyz")
            assert (code, "SWF has not accepted a poll yet" in why) == (503, True)
            accept.set()
            assert eventually(lambda: get(url, "/readyz") == (200, "ok\n"))
    assert_closed(url)


def assert_closed(url):
    host, _, port = url.removeprefix("http://").partition(":")
    with closing(socket.socket()) as sock:
        assert sock.connect_ex((host, int(port))) != 0


def test_it_drains_live_and_not_ready(served, quick_swf):
    with served() as (worker, url):
        waiting = quick_swf.schedule("Work", "1", "wait")
        waiting.wait_for_heartbeats()
        worker.request_stop()
        assert eventually(lambda: get(url, "/status").json["worker"]["state"] == "draining")
        assert get(url, "/livez").status == 200
        assert get(url, "/metrics").status == 200
        code, why = get(url, "/readyz")
        assert (code, "stopping" in why) == (503, True)
        waiting.request_cancel()
        assert waiting.outcome() == Canceled()


@pytest.mark.parametrize("reply", [hang_up, fault("AccessDeniedException")], ids=["gone", "denied"])
def test_swf_that_is_away_is_no_reason_for_a_restart(reply, monkeypatch, recorder):
    monkeypatch.setattr(probes, "NOT_READY_AFTER", 0.3)
    with Wire(PollForActivityTask=[EMPTY_POLL, reply]) as wire:
        worker = wired(wire, recorder, work, health_port=0)
        with worker:
            url = recorder.wait_for(HealthServed)[0].url
            recorder.wait_for(PollFailed, 2)
            assert eventually(lambda: get(url, "/readyz").status == 503)
            assert "SWF has refused, or not answered" in get(url, "/readyz").text
            assert get(url, "/livez") == (200, "ok\n")


def test_with_all_slots_busy_the_heartbeats_tell_whether_swf_is_there(monkeypatch, recorder):
    monkeypatch.setattr(probes, "NOT_READY_AFTER", 0.3)
    is_back = threading.Event()
    accepted, refused = http(200, {"cancelRequested": False}), fault("ThrottlingException")
    with Wire(
        PollForActivityTask=[
            task(activityType={"name": "Work", "version": "1"}, input='"wait"'),
            EMPTY_POLL,
        ],
        RecordActivityTaskHeartbeat=[
            lambda sock: sock.sendall(accepted if is_back.is_set() else refused)
        ],
        RespondActivityTaskCanceled=[http(200)],
        RespondActivityTaskFailed=[http(200)],
    ) as wire:
        worker = wired(
            wire, recorder, work, health_port=0, max_concurrent_activities=1, drain_timeout=0
        )
        with worker:
            url = recorder.wait_for(HealthServed)[0].url
            recorder.wait_for(TaskStarted)
            assert eventually(lambda: get(url, "/readyz").status == 503)
            assert get(url, "/livez").status == 200
            is_back.set()
            assert eventually(lambda: get(url, "/readyz").status == 200)


def hangs_in(session, operation, free):
    """Somebody's hook of botocore that never returns: the attempt can't be cut."""
    session.events.register(f"before-call.swf.{operation}", lambda **_: free.wait(60) and None)


@pytest.fixture
def free():
    """Set at the end, whatever happens."""
    event = threading.Event()
    yield event
    event.set()


def session_of_the_users():
    return boto3.Session(
        aws_access_key_id="key", aws_secret_access_key="secret", region_name="us-east-1"
    )


def test_a_wedged_poll_loop_is_not_live(served, free, monkeypatch):
    monkeypatch.setattr(probes, "WEDGED_AFTER", 0.2)
    monkeypatch.setattr(poller, "POLL_LIMIT", 0.2)
    session = session_of_the_users()
    hangs_in(session, "PollForActivityTask", free)
    with served(session=session) as (_, url):
        assert eventually(lambda: get(url, "/livez").status == 503)
        assert "wedged: process" in (said := get(url, "/livez").text)
        assert "the poll loop has stood still for" in said
        assert get(url, "/status").json["wedged"]
        free.set()


def test_a_wedged_heartbeater_is_not_live(served, free, quick_swf, monkeypatch):
    monkeypatch.setattr(probes, "BEATS_WEDGED_AFTER", 0.3)
    session = session_of_the_users()
    hangs_in(session, "RecordActivityTaskHeartbeat", free)
    with served(session=session) as (_, url):
        waiting = quick_swf.schedule("Work", "1", "wait")
        assert eventually(lambda: get(url, "/livez").status == 503)
        assert "a heartbeat is" in get(url, "/livez").text
        free.set()
        assert eventually(lambda: get(url, "/livez").status == 200), "it goes on"
        waiting.request_cancel()
        assert waiting.outcome() == Canceled()


def test_a_wedged_scheduler_is_not_live(served, free, monkeypatch):
    monkeypatch.setattr(probes, "WEDGED_AFTER", 0.2)
    with served() as (worker, url):
        assert get(url, "/livez").status == 200
        worker._running.engine.parts.timers.call_later(0, lambda: free.wait(60))
        assert eventually(lambda: get(url, "/livez").status == 503)
        assert "the scheduler is" in get(url, "/livez").text
        free.set()
        assert eventually(lambda: get(url, "/livez").status == 200)


def test_full_slots_and_a_handler_that_blocks_the_loop_wedge_nothing(
    served, quick_swf, monkeypatch
):
    monkeypatch.setattr(probes, "WEDGED_AFTER", 0.2)
    monkeypatch.setattr(poller, "POLL_LIMIT", 0.4)
    with served(max_concurrent_activities=1) as (_, url):
        waiting = quick_swf.schedule("Work", "1", "wait")
        waiting.wait_for_heartbeats(count=8)
        assert get(url, "/livez") == (200, "ok\n")
        waiting.request_cancel()
        assert waiting.outcome() == Canceled()


def test_the_status_has_what_runs_and_what_ended_and_no_token(served, quick_swf):
    with served(identity="me", max_concurrent_activities=3) as (_, url):
        assert quick_swf.schedule("Later", "2", 5).outcome() == Completed("5")
        quick_swf.schedule("Work", "1", "fail").outcome()
        waiting = quick_swf.schedule("Work", "1", "wait")
        waiting.wait_for_heartbeats()
        assert eventually(lambda: len(get(url, "/status").json["recent"]) == 2)
        code, text = get(url, "/status")
        status = get(url, "/status").json
        assert code == 200
        waiting.request_cancel()
        waiting.outcome()
    worker = status["worker"]
    assert (worker["state"], worker["domain"], worker["task_list"]) == ("running", "tests", "tasks")
    assert worker["identity"] == "me"
    assert worker["options"]["max_concurrent_activities"] == 3
    assert worker["options"]["drain_timeout"] == 60
    assert status["slots"]["max"] == 3
    assert status["slots"]["used"] == 1
    (running,) = status["running"]
    assert running["activity_type"] == {"name": "Work", "version": "1"}
    assert running["workflow_id"] == waiting.workflow_id
    assert running["activity_id"]
    assert running["run_id"]
    assert running["seconds"] > 0
    assert running["heartbeat"]["details"] == '{"page":7}'
    assert running["heartbeat"]["seconds_ago"] >= 0
    assert running["heartbeat"]["next_in"] < 0.2
    assert running["cancel_reason"] is None
    failed, completed = status["recent"]
    assert (failed["outcome"], failed["reason"]) == ("Failed", "ValueError")
    assert (completed["outcome"], completed["disposition"]) == ("Completed", "accepted")
    assert completed["activity_type"] == {"name": "Later", "version": "2"}
    tokens = [e for e in text.split('"') if len(e) > 60]
    assert not tokens, "a token is a credential"


@pytest.mark.parametrize("how", ["closed", "past its deadline"])
def test_a_handler_that_runs_on_after_its_task_is_shown(served, quick_swf, how):
    go_on = threading.Event()
    deadline = 0.5 if how == "past its deadline" else None

    @activity(name="Deaf", version="1", heartbeat_interval=0.1, deadline=deadline)
    def deaf():
        go_on.wait(30)

    def seen():
        return [(t["phase"], t["cancel_reason"]) for t in get(url, "/status").json["running"]]

    with served(deaf) as (_, url):
        try:
            limit = {} if deadline else {"start_to_close_timeout": 1}
            quick_swf.schedule("Deaf", "1", heartbeat_timeout=1, **limit).outcome()
            wanted = ("running", "timed_out" if deadline else "task_closed")
            assert eventually(lambda: seen() == [wanted]), seen()
            assert get(url, "/status").json["slots"]["used"] == 1
        finally:
            go_on.set()
        assert eventually(lambda: seen() == [])


def test_what_no_json_can_carry_is_shown_all_the_same(recorder):
    odd = task(
        activityId="odd \ud800",
        workflowExecution={"workflowId": "half \udc00", "runId": "r"},
        activityType={"name": "Odd \ud800", "version": "1"},
    )
    seen = threading.Event()

    def held(sock):
        seen.wait(10)
        sock.sendall(OK)

    with Wire(PollForActivityTask=[odd, EMPTY_POLL], RespondActivityTaskFailed=[held]) as wire:
        worker = wired(wire, recorder, work, health_port=0)
        with started(worker):
            url = recorder.wait_for(HealthServed)[0].url
            wire.wait_for("RespondActivityTaskFailed")
            (shown,) = get(url, "/status").json["running"]
            assert shown["workflow_id"] == "half ?"
            assert shown["activity_type"] == {"name": "Odd ?", "version": "1"}
            assert get(url, "/metrics").status == 200
            seen.set()


def test_scale_counts_the_backlog_within_swfs_quota(recorder, monkeypatch):
    from tests.wire import http

    with Wire(
        PollForActivityTask=[EMPTY_POLL],
        CountPendingActivityTasks=[
            http(200, {"count": 12, "truncated": False}),
            fault("ThrottlingException", "Rate exceeded"),
            http(200, {"count": 10_000, "truncated": True}),
        ],
    ) as wire:
        worker = wired(wire, recorder, work, health_port=0, drain_timeout=0)
        with started(worker):
            url = recorder.wait_for(HealthServed)[0].url
            for _ in range(5):
                assert get(url, "/scale").json == {
                    "backlog": 12,
                    "truncated": False,
                    "busy": 0,
                    "slots": 10,
                }
            assert len(wire.named("CountPendingActivityTasks")) == 1, "it is asked 6 times a second"
            assert wire.named("CountPendingActivityTasks")[0] == {
                "domain": "d",
                "taskList": {"name": "t"},
            }
            monkeypatch.setattr(watched, "COUNTED_EACH", 0.0)
            code, told = get(url, "/scale")
            assert code == 503, "no number rather than a wrong one"
            assert "Rate exceeded" in told
            assert get(url, "/scale").json["truncated"] is True


def test_no_probe_and_no_scrape_looks_at_each_task(served, quick_swf, monkeypatch):
    """There may be ten thousand, and probes come every few seconds."""
    with served() as (_, url):
        waiting = quick_swf.schedule("Work", "1", "wait")
        waiting.wait_for_heartbeats()
        monkeypatch.setattr(TaskRun, "status", lambda run: pytest.fail("it was looked at"))
        assert get(url, "/livez").status == 200
        assert get(url, "/readyz").status == 200
        assert get(url, "/scale").json["busy"] == 1
        found = samples(get(url, "/metrics").text)
        assert found["swf_worker_slots_used"] == 1
        assert found["swf_worker_oldest_task_seconds"] > 0
        monkeypatch.undo()
        assert len(get(url, "/status").json["running"]) == 1
        waiting.request_cancel()
        waiting.outcome()


def test_unknown_paths_are_404_and_queries_are_fine(served):
    with served() as (_, url):
        assert get(url, "/nothing").status == 404
        assert get(url, "/status/").status == 404
        assert get(url, "/livez?probe=1").status == 200
        host, _, port = url.removeprefix("http://").partition(":")
        with socket.create_connection((host, int(port)), timeout=5) as odd:
            odd.sendall(b"GET http://[ HTTP/1.1\r\n\r\n")
            assert odd.makefile("rb").readline().split()[1] == b"404"


def test_whoever_sends_nothing_keeps_no_probe_out(served):
    with served() as (_, url):
        host, _, port = url.removeprefix("http://").partition(":")
        with ExitStack() as idle:
            for each in range(server.MOST_AT_ONCE * 3):
                one = idle.enter_context(socket.create_connection((host, int(port))))
                if each % 2:
                    one.sendall(b"GET /livez HTTP/1.1\r\nHost: half")
            for _ in range(3):
                assert get(url, "/livez").status == 200
                assert get(url, "/metrics").status == 200


def test_whoever_waits_for_swf_keeps_no_probe_out(recorder, monkeypatch):
    monkeypatch.setattr(gateway, "COUNT_LIMIT", 1.5)
    with Wire(PollForActivityTask=[EMPTY_POLL], CountPendingActivityTasks=[silence]) as wire:
        worker = wired(wire, recorder, work, health_port=0, drain_timeout=0)
        with started(worker), ThreadPoolExecutor(server.MOST_AT_ONCE * 2) as many:
            url = recorder.wait_for(HealthServed)[0].url
            asked = [many.submit(get, url, "/scale") for _ in range(server.MOST_AT_ONCE * 2)]
            turned_away = next(as_completed(asked)).result()
            assert turned_away.status == 503
            assert "ask again" in turned_away.json["error"]
            assert get(url, "/livez").status == 200
            assert {each.result().status for each in asked} == {503}


def test_a_port_that_is_taken_or_a_host_that_is_not_ours_is_one_line():
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        worker = ActivityWorker(
            domain="tests",
            task_list="tasks",
            activities=[work],
            region_name="us-east-1",
            health_port=port,
        )
        with pytest.raises(
            ConfigurationError, match=rf"127.0.0.1:{port} can't be opened.*--health-port"
        ):
            worker.start()
        code, _, err = once("tests.cli.workers:worker", "--health-port", str(port))
        assert (code, len(err.splitlines())) == (1, 1)
    for host in ("192.0.2.7", "no-such-host.invalid"):
        code, _, err = once("tests.cli.workers:worker", "--health-port", "0", "--health-host", host)
        assert (code, len(err.splitlines())) == (1, 1), err
        assert "must be an address of this host" in err
    code, _, err = once("tests.cli.workers:worker", "--health-port", "70000")
    assert code == 2
    assert "health_port" in err


def test_workers_that_run_together_have_one_port():
    one = ActivityWorker(domain="a", task_list="b", activities=[work], health_port=1234)
    two = ActivityWorker(domain="a", task_list="c", activities=[later], health_port=1235)
    with pytest.raises(ConfigurationError, match="have one health port, but name"):
        run_workers([one, two])


def test_a_start_that_fails_frees_the_port(served, recorder):
    class Fails(ActivityWorker):
        def on_start(self):
            raise RuntimeError("not today")

    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    worker = Fails(
        domain="tests",
        task_list="tasks",
        activities=[work],
        endpoint_url="http://127.0.0.1:9",
        health_port=port,
    )
    with pytest.raises(RuntimeError, match="not today"):
        worker.start()
    socket.create_server(("127.0.0.1", port)).close()


def test_a_long_poll_that_hears_nothing_counts_from_when_an_answer_was_due(monkeypatch, recorder):
    """A black hole behind an open connection: the poll is cut, and SWF was away before that."""
    monkeypatch.setattr("swf_worker.service.gateway.POLL_LIMIT", 0.6)
    monkeypatch.setattr(pollers, "LONG_POLL", 0.2)
    monkeypatch.setattr(probes, "NOT_READY_AFTER", 0.3)
    with Wire(PollForActivityTask=[EMPTY_POLL, silence]) as wire:
        worker = wired(wire, recorder, work, health_port=0, drain_timeout=0)
        with worker:
            url = recorder.wait_for(HealthServed)[0].url
            recorder.wait_for(PollFailed)
            assert get(url, "/readyz").status == 503, "at the first one"
            assert get(url, "/livez").status == 200
