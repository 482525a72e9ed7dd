"""Errors of botocore, and answers that are no answers, as typed exceptions of the SDK."""

from __future__ import annotations

import json
from types import NoneType
from typing import Any

import msgspec
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ProxyConnectionError,
    SSLError,
)

from ..errors import (
    LimitExceededFault,
    MalformedResponseError,
    OperationNotPermittedFault,
    ServiceError,
    ServiceUnavailableError,
    ThrottledError,
    UnknownResourceFault,
)
from .credentials import CredentialsError

TLS_CODE = "TLS"
CREDENTIALS_CODE = "Credentials"
CONNECTION_CODE = "Connection"
EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"})
"""The credentials were too old."""

_NEVER_LEFT = (EndpointConnectionError, ConnectTimeoutError, ProxyConnectionError)

_TYPES: dict[str, type[ServiceError]] = {
    "UnknownResourceFault": UnknownResourceFault,
    "LimitExceededFault": LimitExceededFault,
    **dict.fromkeys(
        (
            "OperationNotPermittedFault",
            "AccessDeniedException",
            "AccessDenied",
            "NotAuthorized",
            "UnauthorizedOperation",
            "OptInRequired",
            "ExpiredToken",
            "ExpiredTokenException",
            "RequestExpired",
            "InvalidSignatureException",
            "SignatureDoesNotMatch",
            "IncompleteSignature",
            "MissingAuthenticationToken",
            "MissingAuthenticationTokenException",
            "UnrecognizedClientException",
            "InvalidClientTokenId",
            "RequestTimeTooSkewed",
        ),
        OperationNotPermittedFault,
    ),
    **dict.fromkeys(
        (
            "Throttling",
            "ThrottlingException",
            "ThrottledException",
            "RequestThrottled",
            "RequestThrottledException",
            "RequestLimitExceeded",
            "TooManyRequestsException",
            "BandwidthLimitExceeded",
        ),
        ThrottledError,
    ),
}
_PASSING = ("RequestTimeout", "RequestTimeoutException", "RequestAbortedException")
_CLOCK = ("signature expired", "signature not yet current", "requesttimetooskewed")


class NotAnAnswer(Exception):
    """The response is none of SWF's: ``status`` and why. Raised before botocore parses it."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


def check_response(operation_model: Any, response_dict: dict[str, Any], **_: Any) -> None:
    """botocore's before-parse hook: HTTP 200 with HTML, ``[]`` or a cut body would otherwise
    become an empty answer or an exception of any type."""
    status, headers = response_dict["status_code"], response_dict["headers"]
    body = _json_object(response_dict["body"])
    if status >= 300:
        if (body is None or "__type" not in body) and "x-amzn-errortype" not in headers:
            raise NotAnAnswer(status, f"HTTP {status}, and not from AWS")
        return
    if status != 200 or not headers.get("x-amzn-requestid"):
        raise NotAnAnswer(status, f"HTTP {status} without a request id of AWS's")
    has_output = operation_model.output_shape is not None
    if body is None and (has_output or response_dict["body"]):
        raise NotAnAnswer(status, "HTTP 200 with a body that is no JSON object")
    if has_output and operation_model.name == "PollForActivityTask":
        assert body is not None
        _check_poll(status, body, response_dict)


def _check_poll(status: int, body: dict[str, Any], response_dict: dict[str, Any]) -> None:
    started = body.get("startedEventId")
    if isinstance(started, bool) or not isinstance(started, int):
        raise NotAnAnswer(status, "HTTP 200 without a startedEventId")
    structures = ("activityType", "workflowExecution")
    if any(not isinstance(body.get(name), (dict, NoneType)) for name in structures):
        # botocore stumbles over them, and a task with a token can still be failed.
        kept = {name: value for name, value in body.items() if name not in structures}
        response_dict["body"] = json.dumps(kept).encode()


def _json_object(body: bytes) -> dict[str, Any] | None:
    try:
        value = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        try:
            value = json.loads(body)  # it takes what botocore takes: lone surrogates, too
        except (ValueError, RecursionError):
            return None
    return value if isinstance(value, dict) else None


def translate(operation: str, error: BaseException) -> ServiceError:
    """The typed exception for whatever an attempt of a call raised; the caller chains them."""
    if isinstance(error, ClientError):
        return _from_service(operation, error)
    if isinstance(error, NotAnAnswer):
        # Something on the way answered for AWS, or cut what AWS said. The request may be there.
        kind = MalformedResponseError if error.status < 300 else ServiceUnavailableError
        return kind(operation, "", str(error), ambiguous=True)
    if isinstance(error, CredentialsError):  # nothing was sent
        refused = ServiceUnavailableError if error.passes else OperationNotPermittedFault
        return refused(operation, CREDENTIALS_CODE, f"credentials: {error}")
    if isinstance(error, SSLError):
        return ServiceUnavailableError(operation, TLS_CODE, str(error), ambiguous=True)
    if isinstance(error, _NEVER_LEFT):
        return ServiceUnavailableError(operation, CONNECTION_CODE, str(error))
    said = str(error) or type(error).__name__
    if not isinstance(error, (BotoCoreError, OSError)):
        # An exception of any type can come of a broken answer; none gets through a loop.
        said = f"{type(error).__name__}: {said}"
    return ServiceUnavailableError(operation, "", said, ambiguous=True)


def _from_service(operation: str, error: ClientError) -> ServiceError:
    said = error.response.get("Error", {})
    metadata: dict[str, Any] = dict(error.response.get("ResponseMetadata", {}))
    code = str(said.get("Code") or "")
    message = str(said.get("Message") or "no message")
    if any(sign in f"{code} {message}".lower() for sign in _CLOCK):
        message += " — check this machine's clock: SWF compares it with the signature's time"
    request_id = metadata.get("RequestId")
    kind = _TYPES.get(code)
    if kind is not None:
        return kind(operation, code, message, request_id)
    if metadata.get("HTTPStatusCode", 500) >= 500 or code in _PASSING:
        return ServiceUnavailableError(operation, code, message, request_id, ambiguous=True)
    return ServiceError(operation, code, message, request_id)
