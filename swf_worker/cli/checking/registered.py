"""What is registered, what waits, and which calls SWF allows."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from shlex import quote

from ...core.registered_types import RegisteredType, drifts
from ...definition import ActivityDefinition
from ...errors import ServiceError, UnknownResourceFault
from ...status import Backlog
from ...task import ActivityType
from .facts import Told, WorkerFacts, is_denied
from .findings import Finding, Level, not_checked

UNTRIED = "swf:PollForActivityTask, swf:RecordActivityTaskHeartbeat, swf:RespondActivityTask*"
"""They need a task, or would take one. A made-up token or task list proves nothing: where the
policy names domains or task lists, SWF denies what isn't theirs."""


def findings_of(
    facts: WorkerFacts, why_not: str | None, targets: str, served: Collection[tuple[str, str, str]]
) -> Iterator[Finding]:
    """``why_not``: why SWF could not be asked. ``served`` has (domain, task list, type) of all
    workers."""
    options, told = facts.options, facts.told
    if told is None or why_not is not None:
        why = why_not or "SWF can't be asked"
        yield not_checked("domain", options.domain, why)
        yield not_checked("task list", facts.subject, why)
        yield not_checked("type", _types(facts), why)
        yield not_checked("permission", "swf:*", why)
        return
    domain = _domain(options.domain, told, targets)
    yield domain
    if domain.level is Level.ERROR and not isinstance(told.deprecated, bool):
        yield not_checked("task list", facts.subject, "its domain isn't registered")
        yield not_checked("type", _types(facts), "the domain isn't registered")
    else:
        yield _task_list(facts.subject, told.pending)
        for definition in facts.definitions:
            yield from _type(facts, told.types[definition.type], definition, targets)
            yield from _default_list(facts, definition, served)
    yield from _permissions(told, targets)


def _types(facts: WorkerFacts) -> str:
    return ", ".join(str(each.type) for each in facts.definitions) or "none"


def _domain(name: str, told: Told, targets: str) -> Finding:
    answer, check = told.deprecated, "domain"
    if answer is True:
        return Finding(
            check,
            Level.ERROR,
            name,
            "deprecated: no workflow can be started in it",
            f"{undeprecate_domain(name)}, or another domain",
        )
    if answer is False:
        return Finding(check, Level.OK, name, "registered")
    unknown = UnknownResourceFault
    if isinstance(answer, unknown) or isinstance(told.pending, unknown):
        return Finding(
            check,
            Level.ERROR,
            name,
            "not registered in this region and account",
            f"swf-worker register {targets} --create-domain, or correct --domain or the region",
        )
    if isinstance(told.pending, Backlog):
        said = "registered; whether it is deprecated can't be looked up"
        return Finding(check, Level.OK, name, said)
    return _not_told(check, name, answer)


def _not_told(check: str, subject: str, error: ServiceError) -> Finding:
    fix = f"allow swf:{error.operation}" if is_denied(error) else "try again"
    return Finding(check, Level.UNKNOWN, subject, f"can't be looked up: {error}", fix)


def _task_list(subject: str, pending: Backlog | ServiceError) -> Finding:
    check = "task list"
    if isinstance(pending, ServiceError):
        return _not_told(check, subject, pending)
    more = " or more" if pending.truncated else ""
    tasks = "task waits" if pending.count == 1 and not more else "tasks wait"
    return Finding(check, Level.OK, subject, f"{pending.count}{more} {tasks}")


def _type(
    facts: WorkerFacts,
    answer: RegisteredType | ServiceError,
    definition: ActivityDefinition,
    targets: str,
) -> Iterator[Finding]:
    check, subject = "type", str(definition.type)
    if isinstance(answer, UnknownResourceFault):
        message = f"not registered in domain {facts.options.domain}: no decider can schedule it"
        yield Finding(check, Level.ERROR, subject, message, f"swf-worker register {targets}")
        return
    if isinstance(answer, ServiceError):
        yield _not_told(check, subject, answer)
        return
    if answer.deprecated:
        yield Finding(
            check,
            Level.WARNING,
            subject,
            "deprecated: no decider can schedule it any more",
            undeprecate_type(facts.options.domain, definition.type),
        )
    differing = drifts(definition, answer)
    if differing:
        yield Finding(check, Level.WARNING, subject, "; ".join(map(str, differing)), NEW_VERSION)
    elif not answer.deprecated:
        yield Finding(check, Level.OK, subject, "registered as the code says")


NEW_VERSION = "a new version: SWF can't change a type; or correct the code"


def undeprecate_type(domain: str, activity_type: ActivityType) -> str:
    """The command that takes a type's deprecation back."""
    kind = json.dumps({"name": activity_type.name, "version": activity_type.version})
    return (
        f"aws swf undeprecate-activity-type --domain {quote(domain)} --activity-type {quote(kind)}"
    )


def undeprecate_domain(domain: str) -> str:
    """The same for a domain."""
    return f"aws swf undeprecate-domain --name {quote(domain)}"


def _default_list(
    facts: WorkerFacts, definition: ActivityDefinition, served: Collection[tuple[str, str, str]]
) -> Iterator[Finding]:
    registered = facts.registered(definition.type)
    name = definition.options.default_task_list
    if registered is not None:
        name = registered.defaults.get("default_task_list")
    if name is None or (facts.options.domain, name, str(definition.type)) in served:
        return
    yield Finding(
        "task list",
        Level.WARNING,
        f"{facts.options.domain}/{name}",
        f"the default of {definition.type}, and no worker here serves it there: where a decider "
        "names no task list, its tasks wait for another one",
        "serve it there, or have deciders name the task list",
    )


def _permissions(told: Told, targets: str) -> Iterator[Finding]:
    types = list(told.types.values())
    lost = {
        "DescribeDomain": (told.deprecated, ""),
        "CountPendingActivityTasks": (
            told.pending,
            "how many tasks wait can't be told, so nothing can scale on it",
        ),
        "DescribeActivityType": (
            next(filter(is_denied, types), types[0] if types else None),
            "heartbeat timeouts that the code doesn't give can't be looked up: the worker guesses",
        ),
    }
    for operation, (answer, what) in lost.items():
        action = f"swf:{operation}"
        if answer is None:
            continue
        if not isinstance(answer, ServiceError) or isinstance(answer, UnknownResourceFault):
            yield Finding("permission", Level.OK, action, "allowed")
        elif not is_denied(answer):
            yield Finding("permission", Level.UNKNOWN, action, f"can't be told: {answer}")
        elif what:
            fix = f"allow it: swf-worker iam-policy {targets}"
            yield Finding("permission", Level.WARNING, action, f"denied: {what}", fix)
        else:
            said = "denied: only this check and `swf-worker register` call it"
            yield Finding("permission", Level.UNKNOWN, action, said)
    yield Finding(
        "permission",
        Level.UNKNOWN,
        UNTRIED,
        "can't be tried without a task",
        f"compare the role's policy with swf-worker iam-policy {targets}",
    )
