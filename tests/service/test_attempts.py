"""Limits of attempts, connections that are kept, and how clients are set."""

from __future__ import annotations

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import boto3
import pytest
from botocore.config import Config

from swf_worker import errors
from swf_worker.service import answers, direct, gateway
from swf_worker.service.credentials import CredentialsRefresher, NoCredentialsError
from tests import wire
from tests.service.gateway import respond
from tests.wire import OK, Wire, http


@pytest.mark.parametrize("part", ["head", "body"])
def test_an_answer_that_trickles_is_cut_at_the_attempts_limit(connect, part):
    """botocore's read timeout starts anew with every byte."""
    answer = http(200, {"cancelRequested": True})
    slow = answer if part == "head" else answer[-10:]

    def reply(sock):
        sock.sendall(answer[: len(answer) - len(slow)])
        wire.trickle(slow, 0.5)(sock)  # for five seconds at least

    with Wire(RecordActivityTaskHeartbeat=[reply]) as service:
        client = connect(service.url)
        began = time.monotonic()
        with pytest.raises(errors.ServiceUnavailableError, match=r"within 0\.4 s") as caught:
            client.heartbeat("token", None, 0.4)
        assert time.monotonic() - began < 3
        assert caught.value.ambiguous


def test_closing_cuts_what_is_under_way(connect, timers):
    with Wire(RecordActivityTaskHeartbeat=[wire.silence]) as service:
        client = connect(service.url)
        timers.call_later(0.2, client.close)
        began = time.monotonic()
        with pytest.raises(errors.ServiceUnavailableError):
            client.heartbeat("token", None, 8)
        assert time.monotonic() - began < 5


@pytest.mark.parametrize("body", [b"", b"{}"])
def test_an_answer_that_promised_more_than_it_has_was_accepted(connect, body):
    """As botocore sees it: SWF has said 200, and nothing is sent again."""
    short = http(200, body).replace(b"Content-Length: ", b"Content-Length: 1")

    def reply(sock):
        sock.sendall(short)
        wire.hang_up(sock)

    with Wire(RespondActivityTaskCompleted=[reply]) as service:
        respond(connect(service.url))
        assert len(service.calls) == 1


@pytest.mark.parametrize("path", ["", "/", "/swf", "/swf/", "//", "?x=1"])
def test_the_limit_of_an_attempt_holds_whatever_the_endpoints_address_looks_like(connect, path):
    with Wire(RecordActivityTaskHeartbeat=[wire.silence]) as service:
        client = connect(service.url + path)
        began = time.monotonic()
        with pytest.raises(errors.ServiceUnavailableError, match=r"within 0\.3 s"):
            client.heartbeat("token", None, 0.3)
        assert time.monotonic() - began < 4  # it would be silent for 10
        assert service.calls


@pytest.mark.parametrize("either", ["direct"], indirect=True)
def test_the_limit_of_one_attempt_cuts_no_other(connect, monkeypatch):
    """The connection goes back to its pool before the answer is read. (botocore tells nobody when
    it has read one.)"""
    cut = []

    def read_slowly(*args):
        attempts = list(client._attempts._running)
        assert len(attempts) == 1
        attempts[0].cut()
        cut.append(True)
        return answers.read(*args)

    with Wire(RecordActivityTaskHeartbeat=[http(200, {"cancelRequested": False})]) as service:
        client = connect(service.url)
        client.heartbeat("token", None, 5)
        with monkeypatch.context() as patched:
            patched.setattr(direct, "read", read_slowly)
            client.heartbeat("token", None, 5)
        assert cut
        client.heartbeat("token", None, 5)
        assert len(service._connections) == 1, "nobody's connection was cut"


@pytest.mark.parametrize("either", ["direct"], indirect=True)
def test_a_call_that_meets_a_closing_of_the_kept_connections_goes_out(connect):
    with Wire(RespondActivityTaskCompleted=[OK]) as service:
        client = connect(service.url)
        calls = client._clients.answers
        pool = calls._pool

        def closes_first(*args, **kinds):
            calls.close()  # another thread, just now
            return type(pool).urlopen(pool, *args, **kinds)

        pool.urlopen = closes_first
        respond(client)
        assert len(service.calls) == 1


