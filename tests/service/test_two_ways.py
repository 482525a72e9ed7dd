"""The two ways of a call send the same, and take the same for the same."""

from __future__ import annotations

import datetime
import gzip
import json
from functools import partial
from types import SimpleNamespace
from uuid import UUID

import boto3
import botocore.auth
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from swf_worker import errors
from swf_worker.outcome import Canceled, Completed, Failed
from swf_worker.task import ActivityType
from tests import wire
from tests.service.conftest import service_of
from tests.wire import OK, REQUEST_ID, Wire, fault, http, task

INSTANT = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)
WAYS = ("direct", "boto3")


def signs_at(monkeypatch, at):
    """Whatever botocore asks for the time: a function of its own, or (before 1.40.50 or so) the
    standard library's class."""
    if hasattr(botocore.auth, "get_current_datetime"):
        monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda *_: at)
        return

    class Stopped(datetime.datetime):
        @classmethod
        def utcnow(cls):
            return at.replace(tzinfo=None)

    monkeypatch.setattr(botocore.auth, "datetime", SimpleNamespace(datetime=Stopped))


@pytest.fixture
def instant(monkeypatch):
    signs_at(monkeypatch, INSTANT)


@pytest.fixture
def both(timers):
    """A service of each way at an address."""
    opened = []

    def make(url, **options):
        for way in WAYS:
            calls = None if way == "direct" else way
            opened.append(service_of(url, timers, calls=calls, **options))
            assert (opened[-1].why_boto3 is None) is (way == "direct")
        return opened[-2:]

    yield make
    for service in opened:
        service.close()


ACCEPTED = {
    "PollForActivityTask": [task()],
    "RecordActivityTaskHeartbeat": [http(200, {"cancelRequested": True})],
    "DescribeActivityType": [http(200, {"configuration": {"defaultTaskHeartbeatTimeout": "7"}})],
    **{f"RespondActivityTask{how}": [OK] for how in ("Completed", "Canceled", "Failed")},
    "RegisterActivityType": [OK],
}
TEXTS = ("", "r", 'quoted "and" \\', "ü € 🙂", "\ud800 alone", "\x00\x1f\x7f\u2028", "long " * 6000)
OPERATIONS = {
    "poll": lambda service: service.poll(),
    "heartbeat": lambda service: service.heartbeat("token", None, 5),
    "describe": lambda service: service.describe(ActivityType("Wörk", "1")),
    "complete": lambda service: service.respond("token", Completed(None)),
    "cancel": lambda service: service.respond("token", Canceled(None)),
    "fail": lambda service: service.respond("token", Failed("why", None)),
    # No worker calls it yet; nothing in the direct way is about its six.
    "register": lambda service: service._clients.answers.call(
        "RegisterActivityType", {"domain": "d", "name": "n", "version": "1", "description": ""}
    ),
}


def sessions():
    return {
        "plain": {},
        "token": {"session": boto3.Session("AK", "SK", "TOKEN/+=", region_name="eu-west-1")},
        "config": {
            "region_name": "cn-north-1",
            "identity": "me:1",
            "client_config": Config(user_agent_extra="mine/1", user_agent_appid="app"),
        },
    }


def same_requests(wired, both, call, path="", **options):
    for service in both(wired.url + path, **options):
        call(service)
    direct, theirs = wired.requests
    identifiers = {each.headers.pop("amz-sdk-invocation-id") for each in (direct, theirs)}
    assert len(identifiers) == 2
    assert all(UUID(each).version == 4 for each in identifiers)
    assert direct == theirs
    return direct


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("given", ["plain", "token", "config"])
def test_the_same_request(operation, given, both, instant):
    with Wire(**ACCEPTED) as wired:
        sent = same_requests(wired, both, OPERATIONS[operation], **sessions()[given])
    signed = sent.headers["authorization"]
    assert "/20260102/" in signed
    assert ("x-amz-security-token" in signed) is (given == "token")
    assert sent.headers["content-type"] == "application/x-amz-json-1.0"


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_the_same_request_whatever_the_texts(text, both, instant):
    outcomes = (Completed(text), Canceled(text), Failed(text[:256], text))
    calls = [
        partial(lambda service, outcome: service.respond("t", outcome), outcome=each)
        for each in outcomes
    ]
    for call in [*calls, lambda service: service.heartbeat("t", text, 5)]:
        with Wire(**ACCEPTED) as wired:
            sent = same_requests(wired, both, call)
            assert (
                text[:256] in json.loads(sent.body).values()
                or text in json.loads(sent.body).values()
            )


@pytest.mark.parametrize("path", ["/", "/a", "/a/b/", "//", "/a%20b", "/ü", "/a b/~c"])
def test_the_same_request_wherever_the_endpoint_is(path, both, instant):
    with Wire(**ACCEPTED) as wired:
        sent = same_requests(wired, both, OPERATIONS["complete"], path)
    assert sent.line.startswith("POST /")


