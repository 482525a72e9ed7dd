"""A host of several addresses, some of them dead, and look-ups that hang."""

from __future__ import annotations

import os
import socket
import threading
import time
from contextlib import contextmanager

import pytest

from swf_worker import ActivityWorker, activity
from swf_worker.observations import HeartbeatFailed, PollFailed, TaskEnded
from swf_worker.service import addresses
from swf_worker.service.addresses import NAMES, Names, connect
from tests.service.conftest import dead, hanging_up
from tests.wire import EMPTY_POLL, OK, Wire, http, task


@pytest.fixture(autouse=True)
def forgotten():
    NAMES.forget()
    yield
    NAMES.forget()


@contextmanager
def listening(host="127.0.0.1", port=0):
    with socket.create_server((host, port)) as listener:
        yield listener.getsockname()[1]


def peer(key, timeout=3.0):
    began = time.monotonic()
    sock, _ = connect(key, timeout)
    with sock:
        assert sock.gettimeout() == timeout
        return sock.getpeername()[0], time.monotonic() - began


def test_a_dead_first_address_costs_little_and_the_good_one_is_remembered(dns):
    dns["swf.test"] = ["127.0.0.2", "127.0.0.1"]
    with listening() as port, dead("127.0.0.2", port):
        host, first = peer(("swf.test", port))
        assert host == "127.0.0.1"
        assert first < 1.5
        host, second = peer(("swf.test", port))
    assert host == "127.0.0.1"
    assert second < addresses.BESIDE
    assert dns["asked"] == ["swf.test"], "it is fresh"


def test_one_that_refuses_costs_nothing(dns):
    dns["swf.test"] = ["127.0.0.2", "127.0.0.1"]
    with listening() as port:
        host, seconds = peer(("swf.test", port))
    assert host == "127.0.0.1"
    assert seconds < addresses.BESIDE


def test_where_all_are_dead_it_ends_in_time_and_where_all_refuse_at_once(dns):
    dns["swf.test"] = ["127.0.0.2", "127.0.0.3"]
    with listening() as port:
        with pytest.raises(ConnectionRefusedError):
            connect(("swf.test", port), 5)
        with dead("127.0.0.2", port), dead("127.0.0.3", port):
            began = time.monotonic()
            with pytest.raises(TimeoutError):
                connect(("swf.test", port), 0.7)
    assert 0.6 < time.monotonic() - began < 2


def test_a_number_is_not_looked_up(dns):
    with listening() as port:
        assert peer(("127.0.0.1", port))[0] == "127.0.0.1"
    assert not dns["asked"]


@pytest.mark.parametrize("odd", ["hangs", "fails"])
def test_what_was_found_before_serves_where_a_look_up_hangs_or_fails(dns, monkeypatch, odd):
    monkeypatch.setattr(addresses, "FRESH", 0.0)
    monkeypatch.setattr(addresses, "PATIENCE", 0.3)
    go_on = threading.Event()
    dns["swf.test"] = ["127.0.0.1"]
    with listening() as port:
        peer(("swf.test", port))
        if odd == "hangs":
            dns["swf.test"] = lambda: go_on.wait(30) and ["127.0.0.1"]
        else:
            dns["swf.test"] = socket.gaierror(socket.EAI_AGAIN, "temporary failure")
        for _ in range(3):
            assert peer(("swf.test", port))[1] < 2
        assert len(dns["asked"]) == (2 if odd == "hangs" else 4), "one that hangs is not repeated"
        go_on.set()


def test_a_first_look_up_that_hangs_is_waited_for_as_long_as_a_connection_is(dns):
    go_on = threading.Event()
    dns["swf.test"] = lambda: go_on.wait(30) and ["127.0.0.1"]
    with listening() as port:
        with pytest.raises(TimeoutError, match="swf.test"):
            connect(("swf.test", port), 0.3)
        go_on.set()
        assert peer(("swf.test", port))[0] == "127.0.0.1", "its answer serves the next"
    assert dns["asked"] == ["swf.test"]


def test_one_that_is_stuck_is_given_up_for_another(dns, monkeypatch):
    monkeypatch.setattr(addresses, "STUCK", 0.0)
    go_on, found = threading.Event(), []
    dns["swf.test"] = lambda: found or (go_on.wait(30) and [])
    with listening() as port:
        for _ in range(6):
            with pytest.raises(TimeoutError):
                connect(("swf.test", port), 0.05)
        assert len(dns["asked"]) == addresses.MOST_LOOKUPS, "a bounded few"
        go_on.set()
        found.append("127.0.0.1")
        for _ in range(3):
            try:
                assert peer(("swf.test", port))[0] == "127.0.0.1"
                break
            except OSError:
                continue


