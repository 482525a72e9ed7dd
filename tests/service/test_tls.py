"""TLS on both ways of a call: whose certificates are believed."""

from __future__ import annotations

import ssl
import threading
import time
from contextlib import contextmanager, suppress
from socket import create_connection, create_server

import boto3
import pytest

from swf_worker import errors
from swf_worker.options import Options
from swf_worker.outcome import Completed
from swf_worker.service import connections
from swf_worker.service.clients import build_client
from swf_worker.service.gateway import TokenCalls
from tests.service.conftest import dead, hanging_up
from tests.tls import MAY_BE_RESET, make_certificate
from tests.wire import OK

pytestmark = MAY_BE_RESET


@pytest.fixture(autouse=True)
def no_certificates_of_this_machine(monkeypatch):
    for name in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """For 127.0.0.1 and swf.test, signed by itself."""
    return make_certificate(tmp_path_factory.mktemp("tls"))


@contextmanager
def tls_service(folder, slow=0.0):
    """Answers OK to whatever comes, over TLS; each handshake takes so many seconds."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    taken = []

    def serve():
        while True:
            plain, _ = listener.accept()
            with plain, suppress(OSError):  # refused certificates end it
                if closing.is_set():
                    return
                plain.settimeout(5)
                if closing.wait(slow):
                    return
                with context.wrap_socket(plain, server_side=True) as connection:
                    while connection.recv(65_536):
                        taken.append(1)
                        connection.sendall(OK)

    closing = threading.Event()
    with create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        port = listener.getsockname()[1]
        try:
            yield f"https://127.0.0.1:{port}", port, taken
        finally:
            closing.set()
            create_connection(("127.0.0.1", port)).close()
            thread.join(10)


def answer(url, timers, **reach):
    reach = Options(
        domain="d", task_list="t", endpoint_url=url, **{"region_name": "us-east-1"} | reach
    )
    client, _ = build_client(reach)
    calls = TokenCalls(client, client, timers)
    try:
        calls.respond("token", Completed("r"))
    finally:
        calls.close()


def test_a_service_with_an_unknown_certificate_is_told_nothing(certificate, timers, either):
    with tls_service(certificate) as (url, _, taken):
        with pytest.raises(errors.ServiceUnavailableError, match="SSL"):
            answer(url, timers)
        assert not taken


def test_a_bundle_of_certificates_is_believed(certificate, timers, either, monkeypatch):
    monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate / "cert.pem"))
    with tls_service(certificate) as (url, _, taken):
        answer(url, timers)
        assert taken


def test_a_profiles_bundle_is_believed(certificate, timers, either, monkeypatch):
    config = certificate / "config"
    config.write_text(f"[default]\nca_bundle = {certificate / 'cert.pem'}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    with tls_service(certificate) as (url, _, taken):
        answer(url, timers)
        assert taken


def test_the_bundle_of_a_session_of_the_users_own_is_believed(
    certificate, timers, either, monkeypatch
):
    config = certificate / "own"
    config.write_text(
        f"[profile own]\nca_bundle = {certificate / 'cert.pem'}\nregion = eu-west-1\n"
        "aws_access_key_id = x\naws_secret_access_key = y\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    with tls_service(certificate) as (url, _, taken):
        answer(url, timers, session=boto3.Session(profile_name="own"), region_name=None)
        assert taken


def test_the_time_to_connect_is_not_taken_from_the_attempts(
    certificate, timers, either, monkeypatch
):
    monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate / "cert.pem"))
    with tls_service(certificate, slow=0.8) as (url, _, taken):
        client, _ = build_client(
            Options(domain="d", task_list="t", endpoint_url=url, region_name="us-east-1")
        )
        calls = TokenCalls(client, client, timers)
        with pytest.raises(errors.MalformedResponseError):  # it says OK, without a flag
            calls.heartbeat("token", None, 0.4)
        calls.close()
        assert taken


def test_a_handshake_that_hangs_is_cut_and_nothing_was_sent(
    certificate, timers, either, monkeypatch
):
    monkeypatch.setattr(connections, "CONNECT_LIMIT", 0.5)
    with tls_service(certificate, slow=60) as (url, _, taken):
        client, _ = build_client(
            Options(domain="d", task_list="t", endpoint_url=url, region_name="us-east-1")
        )
        calls = TokenCalls(client, client, timers)
        began = time.monotonic()
        with pytest.raises(errors.ServiceUnavailableError) as caught:
            calls.heartbeat("token", None, 0.3)
        assert time.monotonic() - began < 4.5, "5 s are a socket's"
        assert caught.value.code == "Connection"
        assert not caught.value.ambiguous
        calls.close()
        assert not taken


@pytest.fixture
def two_addresses(certificate, monkeypatch, dns):
    """swf.test has two, the first one sick."""
    monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate / "cert.pem"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "y")
    monkeypatch.setenv("NO_PROXY", "*")
    dns["swf.test"] = ["127.0.0.2", "127.0.0.1"]


def test_an_address_that_breaks_off_its_handshakes_is_left_for_another(
    certificate, timers, either, two_addresses
):
    with tls_service(certificate) as (_, port, taken), hanging_up("127.0.0.2", port):
        with pytest.raises(errors.ServiceUnavailableError):
            answer(f"https://swf.test:{port}", timers)
        answer(f"https://swf.test:{port}", timers)
        assert taken


def test_a_handshake_that_is_broken_off_was_nothing_sent(timers, either):
    with hanging_up("127.0.0.1", 0) as port:
        with pytest.raises(errors.ServiceUnavailableError) as caught:
            answer(f"https://127.0.0.1:{port}", timers)
        assert not caught.value.ambiguous
        assert caught.value.code == "Connection", "waiting may mend it: no start fails of it"


def test_a_certificate_for_another_name_is_refused(certificate, timers, either, monkeypatch):
    monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate / "cert.pem"))
    with tls_service(certificate) as (_, port, taken):
        with pytest.raises(errors.ServiceUnavailableError, match=r"(?i)certificate|hostname"):
            answer(f"https://localhost:{port}", timers)
        assert not taken


def test_a_dead_first_address_costs_little_over_tls(certificate, timers, either, two_addresses):
    with tls_service(certificate) as (_, port, taken), dead("127.0.0.2", port):
        began = time.monotonic()
        answer(f"https://swf.test:{port}", timers)
        assert time.monotonic() - began < 3, "5 s are a connection's"
        assert taken
