"""Domains, types and tags: registered, described, listed, deprecated, undeprecated, deleted."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

from moto.utilities.utils import get_partition

from .. import faults
from ..executions.execution import LocalDomain
from ..registry import RegisteredType, in_words
from .paging import page
from .request import Operation, Request

ACCOUNT = "123456789012"
MAX_TAGS = 50
_ARN = re.compile(rf"arn:[\w-]+:swf:[\w-]+:{ACCOUNT}:/domain/(.+)")


# --- domains ------------------------------------------------------------------------------------


def _register_domain(request: Request) -> None:
    given = request.given
    name = given["name"]
    if name in request.backend.domains:
        raise faults.domain_exists(name)
    domain = LocalDomain(
        name, given["workflowExecutionRetentionPeriodInDays"], given.get("description")
    )
    _add_tags(domain, given.get("tags") or [])
    request.backend.domains[name] = domain


def _describe_domain(request: Request) -> dict[str, Any]:
    domain = request.backend.domain(request.given["name"])
    configuration = {"workflowExecutionRetentionPeriodInDays": domain.retention}
    return {"domainInfo": _domain_info(domain, request.region), "configuration": configuration}


def _list_domains(request: Request) -> dict[str, Any]:
    wanted = request.given["registrationStatus"] == "DEPRECATED"
    return page(
        request,
        "domainInfos",
        [each for each in request.backend.domains.values() if each.deprecated == wanted],
        lambda each: _domain_info(each, request.region),
        key=lambda each: [each.name],
        descending=bool(request.given.get("reverseOrder")),
    )


def _domain_info(domain: LocalDomain, region: str) -> dict[str, Any]:
    """The same domain in all regions; its ARN says the one that asks."""
    described = {} if domain.description is None else {"description": domain.description}
    return {
        "name": domain.name,
        "status": "DEPRECATED" if domain.deprecated else "REGISTERED",
        **described,
        "arn": f"arn:{get_partition(region)}:swf:{region}:{ACCOUNT}:/domain/{domain.name}",
    }


def _deprecate_domain(request: Request) -> None:
    """Its types are deprecated with it; what runs in it runs on (the API reference)."""
    domain = request.backend.domain(request.given["name"])
    if domain.deprecated:
        raise faults.domain_deprecated(domain.name)
    domain.deprecated = True
    for each in domain.types.values():
        if each.deprecated is None:
            each.deprecated = request.backend.now()


def _undeprecate_domain(request: Request) -> None:
    """Its types stay deprecated: each is undeprecated by itself."""
    domain = request.backend.domain(request.given["name"])
    if not domain.deprecated:
        raise faults.domain_exists(domain.name)
    domain.deprecated = False


# --- tags of domains ----------------------------------------------------------------------------


def _domain_of(request: Request) -> LocalDomain:
    arn = request.given["resourceArn"]
    named = _ARN.fullmatch(arn)
    domain = request.backend.domains.get(named[1]) if named else None
    if domain is None:
        raise faults.unknown_resource(arn)
    return domain


def _add_tags(domain: LocalDomain, tags: list[dict[str, str]]) -> None:
    added = domain.tags | {tag["key"]: tag.get("value", "") for tag in tags}
    if len(added) > MAX_TAGS:
        raise faults.too_many_tags(MAX_TAGS)
    domain.tags = added


def _tag(request: Request) -> None:
    _add_tags(_domain_of(request), request.given["tags"])


def _untag(request: Request) -> None:
    domain = _domain_of(request)
    for key in request.given["tagKeys"]:
        domain.tags.pop(key, None)


def _list_tags(request: Request) -> dict[str, Any]:
    tags = _domain_of(request).tags
    return {"tags": [{"key": key, "value": value} for key, value in tags.items()]}


# --- types --------------------------------------------------------------------------------------


def _register(request: Request, kind: str) -> None:
    given, domain = request.given, request.domain
    name, version = given["name"], given["version"]
    if (kind, name, version) in domain.types:
        raise faults.type_exists(in_words(kind, name, version))
    if domain.deprecated:
        raise faults.domain_deprecated(domain.name)
    domain.types[kind, name, version] = RegisteredType(
        kind,
        name,
        version,
        given.get("description"),
        {member: said for member, said in given.items() if member.startswith("default") and said},
        request.backend.now(),
        next(domain.numbers),
    )


def _named(request: Request, kind: str) -> RegisteredType:
    named = request.given[f"{kind}Type"]
    return request.domain.type(kind, named["name"], named["version"])


def _describe(request: Request, kind: str) -> dict[str, Any]:
    found = _named(request, kind)
    return {"typeInfo": found.info(), "configuration": found.defaults}


def _list(request: Request, kind: str) -> dict[str, Any]:
    """By name, and the versions of one name in the order of their registration."""
    given = request.given
    found = [
        each
        for each in request.domain.types.values()
        if each.kind == kind
        and each.status == given["registrationStatus"]
        and given.get("name") in (None, each.name)
    ]
    return page(
        request,
        "typeInfos",
        found,
        RegisteredType.info,
        key=lambda each: [each.name, each.number],
        descending=bool(given.get("reverseOrder")),
    )


def _deprecate(request: Request, kind: str) -> None:
    found = _named(request, kind)
    if found.deprecated is not None:
        raise faults.type_deprecated(str(found))
    found.deprecated = request.backend.now()


def _undeprecate(request: Request, kind: str) -> None:
    found = _named(request, kind)
    if found.deprecated is None:
        raise faults.type_exists(str(found))
    found.deprecated = None


def _delete(request: Request, kind: str) -> None:
    """What runs of it runs on."""
    found = _named(request, kind)
    if found.deprecated is None:
        raise faults.type_not_deprecated(str(found))
    del request.domain.types[kind, found.name, found.version]


_OF_TYPES = {
    "Register{}Type": _register,
    "Describe{}Type": _describe,
    "List{}Types": _list,
    "Deprecate{}Type": _deprecate,
    "Undeprecate{}Type": _undeprecate,
    "Delete{}Type": _delete,
}

OPERATIONS: dict[str, Operation] = {
    "RegisterDomain": _register_domain,
    "DescribeDomain": _describe_domain,
    "ListDomains": _list_domains,
    "DeprecateDomain": _deprecate_domain,
    "UndeprecateDomain": _undeprecate_domain,
    "ListTagsForResource": _list_tags,
    "TagResource": _tag,
    "UntagResource": _untag,
    **{
        name.format(kind.capitalize()): partial(perform, kind=kind)
        for name, perform in _OF_TYPES.items()
        for kind in ("activity", "workflow")
    },
}