def test_a_name_that_is_none_says_so(dns):
    dns["swf.test"] = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    with pytest.raises(socket.gaierror):
        connect(("swf.test", 1), 1)
    with pytest.raises(OSError):
        connect(("x" * 70 + ".test", 1), 1)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_begins_anew(dns):
    go_on = threading.Event()
    dns["swf.test"] = lambda: go_on.wait(30) and ["127.0.0.1"]
    names = Names()
    with pytest.raises(TimeoutError):
        NAMES.addresses(("swf.test", 1), 0.05)
    child = os.fork()
    if not child:
        dns["swf.test"] = ["127.0.0.1"]
        os._exit(0 if NAMES.addresses(("swf.test", 1), 5) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    go_on.set()
    assert names.addresses(("127.0.0.1", 1), 1)


# --- a worker -----------------------------------------------------------------------------------


def closing(reply):
    """It closes the connection behind its answer: the next call needs another."""

    def answer(sock):
        sock.sendall(reply)
        sock.shutdown(socket.SHUT_RDWR)

    return answer


@pytest.fixture
def run(monkeypatch, recorder):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("NO_PROXY", "*")
    beat = http(200, {"cancelRequested": False})
    given = task(activityType={"name": "Work", "version": "1"}, input=None)
    with Wire(
        PollForActivityTask=[given, EMPTY_POLL],
        RecordActivityTaskHeartbeat=[closing(beat)],
        RespondActivityTaskCompleted=[OK],
    ) as service:
        port = int(service.url.rpartition(":")[2])
        beaten = threading.Event()

        @activity(name="Work", version="1", heartbeat_interval=0.5)
        def work() -> bool:
            return beaten.wait(20)

        def make():
            return ActivityWorker(
                domain="d",
                task_list="t",
                region_name="us-east-1",
                activities=[work],
                endpoint_url=f"http://swf.test:{port}",
                observers=[recorder],
            )

        yield make, port, service, beaten
        beaten.set()


def test_a_dead_first_address_ends_no_task(dns, run, recorder):
    """urllib3#2055."""
    make, port, service, beaten = run
    dns["swf.test"] = ["127.0.0.2", "127.0.0.1"]
    with dead("127.0.0.2", port), make():
        service.wait_for("RecordActivityTaskHeartbeat", 2)
        beaten.set()
        assert recorder.wait_for(TaskEnded)[0].disposition == "accepted"
    assert not recorder.of(HeartbeatFailed)
    assert not recorder.of(PollFailed)


def test_an_address_that_accepts_and_answers_nothing_is_left_for_another(dns, run, recorder):
    make, port, service, beaten = run
    dns["swf.test"] = ["127.0.0.2", "127.0.0.1"]
    with hanging_up("127.0.0.2", port), make():
        service.wait_for("RecordActivityTaskHeartbeat")
        beaten.set()
        assert recorder.wait_for(TaskEnded)[0].disposition == "accepted"
    assert recorder.of(PollFailed)


def test_a_look_up_that_somebody_has_patched_and_broken_is_over_when_it_is_mended(dns):
    def breaks():
        raise RuntimeError("broken")

    dns["swf.test"] = breaks
    with listening() as port:
        for _ in range(6):
            with pytest.raises(OSError, match="RuntimeError: broken"):
                connect(("swf.test", port), 1)
        dns["swf.test"] = ["127.0.0.1"]
        assert peer(("swf.test", port))[0] == "127.0.0.1"


def test_a_look_up_that_hangs_ends_no_task(dns, run, recorder, monkeypatch):
    make, _, service, beaten = run
    monkeypatch.setattr(addresses, "FRESH", 0.0)
    monkeypatch.setattr(addresses, "PATIENCE", 0.1)
    go_on = threading.Event()
    dns["swf.test"] = ["127.0.0.1"]
    with make() as worker:
        service.wait_for("RecordActivityTaskHeartbeat")
        dns["swf.test"] = lambda: go_on.wait(30) and ["127.0.0.1"]
        service.wait_for("RecordActivityTaskHeartbeat", 3)
        beaten.set()
        assert recorder.wait_for(TaskEnded)[0].disposition == "accepted"
        began = time.monotonic()
        worker.stop()
        assert time.monotonic() - began < 5
    assert not recorder.of(HeartbeatFailed)
    go_on.set()