def headed(status, body, *headers):
    """A whole response with more headers."""
    head, _, rest = http(status, body).partition(b"\r\n")
    return b"\r\n".join([head, *(each.encode() for each in headers), rest])


def bare(status, kind, **members):
    """An error whose type has no prefix."""
    return http(status, {"__type": kind, **members})


ANSWERS = {
    "ok": OK,
    "a task": task(),
    "a task with nulls": task(input=None, more=None),
    "a task with an input": task(input="ü\u2028"),
    "a lone surrogate": http(200, task().partition(b"\r\n\r\n")[2][:-1] + b',"input":"\\ud800"}'),
    "no structures": task(activityType="x", workflowExecution=[]),
    "no token": task(taskToken=None),
    "a token that is a number": task(taskToken=5),
    "an input that is a list": task(input=[1]),
    "an empty poll": http(200, {"startedEventId": 0}),
    "an empty object": http(200, {}),
    "canceled": http(200, {"cancelRequested": True}),
    "canceled, as text": http(200, {"cancelRequested": "true"}),
    "a timeout that is a number": http(200, {"configuration": {"defaultTaskHeartbeatTimeout": 7}}),
    "a timeout of nonsense": http(200, {"configuration": {"defaultTaskHeartbeatTimeout": "x"}}),
    "a configuration that is none": http(200, {"configuration": [1]}),
    "NaN": http(200, '{"startedEventId": NaN}'),
    "a large number": http(200, '{"startedEventId": 123456789012345678901234567890}'),
    "the same member twice": http(200, '{"startedEventId": 1, "startedEventId": 0}'),
    "deep": http(200, "[" * 5000 + "]" * 5000),
    "no request id": http(200, "{}", request_id=False),
    "html": http(200, "<html>"),
    "half": http(200, '{"startedEventId": 1'),
    "a list": http(200, "[]"),
    "null": http(200, "null"),
    "not utf-8": http(200, b"\xff\xfe{"),
    "utf-16": http(200, '{"startedEventId": 0}'.encode("utf-16")),
    "a byte order mark": http(200, '\ufeff{"startedEventId": 0}'),
    "201": http(201, "{}"),
    "204": http(204),
    "gzip that nobody asked for": headed(
        200, gzip.compress(b'{"startedEventId": 0}', mtime=0), "Content-Encoding: gzip"
    ),
    "throttled": fault("ThrottlingException", "Rate exceeded"),
    "throttled, in SWF's words": bare(400, "Throttling", message="Rate exceeded"),
    "too many": fault("TooManyRequestsException", status=429),
    "a limit": fault("LimitExceededFault"),
    "unknown": fault("UnknownResourceFault"),
    "unknown, no prefix": bare(400, "UnknownResourceFault", message="Unknown domain"),
    "unknown, with an address": bare(400, "UnknownResourceFault:http://aws/", Message="Unknown"),
    "not permitted": fault("OperationNotPermittedFault"),
    "denied": bare(400, "AccessDeniedException", Message="User: arn:aws:iam::1:user/x is not"),
    "denied, 403": fault("AccessDeniedException", status=403),
    "expired": bare(400, "ExpiredTokenException", message="expired"),
    "a clock that is wrong": bare(400, "InvalidSignatureException", message="Signature expired: x"),
    "a clock that is early": bare(400, "RequestTimeTooSkewed"),
    "validation": bare(400, "com.amazon.coral.validate#ValidationException", message="1 error"),
    "no message": bare(400, "UnknownResourceFault"),
    "a message that is null": bare(400, "UnknownResourceFault", message=None),
    "a message that is a list": bare(400, "UnknownResourceFault", message=[1]),
    "a type that is a number": bare(400, 5),
    "a type that is empty": bare(400, ""),
    "the type in a header": headed(400, "", "x-amzn-ErrorType: UnknownResourceFault"),
    "the type in a header, with an address": headed(
        400, {"message": "m"}, "x-amzn-errortype: UnknownResourceFault:http://internal.amazon.com/"
    ),
    "a 5xx with its type in a header": headed(503, "", "x-amzn-ErrorType: ServiceUnavailable"),
    "two types": headed(400, {"__type": "a#UnknownResourceFault"}, "x-amzn-ErrorType: Throttling"),
    "broken inside": fault("InternalFailure", status=500),
    "unavailable": fault("ServiceUnavailableException", status=503),
    "an empty 500": http(500),
    "a 503 of html": http(503, "<html><body>Service Unavailable"),
    "a gateway": http(502, "<html>Bad gateway"),
    "a proxy's refusal": http(403, "forbidden"),
    "a proxy that asks": http(407, ""),
    "a page that isn't there": http(404, '{"error": "no such page"}'),
    "moved": headed(301, "", "Location: http://127.0.0.1:9/"),
    "moved, says AWS": headed(307, {"__type": "x#Redirect"}, "Location: http://127.0.0.1:9/"),
    "not modified": http(304),
    "hung up": wire.hang_up,
    "reset": wire.reset,
    "cut": b"HTTP/1.1 200 OK\r\nx-amzn-RequestId: r\r\nContent-Length: 50\r\n\r\n{}",
    "no HTTP": b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
    "no length": b"HTTP/1.1 200 OK\r\nx-amzn-RequestId: r\r\n\r\n" + b'{"startedEventId": 0}',
    "chunks": b"HTTP/1.1 200 OK\r\nx-amzn-RequestId: r\r\nTransfer-Encoding: chunked\r\n\r\n"
    b'a\r\n{"startedE\r\nb\r\nventId": 0}\r\n0\r\n\r\n',
    "broken chunks": b"HTTP/1.1 200 OK\r\nx-amzn-RequestId: r\r\nTransfer-Encoding: chunked\r\n\r\n"
    b'a\r\n{"startedE\r\nzz\r\n',
    "a hundred and first": b"HTTP/1.1 100 Continue\r\n\r\n" + OK,
}
"""What SWF, or something in its place, may answer."""


