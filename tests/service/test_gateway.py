"""What an answer of SWF's, or of somebody else, means to a call."""

from __future__ import annotations

import pytest
from botocore.client import BaseClient

from swf_worker import errors
from swf_worker.outcome import Canceled, Completed, Failed
from swf_worker.service import gateway
from swf_worker.task import ActivityType
from tests import wire
from tests.service.gateway import respond
from tests.wire import EMPTY_POLL, OK, Wire, fault, http

NOT_AWS = [
    http(200, "<html>", request_id=False),
    http(200, "<html>"),
    http(200, '{"startedEventId": 1'),
    http(200, "[]"),
    http(200, "null"),
    http(200, b"\xff\xfe{"),
    http(200, b'"text"'),
    http(200, "{}", request_id=False),
]


@pytest.mark.parametrize(
    "answer", [*NOT_AWS, http(200), http(200, "{}"), http(200, '{"startedEventId":"x"}')]
)
def test_a_poll_is_valid_only_with_a_started_event_id(connect, answer):
    """A broken answer is no empty poll, and no exception of any other type."""
    with Wire(PollForActivityTask=[answer]) as service:
        with pytest.raises(errors.MalformedResponseError) as caught:
            connect(service.url).poll()
    assert caught.value.ambiguous
    assert caught.value.operation == "PollForActivityTask"


@pytest.mark.parametrize("answer", NOT_AWS)
def test_a_broken_answer_is_never_a_success(connect, answer):
    """A 200 with a body of somebody else's, or with none where there must be one."""
    with Wire(
        RespondActivityTaskCompleted=[answer], RecordActivityTaskHeartbeat=[answer]
    ) as service:
        client = connect(service.url)
        with pytest.raises(errors.MalformedResponseError):
            respond(client)
        with pytest.raises(errors.MalformedResponseError):
            client.heartbeat("token", None, 5)


def test_an_empty_body_with_a_request_id_is_a_responds_success(connect):
    with Wire(RespondActivityTaskCompleted=[OK], RecordActivityTaskHeartbeat=[OK]) as service:
        client = connect(service.url)
        respond(client)
        with pytest.raises(errors.MalformedResponseError):
            client.heartbeat("token", None, 5)


