"""Domains, types and tags: moto's operations."""

from __future__ import annotations

import json
import re
from typing import Any

from moto.core.utils import camelcase_to_underscores
from moto.swf.responses import SWFResponse
from moto.utilities.utils import get_partition

from ..backend import REGION, LocalBackend
from .request import Operation, Request

_REGION_OF_ARN = re.compile(r"^arn:[\w-]+:swf:[\w-]+:")


class _Moto(SWFResponse):
    """moto's operations over a local backend."""

    def __init__(self, request: Request) -> None:
        self._request = request

    @property
    def swf_backend(self) -> LocalBackend:
        return self._request.backend

    @property
    def _params(self) -> dict[str, Any]:
        return self._request.given


def _by_moto(name: str) -> Operation:
    method = camelcase_to_underscores(name)

    def perform(request: Request) -> dict[str, Any] | None:
        text = getattr(_Moto(request), method)()
        return json.loads(text) if text else None

    return perform


def _register_activity_type(request: Request) -> dict[str, Any] | None:
    """moto leaves the priority out."""
    answer = _by_moto("RegisterActivityType")(request)
    given = request.given
    if given.get("defaultTaskPriority"):
        registered = request.domain.get_type("activity", given["name"], given["version"])
        registered.default_task_priority = given["defaultTaskPriority"]
    return answer


def _describe_domain(request: Request) -> dict[str, Any]:
    described: dict[str, Any] = request.backend.domain(request.given["name"]).to_full_dict()
    return described | {"domainInfo": _in_region(described["domainInfo"], request.region)}


def _list_domains(request: Request) -> dict[str, Any]:
    listed = _by_moto("ListDomains")(request) or {}
    return {"domainInfos": [_in_region(info, request.region) for info in listed["domainInfos"]]}


def _in_region(info: dict[str, Any], region: str) -> dict[str, Any]:
    """The same domain in all regions; its ARN says the one that asks."""
    return info | {"arn": _arn(info["arn"], region)}


def _arn(arn: str, region: str) -> str:
    return _REGION_OF_ARN.sub(f"arn:{get_partition(region)}:swf:{region}:", arn, count=1)


def _of_tags(name: str) -> Operation:
    perform = _by_moto(name)

    def with_arn(request: Request) -> dict[str, Any] | None:
        arn = _arn(request.given["resourceArn"], REGION)
        return perform(Request(request.backend, request.given | {"resourceArn": arn}))

    return with_arn


OPERATIONS: dict[str, Operation] = {
    **{
        name: _by_moto(name)
        for name in (
            "RegisterDomain",
            "DeprecateDomain",
            "UndeprecateDomain",
            "RegisterWorkflowType",
            "DescribeActivityType",
            "DescribeWorkflowType",
            "DeprecateActivityType",
            "DeprecateWorkflowType",
            "UndeprecateActivityType",
            "UndeprecateWorkflowType",
            "ListActivityTypes",
            "ListWorkflowTypes",
        )
    },
    "RegisterActivityType": _register_activity_type,
    "DescribeDomain": _describe_domain,
    "ListDomains": _list_domains,
    "ListTagsForResource": _of_tags("ListTagsForResource"),
    "TagResource": _of_tags("TagResource"),
    "UntagResource": _of_tags("UntagResource"),
}
