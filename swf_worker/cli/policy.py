"""The least privilege that workers need, as an IAM policy. Nothing here calls anything.

What AWS says that can be limited: every action to a domain (its ARN); PollForActivityTask and
CountPendingActivityTasks to task lists; DescribeActivityType and RegisterActivityType to names and
versions. RecordActivityTaskHeartbeat and RespondActivityTask* have no parameters that a condition
could name, and one would deny them: they have a statement of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ..task import ActivityType

POLLING = ("PollForActivityTask", "CountPendingActivityTasks")
ANSWERING = (
    "RecordActivityTaskHeartbeat",
    "RespondActivityTaskCanceled",
    "RespondActivityTaskCompleted",
    "RespondActivityTaskFailed",
)
LOOKING_UP = ("DescribeActivityType",)
REGISTERING = ("RegisterActivityType",)
BEFORE_REGISTERING = ("DescribeDomain",)
ANY = "*"


@dataclass(frozen=True, slots=True)
class Scope:
    """What the workers of one domain are limited to."""

    partition: str
    region: str
    account: str
    domain: str
    task_lists: tuple[str, ...]
    types: tuple[ActivityType, ...]

    @property
    def arn(self) -> str:
        """The domain's."""
        domain = literal(self.domain)
        for wildcard in "*?":
            domain = domain.replace(wildcard, f"${{{wildcard}}}")
        return f"arn:{self.partition}:swf:{self.region}:{self.account}:/domain/{domain}"


def policy(scopes: Sequence[Scope], *, register: bool = False) -> dict[str, Any]:
    """The whole document. ``register``: with what ``swf-worker register`` calls, but for
    RegisterDomain, which a worker's role should not have."""
    statements: list[dict[str, Any]] = []
    for number, scope in enumerate(scopes, start=1):
        suffix = str(number) if len(scopes) > 1 else ""
        for statement in _statements(scope, register):
            statement["Sid"] += suffix
            statements.append(statement)
    return {"Version": "2012-10-17", "Statement": statements}


def literal(text: str) -> str:
    """Text that IAM is to take as it is: "${" begins one of its variables."""
    return text.replace("${", "${$}{")


def _statements(scope: Scope, register: bool) -> Iterator[dict[str, Any]]:
    lists = {"swf:taskList.name": _literals(scope.task_lists)}
    yield _allow("TakeTasks", scope, POLLING, lists)
    yield _allow("KeepAndAnswerTasks", scope, ANSWERING)
    names = _literals(kind.name for kind in scope.types)
    versions = _literals(kind.version for kind in scope.types)
    if scope.types:
        asked = {"swf:activityType.name": names, "swf:activityType.version": versions}
        yield _allow("LookUpTypes", scope, LOOKING_UP, asked)
    if register:
        yield _allow("LookUpDomain", scope, BEFORE_REGISTERING)
    if register and scope.types:
        made = {"swf:name": names, "swf:version": versions}
        yield _allow("RegisterTypes", scope, REGISTERING, made)


def _allow(
    sid: str, scope: Scope, operations: Sequence[str], equals: dict[str, list[str]] | None = None
) -> dict[str, Any]:
    statement: dict[str, Any] = {
        "Sid": sid,
        "Effect": "Allow",
        "Action": [f"swf:{operation}" for operation in operations],
        "Resource": scope.arn,
    }
    if equals:
        statement["Condition"] = {"StringEquals": equals}
    return statement


def _literals(texts: Iterable[str]) -> list[str]:
    return sorted({literal(text) for text in texts})
