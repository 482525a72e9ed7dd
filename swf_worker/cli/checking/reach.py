"""Credentials, region, endpoint, clock: the way to SWF."""

from __future__ import annotations

from collections.abc import Iterator

from ...errors import ConfigurationError, ServiceError
from ...service.clients import NoRegion
from ...service.faults import CONNECTION_CODE, TLS_CODE, is_about_the_clock
from ...service.operator_calls import Greeting
from ...service.regions import meant
from .facts import Reached
from .findings import Finding, Level, not_checked

CLOCK_WARNING = 60.0
CLOCK_ERROR = 300.0
"""SWF refuses signatures whose time is further from its own."""
_SET_CREDENTIALS = (
    "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or give the machine a role"
)
_SET_REGION = "set --region, AWS_DEFAULT_REGION, or a profile that has one"


def findings_of(reached: Reached, refused: ServiceError | None) -> Iterator[Finding]:
    """``refused``: what SWF has against the credentials, or against the clock."""
    by_clock = refused is not None and is_about_the_clock(refused.code, refused.message)
    yield from _credentials(reached, None if by_clock else refused)
    yield _region(reached)
    yield _endpoint(reached)
    yield _clock(reached, refused if by_clock else None)


def why_not_asked(reached: Reached, refused: ServiceError | None) -> str | None:
    """Why SWF could not be asked for more; None where it could."""
    if isinstance(reached.set_up, NoRegion):
        return "no region is set"
    if not isinstance(reached.credentials, str):
        return "there are no usable credentials"
    if not reached.answers:
        return "the endpoint can't be reached"
    if refused is not None:
        by_clock = is_about_the_clock(refused.code, refused.message)
        return "this machine's clock is wrong" if by_clock else "SWF refuses the credentials"
    return None


def _credentials(reached: Reached, refused: ServiceError | None) -> Iterator[Finding]:
    found, check = reached.credentials, "credentials"
    if isinstance(found, ConfigurationError):
        fix = "correct AWS_PROFILE, or add the profile to ~/.aws/config"
        yield Finding(check, Level.ERROR, "", str(found), fix)
    elif isinstance(found, ServiceError):
        message = found.message.removeprefix("credentials: ")
        yield Finding(check, Level.ERROR, "", message, _SET_CREDENTIALS)
    elif refused is not None:
        yield Finding(
            check,
            Level.ERROR,
            found,
            f"SWF refuses them: {refused}",
            "valid ones: these are wrong, expired, or of an account without SWF",
        )
    else:
        yield Finding(check, Level.OK, found, "found")
    yield from _caller(reached)


def _caller(reached: Reached) -> Iterator[Finding]:
    match reached.caller:
        case str(arn):
            yield Finding("caller", Level.OK, "", arn)
        case ServiceError() as error:
            yield Finding(
                "caller",
                Level.UNKNOWN,
                "",
                f"whose credentials they are isn't known: {error}",
                "none is needed: the worker never asks STS",
            )
        case None if reached.local and isinstance(reached.credentials, str):
            yield Finding("caller", Level.OK, "", "a local SWF takes any")


def _region(reached: Reached) -> Finding:
    if isinstance(reached.set_up, NoRegion):
        return Finding("region", Level.ERROR, "", "no AWS region is set", _SET_REGION)
    where = reached.where
    if where is None:
        fix = "correct what the message names"
        if isinstance(reached.credentials, ConfigurationError):
            return not_checked("region", "", "the profile is missing")
        return Finding("region", Level.ERROR, "", str(reached.set_up), fix)
    if where.region_is_known:
        return Finding("region", Level.OK, where.region, "has SWF")
    if where.endpoint_url or reached.answers:
        return Finding("region", Level.OK, where.region, "not known to boto3, but reached")
    return Finding(
        "region",
        Level.ERROR,
        where.region,
        f"boto3 knows no such region with SWF{meant(where.region)}",
        "correct the region",
    )


def _endpoint(reached: Reached) -> Finding:
    greeting = reached.greeting
    if greeting is None:
        return not_checked("endpoint", "", "its address isn't known")
    if isinstance(greeting, Greeting):
        took = f"answered in {greeting.took * 1000:.0f} ms"
        return Finding("endpoint", Level.OK, reached.endpoint, took)
    if reached.heard:
        return Finding("endpoint", Level.OK, reached.endpoint, "answered")
    fixes = {
        CONNECTION_CODE: "check the region or endpoint_url, DNS, the network, the proxy; in a VPC "
        "without a way out, an interface endpoint for SWF",
        TLS_CODE: "check AWS_CA_BUNDLE, the proxy and endpoint_url",
    }
    fix = fixes.get(greeting.code, "check what is between: a proxy, a firewall, a wrong endpoint")
    return Finding("endpoint", Level.ERROR, reached.endpoint, greeting.message, fix)


def _clock(reached: Reached, refused: ServiceError | None) -> Finding:
    check, fix = "clock", "synchronise this machine's clock (NTP)"
    greeting = reached.greeting
    ahead = greeting.ahead if isinstance(greeting, Greeting) else None
    if ahead is None:
        if refused is not None:
            return Finding(check, Level.ERROR, "", f"SWF refuses its time: {refused}", fix)
        if not reached.answers:
            return not_checked(check, "", "there is no answer to compare it with")
        return Finding(check, Level.UNKNOWN, "", "the answer has no time to compare it with")
    off = abs(ahead)
    if off < CLOCK_WARNING and refused is None:
        return Finding(check, Level.OK, "", f"within {max(1, round(off))} s of the service's")
    way = "ahead of" if ahead > 0 else "behind"
    message = f"{off:.0f} s {way} the service's, which refuses signatures 300 s off"
    if refused is not None:
        message += f", and does: {refused}"
    level = Level.ERROR if refused is not None or off >= CLOCK_ERROR else Level.WARNING
    return Finding(check, level, "", message, fix)
