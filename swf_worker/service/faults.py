"""Errors of botocore, and answers that are no answers, as typed exceptions of the SDK."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ProxyConnectionError,
    SSLError,
)
from urllib3.exceptions import ClosedPoolError

from ..errors import (
    CredentialsError,
    LimitExceededFault,
    MalformedResponseError,
    OperationNotPermittedFault,
    ServiceError,
    ServiceUnavailableError,
    ThrottledError,
    UnknownResourceFault,
)
from .answers import NotAnAnswer
from .credentials import NoCredentialsError

TLS_CODE = "TLS"
CREDENTIALS_CODE = "Credentials"
CONNECTION_CODE = "Connection"
EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"})
"""The credentials were too old."""

NOT_PERMITTED = frozenset(
    {
        "OperationNotPermittedFault",
        "AccessDeniedException",
        "AccessDenied",
        "NotAuthorized",
        "UnauthorizedOperation",
    }
)
"""This identity may not make the call. (The other codes of an OperationNotPermittedFault are of
credentials and clocks.)"""

_NEVER_LEFT = (EndpointConnectionError, ConnectTimeoutError, ProxyConnectionError)

_TYPES: dict[str, type[ServiceError]] = {
    "UnknownResourceFault": UnknownResourceFault,
    "LimitExceededFault": LimitExceededFault,
    **dict.fromkeys(
        (
            *NOT_PERMITTED,
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


def translate(operation: str, error: BaseException, sent: bool | None = None) -> ServiceError:
    """The typed exception for whatever an attempt of a call raised; the caller chains them.
    ``sent``: whether its request may have left, where that is known."""
    if isinstance(error, ClientError):
        return _from_service(operation, error)
    if isinstance(error, NotAnAnswer):
        # Something on the way answered for AWS, or cut what AWS said. The request may be there.
        if error.status < 300:
            return MalformedResponseError(operation, "", str(error), ambiguous=True)
        code = str(error.status)
        return ServiceUnavailableError(operation, code, str(error), ambiguous=True)
    if isinstance(error, NoCredentialsError):
        said = f"credentials: {error}"
        return CredentialsError(operation, CREDENTIALS_CODE, said, may_pass=error.passes)
    if isinstance(error, SSLError):
        ambiguous = sent is not False
        return ServiceUnavailableError(operation, TLS_CODE, str(error), ambiguous=ambiguous)
    if isinstance(error, _NEVER_LEFT) or isinstance(_wrapped_in(error), ClosedPoolError):
        return ServiceUnavailableError(operation, CONNECTION_CODE, why_not_connected(error))
    said = str(error) or type(error).__name__
    if not isinstance(error, (BotoCoreError, OSError)):
        # An exception of any type can come of a broken answer; none gets through a loop.
        said = f"{type(error).__name__}: {said}"
    return ServiceUnavailableError(operation, "", said, ambiguous=True)


def is_about_the_clock(code: str, message: str) -> bool:
    """A signature was out of time."""
    return any(sign in f"{code} {message}".lower() for sign in _CLOCK)


def _wrapped_in(error: BaseException) -> BaseException | None:
    inner = getattr(error, "kwargs", {}).get("error")
    return inner if isinstance(inner, BaseException) else None


def why_not_connected(error: BaseException) -> str:
    """botocore names the endpoint; what was wrong (its name, its port, TLS) is in what it wraps."""
    inner = _wrapped_in(error)
    cause = inner.__cause__ if inner is not None and inner.__cause__ is not None else inner
    return str(error) if cause is None else f"{error} ({cause})"


def _from_service(operation: str, error: ClientError) -> ServiceError:
    said = error.response.get("Error", {})
    metadata: dict[str, Any] = dict(error.response.get("ResponseMetadata", {}))
    code = str(said.get("Code") or "")
    message = str(said.get("Message") or "no message")
    if is_about_the_clock(code, message):
        message += " — check this machine's clock: SWF compares it with the signature's time"
    request_id = str(metadata.get("RequestId") or "")
    kind = _TYPES.get(code)
    if kind is not None:
        return kind(operation, code, message, request_id)
    if metadata.get("HTTPStatusCode", 500) >= 500 or code in _PASSING:
        return ServiceUnavailableError(operation, code, message, request_id, ambiguous=True)
    return ServiceError(operation, code, message, request_id)