def last(reply):
    """The reply, and the end of the connection: some of them have no other end."""

    def send(sock):
        sock.sendall(reply)

    return send


@pytest.mark.parametrize("name", ANSWERS)
def test_the_same_is_taken_for_the_same(name, both):
    reply = ANSWERS[name] if callable(ANSWERS[name]) else last(ANSWERS[name])
    with Wire(**{each: [reply] for each in ACCEPTED}) as wired:
        services = both(wired.url)
        for operation, call in OPERATIONS.items():
            if operation == "register":
                continue  # by hand, below the gateway
            seen = [outcome_of(call, service) for service in services]
            assert seen[0] == seen[1], operation
            for service in services:  # an old connection's end must not be the next one's error
                for calls in (service._clients.polls, service._clients.beats):
                    calls.close()
                service._clients.answers.close()
        assert len(wired.calls) == 2 * (len(OPERATIONS) - 1), "one attempt each"


def outcome_of(call, service):
    try:
        return repr(call(service))
    except errors.ServiceError as error:
        cause = error.__cause__
        said = error.message
        if not error.code:  # of the network: their words may name a connection
            said = ""
        kind = ClientError if isinstance(cause, ClientError) else type(cause)
        return type(error), error.code, said, error.request_id, error.ambiguous, kind


def test_a_fault_of_swfs_has_botocores_error_as_its_cause(both):
    with Wire(RespondActivityTaskCompleted=[fault("UnknownResourceFault", "Unknown token")]) as s:
        for service in both(s.url):
            with pytest.raises(errors.UnknownResourceFault) as caught:
                service.respond("t", Completed("r"))
            cause = caught.value.__cause__
            assert isinstance(cause, ClientError)
            assert cause.operation_name == "RespondActivityTaskCompleted"
            assert cause.response["Error"] == {
                "Code": "UnknownResourceFault",
                "Message": "Unknown token",
            }
            metadata = cause.response["ResponseMetadata"]
            assert (metadata["HTTPStatusCode"], metadata["RequestId"]) == (400, REQUEST_ID)
            assert metadata["HTTPHeaders"]["x-amzn-requestid"] == REQUEST_ID


# AWS's own test suite of Signature Version 4: 2015-08-30, us-east-1, "service".
VECTORS_HOST = "https://example.amazonaws.com"
VECTORS = {
    "get-vanilla": (
        ("GET", "/", {}, ""),
        "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
    ),
    "post-vanilla": (
        ("POST", "/", {}, ""),
        "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
    ),
    "post-header-key-case": (
        ("POST", "/", {"my-header1": "VALUE1"}, ""),
        "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d",
    ),
    "post-x-www-form-urlencoded": (
        ("POST", "/", {"Content-Type": "application/x-www-form-urlencoded"}, "Param1=value1"),
        "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
    ),
}


@pytest.mark.parametrize("name", VECTORS)
def test_aws_vectors_of_the_signature(name, monkeypatch):
    (method, path, headers, body), signature = VECTORS[name]
    at = datetime.datetime(2015, 8, 30, 12, 36, tzinfo=datetime.UTC)
    signs_at(monkeypatch, at)
    request = AWSRequest(
        method, f"https://example.amazonaws.com{path}", headers, data=body.encode()
    )
    keys = Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
    signer = botocore.auth.AUTH_TYPE_MAPS["v4"]
    assert signer is SigV4Auth
    signer(keys.get_frozen_credentials(), "service", "us-east-1").add_auth(request)
    assert request.headers["Authorization"].endswith(f"Signature={signature}")
