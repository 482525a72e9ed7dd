"""Refusals that no waiting mends, in words that say what to mend."""

from __future__ import annotations

from ..core import verdicts
from ..errors import (
    ConfigurationError,
    CredentialsError,
    OperationNotPermittedFault,
    ServiceError,
    SwfWorkerError,
    UnknownResourceFault,
)
from .clients import LOCAL_HINT, Where
from .faults import CONNECTION_CODE, TLS_CODE
from .regions import meant


def refusal(error: ServiceError, where: Where, polled: str = "") -> SwfWorkerError | None:
    """The error to stop with when the first call of its kind is refused, None if waiting may mend
    it. ``polled`` names a poll's domain and task list."""
    explained = _explain(error, where, polled)
    if explained is not None:
        explained.__cause__ = error
        return explained
    return _worded(error, where, polled) if verdicts.is_fatal_at_start(error) else None


def _explain(error: ServiceError, where: Where, polled: str) -> ConfigurationError | None:
    there = f"{polled}region {where.region!r}"
    if isinstance(error, CredentialsError) and not error.may_pass:
        return ConfigurationError(
            f"{error.operation} ({there}): no usable AWS credentials ({error.message}); set "
            f"AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or a role. {LOCAL_HINT}"
        )
    if error.code == TLS_CODE:
        return ConfigurationError(
            f"{error.operation} ({there}): TLS failed: {error.message}; check AWS_CA_BUNDLE, "
            "the proxy and endpoint_url"
        )
    if error.code == CONNECTION_CODE:
        return _mistyped_region(error, where)
    return None


def _mistyped_region(error: ServiceError, where: Where) -> ConfigurationError | None:
    if where.endpoint_url or where.region_is_known:
        return None
    return ConfigurationError(
        f"{error.operation}: boto3 knows no region {where.region!r} with SWF, and its address "
        f"can't be reached ({error.message}){meant(where.region)}"
    )


def _worded(error: ServiceError, where: Where, polled: str) -> ServiceError:
    worded = type(error)(
        error.operation,
        error.code,
        f"{error.message} ({polled}region {where.region!r}){_fix(error, polled)}",
        error.request_id,
    )
    worded.__cause__ = error.__cause__
    return worded


def _fix(error: ServiceError, polled: str) -> str:
    if not polled and verdicts.closes_task(error):
        return ": the task is closed, or its token is of another region or account"
    if isinstance(error, UnknownResourceFault):
        return ": register the domain, or correct domain= (--domain) or the region"
    if not isinstance(error, OperationNotPermittedFault):
        return ""
    calls = "swf:PollForActivityTask, swf:RecordActivityTaskHeartbeat and swf:RespondActivityTask*"
    allow = calls if polled else f"swf:{error.operation}"
    return f": allow {allow} for this identity, or correct its credentials"