@pytest.mark.parametrize(
    ("answer", "kind", "ambiguous"),
    [
        (fault("UnknownResourceFault"), errors.UnknownResourceFault, False),
        (fault("OperationNotPermittedFault"), errors.OperationNotPermittedFault, False),
        (fault("AccessDeniedException"), errors.OperationNotPermittedFault, False),
        (fault("ExpiredTokenException"), errors.OperationNotPermittedFault, False),
        (fault("LimitExceededFault"), errors.LimitExceededFault, False),
        (fault("ThrottlingException", "Rate exceeded"), errors.ThrottledError, False),
        (fault("ValidationException"), errors.ServiceError, False),
        (fault("InternalFailure", status=500), errors.ServiceUnavailableError, True),
        (fault("ServiceUnavailable", status=503), errors.ServiceUnavailableError, True),
        (http(502, "<html>Bad gateway"), errors.ServiceUnavailableError, True),
        (http(403, "forbidden by proxy"), errors.ServiceUnavailableError, True),
        (http(407, ""), errors.ServiceUnavailableError, True),
        (http(302, "moved"), errors.ServiceUnavailableError, True),
        (http(404, '{"error": "no such page"}'), errors.ServiceUnavailableError, True),
        (wire.hang_up, errors.ServiceUnavailableError, True),
        (wire.reset, errors.ServiceUnavailableError, True),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_what_an_answers_error_becomes(connect, answer, kind, ambiguous):
    """A proxy's 403 is the network, not a permission."""
    with Wire(RespondActivityTaskCompleted=[answer]) as service:
        with pytest.raises(errors.ServiceError) as caught:
            respond(connect(service.url))
        assert type(caught.value) is kind
        assert caught.value.ambiguous is ambiguous
        assert caught.value.operation == "RespondActivityTaskCompleted"
        assert caught.value.__cause__ is not None
        assert len(service.calls) == 1, "a hidden retry went out"


def test_a_refused_connection_never_left(connect):
    with Wire() as service:
        url = service.url
    with pytest.raises(errors.ServiceUnavailableError) as caught:
        respond(connect(url))
    assert not caught.value.ambiguous


def test_the_request_id_and_message_are_kept(connect):
    with Wire(
        RespondActivityTaskCompleted=[fault("UnknownResourceFault", "Unknown activity")]
    ) as s:
        with pytest.raises(errors.UnknownResourceFault) as caught:
            respond(connect(s.url))
    assert caught.value.request_id == wire.REQUEST_ID
    assert caught.value.code == "UnknownResourceFault"
    assert "Unknown activity" in str(caught.value)


def test_clock_skew_is_named(connect):
    """Its message says "signature", and the cause is this machine's time."""
    skew = fault("InvalidSignatureException", "Signature expired: 2026 is now earlier than")
    with Wire(RespondActivityTaskCompleted=[skew]) as service:
        with pytest.raises(errors.OperationNotPermittedFault, match="clock"):
            respond(connect(service.url))


@pytest.mark.parametrize(
    ("flag", "requested"),
    [(True, True), (False, False), ("true", False), (1, False), (None, False)],
)
def test_only_json_true_is_a_cancel_request(connect, flag, requested):
    """A flag that is missing, or text, asks nothing."""
    with Wire(RecordActivityTaskHeartbeat=[http(200, {"cancelRequested": flag})]) as service:
        assert connect(service.url).heartbeat("token", "d", 5) is requested


@pytest.mark.parametrize("empty", [EMPTY_POLL, http(200, {"startedEventId": 0, "taskToken": ""})])
def test_an_empty_poll_has_no_token_or_an_empty_one(connect, empty):
    with Wire(PollForActivityTask=[empty]) as service:
        assert connect(service.url).poll().task is None


def test_a_task_with_members_missing_and_unknown_ones(connect):
    """What is missing is named; what is not known is ignored."""
    broken = wire.task(activityType={"name": "Work"}, workflowExecution=[], surprise=1)
    with Wire(PollForActivityTask=[broken]) as service:
        polled = connect(service.url).poll()
    assert polled.task.task_token == "token-1", "with a token, the task can still be failed"
    assert set(polled.missing) == {
        "activityType.version",
        "workflowExecution.workflowId",
        "workflowExecution.runId",
    }


def test_the_three_answers_leave_out_what_is_absent(connect):
    with Wire(
        RespondActivityTaskCompleted=[OK],
        RespondActivityTaskCanceled=[OK],
        RespondActivityTaskFailed=[OK],
    ) as service:
        client = connect(service.url)
        for outcome in (Completed(), Canceled("d"), Failed("r"), Failed("r", "d")):
            client.respond("t", outcome)
        assert [body for _, body in service.calls] == [
            {"taskToken": "t"},
            {"taskToken": "t", "details": "d"},
            {"taskToken": "t", "reason": "r"},
            {"taskToken": "t", "reason": "r", "details": "d"},
        ]


def test_registered_timeouts(connect):
    told = {
        "typeInfo": {},
        "configuration": {
            "defaultTaskHeartbeatTimeout": "30",
            "defaultTaskStartToCloseTimeout": "NONE",
        },
    }
    with Wire(DescribeActivityType=[http(200, told)]) as service:
        timeouts = connect(service.url).describe(ActivityType("A", "1"))
    assert (timeouts.heartbeat, timeouts.start_to_close) == (30.0, None)


def test_a_proxy_in_the_environment_is_not_asked_for_this_machine(connect, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with Wire(RespondActivityTaskCompleted=[OK]) as service:
        respond(connect(service.url))


def test_read_poll_takes_wrong_types_for_missing():
    polled = gateway.read_poll(
        {"taskToken": "t", "startedEventId": 1, "activityId": 5, "activityType": [], "input": {}}
    )
    assert set(polled.missing) >= {"activityId", "activityType.name", "input"}
    with pytest.raises(errors.MalformedResponseError):
        gateway.read_poll({"taskToken": 5, "startedEventId": 1})


def test_nothing_is_called_while_it_is_built(connect, monkeypatch):
    """What others have patched would see it: X-Ray raises, OpenTelemetry shows a span."""

    def called(self, name, parameters):
        raise KeyError(name)

    monkeypatch.setattr(BaseClient, "_make_api_call", called)
    connect("http://127.0.0.1:1")
