"""What S3, or something on the way to it, answered instead: as CodecError, in words of our own."""

from __future__ import annotations

import re
from typing import Any

from ..errors import CodecError

_GONE = {
    "NoSuchKey": "the object is missing: deleted, by a lifecycle rule say, or never written there",
    "404": "the object is missing: deleted, by a lifecycle rule say, or never written there",
    "NoSuchBucket": "there is no such bucket",
    "InvalidObjectState": "the object is archived, and can't be read as it is",
}
_REFUSED = (
    "not permitted: s3:{0} is needed, and the use of the bucket's KMS key where it has one; S3 "
    "says so of a missing object, too, to whom it doesn't permit s3:ListBucket"
)
_PASSING = frozenset(
    {
        "BandwidthLimitExceeded",
        "ExpiredToken",  # credentials that are renewed
        "InternalError",
        "OperationAborted",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestTimeout",
        "RequestTimeoutException",
        "ServiceUnavailable",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
_UNREACHED = frozenset(
    {
        "ConnectionError",
        "CredentialRetrievalError",
        "HTTPClientError",
        "IncompleteReadError",
        "MetadataRetrievalError",
        "ResponseStreamingError",
    }
)
"""Types of botocore's, with all that descend from them."""


def fault_of(operation: str, error: BaseException) -> CodecError:
    """The error to raise for what botocore raised in ``operation``. Of its text nothing is taken:
    a server may say anything, and a request's parameters hold the payload."""
    response = getattr(error, "response", None)
    if isinstance(response, dict):
        return _answered(operation, response)
    kind = type(error).__name__
    if _is_one_of(error, _UNREACHED) or isinstance(error, OSError):
        return CodecError(f"{operation}: S3 can't be reached, or broke off ({kind})", may_pass=True)
    return CodecError(f"{operation}: it failed on this side ({kind})")


def _answered(operation: str, response: dict[str, Any]) -> CodecError:
    metadata = response.get("ResponseMetadata") or {}
    status = metadata.get("HTTPStatusCode")
    status = status if isinstance(status, int) else 0
    code = _word((response.get("Error") or {}).get("Code")) or str(status)
    request = _word(metadata.get("RequestId"))
    passes = code in _PASSING or status >= 500 or status == 429
    why = _GONE.get(code) or ("it may pass" if passes else "S3 refuses it")
    if status == 403 and not passes:
        why = _REFUSED.format(operation)
    by = f" (request {request})" if request else ""
    return CodecError(f"{operation}: S3 answered {status} {code}: {why}{by}", may_pass=passes)


def _word(value: object) -> str:
    """A code or an id, and "" for what is neither."""
    return value if isinstance(value, str) and re.fullmatch(r"[\w.-]{1,64}", value) else ""


def _is_one_of(error: BaseException, names: frozenset[str]) -> bool:
    # By name: only s3.py may import botocore, and only when it has to.
    return any(
        kind.__name__ in names and kind.__module__.startswith("botocore.")
        for kind in type(error).__mro__
    )
