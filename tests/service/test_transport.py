"""When requests take our way through urllib3, when they take botocore's, and TLS on both."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
import threading
import time
from contextlib import contextmanager, suppress
from socket import AF_INET6, create_connection, create_server

import boto3
import pytest
from botocore import awsrequest, httpsession
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from swf_worker import errors
from swf_worker.options import Options
from swf_worker.outcome import Completed
from swf_worker.service import transport
from swf_worker.service.clients import build_client
from swf_worker.service.gateway import TokenCalls
from tests.service.conftest import dead
from tests.wire import OK, Wire

HOME = "http://127.0.0.1:9"
PROXIED = Config(proxies={"https": "http://127.0.0.1:9"})


def way(url=HOME, **reach):
    client, _ = build_client(Options(domain="d", task_list="t", endpoint_url=url, **reach))
    client.close()
    return client.transport


@pytest.fixture(autouse=True)
def no_certificates_of_this_machine(monkeypatch):
    for name in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)


def test_our_way_is_taken_where_nothing_special_is_configured():
    assert way() is not None
    assert way("https://swf.example.com", region_name="us-east-1") is not None


def test_a_session_of_the_users_own_keeps_its_way():
    """What it is set to can't be seen from outside."""
    assert way(session=boto3.Session("a", "b", region_name="us-east-1")) is None


def test_proxies_keep_botocores_way(monkeypatch):
    far = "https://swf.example.com"
    assert way(far, region_name="us-east-1", client_config=PROXIED) is None
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    assert way(far, region_name="us-east-1") is None
    assert way() is not None, "nobody is asked for this machine"
    monkeypatch.setenv("NO_PROXY", "example.com")
    assert way(far, region_name="us-east-1") is not None


def test_a_clients_certificate_keeps_botocores_way():
    assert way(client_config=Config(client_cert="/some/where.pem")) is None


def test_where_somebody_else_answers_requests_nothing_is_sent_twice(monkeypatch, timers):
    """moto and recorders take the place of the network by the same event, and botocore calls all
    of its handlers."""
    asked = []

    def recorder(request, **_):
        asked.append(request)
        if "invalid" not in request.url:
            return AWSResponse(request.url, 200, {"x-amzn-RequestId": "r"}, Nothing())
        return None

    from botocore.handlers import BUILTIN_HANDLERS

    monkeypatch.setattr(
        "botocore.handlers.BUILTIN_HANDLERS", [*BUILTIN_HANDLERS, ("before-send", recorder)]
    )
    monkeypatch.setattr(
        "botocore.session.handlers.BUILTIN_HANDLERS",
        [*BUILTIN_HANDLERS, ("before-send", recorder)],
    )
    with Wire(RespondActivityTaskCompleted=[OK]) as service:
        client, _ = build_client(Options(domain="d", task_list="t", endpoint_url=service.url))
        assert client.transport is None
        calls = TokenCalls(client, client, timers)
        calls.respond("token", Completed("r"))
        calls.close()
        assert service.calls == []
    assert asked


class Nothing:
    def stream(self):
        return iter([b""])


def test_a_users_session_needs_no_profile_of_the_environment(monkeypatch, tmp_path):
    config = tmp_path / "config"
    config.write_text("[profile here]\nregion = eu-west-1\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_PROFILE", "gone")
    assert way(session=boto3.Session(profile_name="here")) is None


@pytest.mark.parametrize(
    ("url", "where"),
    [
        ("http://[::1]", ("http", "[::1]", 80)),
        ("https://[::1]", ("https", "[::1]", 443)),
        ("http://[::1]:9/", ("http", "[::1]", 9)),
        ("http://[fe80::1%25lo]:9", ("http", "[fe80::1%lo]", 9)),
        ("HTTP://Example.COM/swf", ("http", "example.com", 80)),
    ],
)
def test_where_an_endpoint_is(url, where):
    assert transport._origin(url) == where


def test_an_endpoint_with_an_ipv6_address():
    with create_server(("::1", 0), family=AF_INET6) as listener:

        def serve():
            plain, _ = listener.accept()
            with plain:
                plain.recv(65_536)
                plain.sendall(OK)

        thread = threading.Thread(target=serve)
        thread.start()
        url = f"http://[::1]:{listener.getsockname()[1]}"
        client, _ = build_client(Options(domain="d", task_list="t", endpoint_url=url))
        assert client.transport is not None
        client.swf.respond_activity_task_completed(taskToken="t")
        client.close()
        thread.join(10)


def test_another_hosts_request_is_left_to_botocore():
    client, _ = build_client(Options(domain="d", task_list="t", endpoint_url=HOME))

    class Request:
        url = "https://elsewhere.example.com/"

    assert client.transport.send(Request()) is None
    client.close()


# --- TLS ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """For 127.0.0.1 and swf.test, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "swf.test")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName(
                [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("swf.test")]
            ),
            False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("tls")
    pem = serialization.Encoding.PEM
    (folder / "cert.pem").write_bytes(made.public_bytes(pem))
    (folder / "key.pem").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder


@contextmanager
def tls_service(folder):
    """Answers OK to whatever comes, over TLS."""
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


def answer(url, timers):
    reach = Options(domain="d", task_list="t", endpoint_url=url, region_name="us-east-1")
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


def test_a_certificate_for_another_name_is_refused(certificate, timers, either, monkeypatch):
    monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate / "cert.pem"))
    with tls_service(certificate) as (_, port, taken):
        with pytest.raises(errors.ServiceUnavailableError, match=r"(?i)certificate|hostname"):
            answer(f"https://localhost:{port}", timers)
        assert not taken


def test_row_87_a_dead_first_address_costs_little_over_tls(
    certificate, timers, either, monkeypatch, dns
):
    monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate / "cert.pem"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "y")
    monkeypatch.setenv("NO_PROXY", "*")
    dns["swf.test"] = ["127.0.0.2", "127.0.0.1"]
    with tls_service(certificate) as (_, port, taken), dead("127.0.0.2", port):
        began = time.monotonic()
        answer(f"https://swf.test:{port}", timers)
        assert time.monotonic() - began < 3, "5 s are a connection's"
        assert taken


@pytest.mark.parametrize("what", ["send", "connections"])
def test_row_90_where_botocores_own_sending_is_patched_it_is_taken(monkeypatch, what):
    """By a recorder, say, which would see nothing of ours."""
    sent = []
    if what == "send":
        original = httpsession.URLLib3Session.send

        def recorded(self, request):
            sent.append(request.url)
            return original(self, request)

        monkeypatch.setattr(httpsession.URLLib3Session, "send", recorded)
    else:

        class Recorded(awsrequest.AWSHTTPConnection): ...

        monkeypatch.setattr(awsrequest, "AWSHTTPConnection", Recorded)
    with Wire(RespondActivityTaskCompleted=[OK]) as service:
        client, _ = build_client(Options(domain="d", task_list="t", endpoint_url=service.url))
        assert client.transport is None
        client.swf.respond_activity_task_completed(taskToken="t")
        client.close()
    assert len(sent) == (1 if what == "send" else 0)