def test_an_attempt_cut_while_it_waits_for_credentials_says_so(connect, monkeypatch):
    def none_yet(*_):
        time.sleep(0.5)
        raise NoCredentialsError("none yet", passes=True)

    monkeypatch.setattr(CredentialsRefresher, "get_frozen_credentials", none_yet)
    with Wire(RecordActivityTaskHeartbeat=[OK]) as service:
        with pytest.raises(errors.CredentialsError) as caught:
            connect(service.url).heartbeat("token", None, 0.2)
        assert caught.value.code == "Credentials"
        assert caught.value.may_pass
        assert not caught.value.ambiguous
        assert service.calls == []


def test_a_dead_keep_alive_connection_costs_one_attempt_at_most(connect):
    """urllib3 sees that the peer has closed, and opens a fresh one."""

    def answer_and_close(sock):
        sock.sendall(OK)

    with Wire(RespondActivityTaskCompleted=[answer_and_close, OK]) as service:
        client = connect(service.url)
        respond(client)
        time.sleep(0.05)  # let the close arrive: nothing tells when
        respond(client)


def test_a_reused_connection_is_cut_as_well(connect):
    with Wire(
        RecordActivityTaskHeartbeat=[http(200, {"cancelRequested": False}), wire.silence]
    ) as s:
        client = connect(s.url)
        client.heartbeat("token", None, 2)
        began = time.monotonic()
        with pytest.raises(errors.ServiceUnavailableError):
            client.heartbeat("token", None, 0.3)
        assert time.monotonic() - began < 4


def timeouts(calls, either):
    """Connect and read, in seconds, and how many connections are kept."""
    if either == "boto3":
        config = calls._client.meta.config
        assert config.retries["total_max_attempts"] == 1
        return config.connect_timeout, config.read_timeout, config.max_pool_connections
    pool = calls._pool
    return pool.timeout.connect_timeout, pool.timeout._read, pool.pool.maxsize


def test_calls_are_set_as_the_long_poll_needs(connect, either):
    service = connect(
        "http://127.0.0.1:1",
        max_concurrent_activities=30,
        max_concurrent_polls=7,
        client_config=Config(read_timeout=1, connect_timeout=1, max_pool_connections=1),
    )
    clients = service._clients
    assert timeouts(clients.polls, either) == (5, 70, 9)
    assert timeouts(clients.beats, either) == (5, 30, 4)
    assert timeouts(clients.answers, either) == (5, 30, 34)


def test_the_user_agent_is_boto3s_own(connect):
    """It is set once because boto3 builds it anew for each call; its tokens must stay."""
    config = Config(user_agent_extra="mine/1", user_agent_appid="app")
    with Wire(RespondActivityTaskCompleted=[OK]) as wired:
        plain = boto3.Session(
            aws_access_key_id="x", aws_secret_access_key="y", region_name="us-east-1"
        ).client("swf", endpoint_url=wired.url, config=config)
        plain.respond_activity_task_completed(taskToken="t")
        respond(connect(wired.url, client_config=config))
        plain.close()
        theirs, ours = (request.headers["user-agent"] for request in wired.requests)
    assert ours.count("mine/1") == 1
    assert ours.count("app/app") == 1
    assert ours.split()[:2] == theirs.split()[:2]
    assert "Boto3/" in ours


class Keeping:
    """A service whose connections may all die in silence: only new ones are answered then."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.generation = 0
        self.connections = []
        self.meet = [threading.Barrier(10), threading.Barrier(3)]
        self.threads = []
        self._start(self._accept)

    def _start(self, target, *args):
        self.threads.append(threading.Thread(target=target, args=args))
        self.threads[-1].start()

    def _accept(self):
        with suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                self.connections.append(connection)
                self._start(self._serve, connection, self.generation)

    def _serve(self, connection, generation):
        with suppress(OSError, threading.BrokenBarrierError):
            while data := connection.recv(65536):
                if generation == self.generation and b'{"' in data:
                    self.meet[generation].wait(10)  # as many connections as calls
                    connection.sendall(OK)

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for connection in self.connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
        for thread in self.threads:
            thread.join()


def test_of_kept_connections_that_died_in_silence_one_attempt_is_lost(connect, monkeypatch):
    monkeypatch.setattr(gateway, "ANSWER_LIMIT", 1.0)
    keeping = Keeping()
    try:
        service = connect(keeping.url, max_concurrent_activities=10)
        with ThreadPoolExecutor(10) as pool:
            for each in [pool.submit(respond, service) for _ in range(10)]:
                each.result()
            assert len(keeping.connections) == 10
            keeping.generation += 1
            with pytest.raises(errors.ServiceUnavailableError):
                respond(service)
            for each in [pool.submit(respond, service) for _ in range(3)]:
                each.result()  # at the same time
    finally:
        keeping.close()
