"""HTTP as clients in other languages speak it, byte by byte."""

from __future__ import annotations

import socket

import pytest

from swf_worker.local import LocalSwf

BODY = b'{"registrationStatus": "REGISTERED"}'
HEAD = b"POST / HTTP/1.1\r\nHost: x\r\nX-Amz-Target: SimpleWorkflowService.ListDomains\r\n"
LENGTH = b"Content-Length: %d\r\n" % len(BODY)
GOOD = HEAD + LENGTH + b"\r\n" + BODY


@pytest.fixture(scope="module")
def port():
    with LocalSwf(poll_hold=0.1) as swf:
        yield int(swf.endpoint_url.rpartition(":")[2])


@pytest.fixture
def line(port):
    with socket.create_connection(("127.0.0.1", port), 5) as opened:
        yield opened


def answers(line, count):
    """The status lines of so many answers, or fewer where the connection ends."""
    told = b""
    while told.count(b"HTTP/1.1 ") < count or not told.endswith((b"}", b"\r\n\r\n")):
        got = line.recv(65_536)
        if not got:
            break
        told += got
    return [part.split(b" ")[0] for part in told.split(b"HTTP/1.1 ")[1:]]


def test_a_client_that_waits_for_100_continue_gets_it(line):
    """.NET's and curl's way: the body comes when the service has asked for it."""
    line.sendall(HEAD + LENGTH + b"Expect: 100-continue\r\n\r\n")
    assert answers(line, 1) == [b"100"]
    line.sendall(BODY)
    assert answers(line, 1) == [b"200"]
    line.sendall(GOOD)
    assert answers(line, 1) == [b"200"]


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n24\r\n" + BODY + b"\r\n0\r\n\r\n", b"411"),
        (HEAD + b"Transfer-Encoding: chunked\r\n" + LENGTH + b"\r\n24\r\n" + BODY, b"411"),
        (HEAD + b"\r\n" + BODY, b"411"),
        (HEAD + "Content-Length: ²\r\n\r\nxy".encode("latin-1"), b"411"),
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + LENGTH + b"\r\n" + BODY, b"200"),
        (b"PUT / HTTP/1.1\r\nHost: x\r\n" + LENGTH + b"\r\n" + BODY, b"501"),
    ],
    ids=["chunked", "both", "no length", "a length that is none", "a GET with a body", "PUT"],
)
def test_a_body_that_was_not_read_is_no_next_request(line, request_, status):
    """The connection ends, and what the client sends next is not taken for something else."""
    line.sendall(request_ + GOOD)
    assert answers(line, 2) == [status]


def test_a_connection_is_kept_after_errors_of_the_service(line):
    line.sendall(HEAD + b"Content-Length: 3\r\n\r\nxyz" + GOOD + GOOD)
    assert answers(line, 3) == [b"400", b"200", b"200"]


@pytest.mark.parametrize(
    "head",
    [
        HEAD.lower().replace(b"post", b"POST").replace(b"http/1.1", b"HTTP/1.1"),
        HEAD.replace(b"HTTP/1.1", b"HTTP/1.0"),
        HEAD.replace(b"POST /", b"POST /?Action=ListDomains"),
        HEAD + b"Content-Type: application/json; charset=UTF-8\r\nContent-Encoding: amz-1.0\r\n",
        HEAD + b"Accept-Encoding: gzip, deflate\r\n",
    ],
    ids=["small letters", "HTTP/1.0", "a query", "boto 2", "gzip accepted"],
)
def test_clients_of_all_kinds_are_understood(line, head):
    target = b"SimpleWorkflowService.ListDomains"
    line.sendall(head.replace(target.lower(), target) + LENGTH + b"\r\n" + BODY)
    assert answers(line, 1) == [b"200"]
