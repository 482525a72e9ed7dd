"""Answers of SWF: what counts as one, and what it says. Both ways of a call ask here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import NoneType
from typing import Any

import msgspec
from botocore.exceptions import ClientError

from ..text import NOT_JSON

_ERROR_TYPE = "x-amzn-errortype"
_REQUEST_ID = "x-amzn-requestid"
_STRUCTURES = {
    "PollForActivityTask": ("activityType", "workflowExecution"),
    "DescribeActivityType": ("typeInfo", "configuration"),
}


class NotAnAnswer(Exception):
    """The response is none of SWF's: ``status`` and why."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


def read(
    operation: str, has_output: bool, status: int, headers: Mapping[str, str], body: bytes
) -> dict[str, Any]:
    """The members of an accepted call's answer. ClientError where SWF refused it, NotAnAnswer
    where something else answered."""
    try:
        decoded = msgspec.json.decode(body) if body else None
    except NOT_JSON:
        decoded = _json_object(body)
    if not isinstance(decoded, dict):
        decoded = None
    members = _checked(operation, has_output, status, headers, body, decoded) or {}
    if status < 300:
        return members
    said: Any = {
        "Code": _code(members["__type"]),
        "Message": members.get("message", members.get("Message", "")),
    }
    metadata: Any = {
        "RequestId": headers.get(_REQUEST_ID, ""),
        "HTTPStatusCode": status,
        "HTTPHeaders": {name.lower(): value for name, value in headers.items()},
        "RetryAttempts": 0,
    }
    raise ClientError({"Error": said, "ResponseMetadata": metadata}, operation)


def check_response(operation_model: Any, response_dict: dict[str, Any], **_: Any) -> None:
    """boto3's client parses what this lets through (its ``before-parse`` event): HTTP 200 with
    HTML, ``[]`` or a cut body would otherwise become an empty answer or an exception of any
    type."""
    decoded = _json_object(response_dict["body"])
    members = _checked(
        operation_model.name,
        operation_model.output_shape is not None,
        response_dict["status_code"],
        response_dict["headers"],
        response_dict["body"],
        decoded,
    )
    if members is not decoded:
        response_dict["body"] = json.dumps(members).encode()


def _checked(
    operation: str,
    has_output: bool,
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    members: dict[str, Any] | None,
) -> dict[str, Any] | None:
    """The body's members, None for an empty body that may be empty."""
    if status >= 300:
        return _checked_error(status, headers, members)
    if status != 200 or not headers.get(_REQUEST_ID):
        raise NotAnAnswer(status, f"HTTP {status} without a request id of AWS's")
    if members is None and (has_output or body):
        raise NotAnAnswer(status, "HTTP 200 with a body that is no JSON object")
    if members is None:
        return None
    if operation == "PollForActivityTask":
        started = members.get("startedEventId")
        if isinstance(started, bool) or not isinstance(started, int):
            raise NotAnAnswer(status, "HTTP 200 without a startedEventId")
    for name in _STRUCTURES.get(operation, ()):
        if not isinstance(members.get(name), (dict, NoneType)):
            # botocore stumbles over it, and a task with a token can still be failed.
            members = {other: value for other, value in members.items() if other != name}
    return members


def _checked_error(
    status: int, headers: Mapping[str, str], members: dict[str, Any] | None
) -> dict[str, Any]:
    if members is not None and "__type" in members:
        if isinstance(members["__type"], str):
            return members
    elif headers.get(_ERROR_TYPE):
        return {**(members or {}), "__type": headers[_ERROR_TYPE]}
    raise NotAnAnswer(status, f"HTTP {status}, and not from AWS")


def _code(kind: str) -> str:
    """``com.amazonaws.swf.base.model#UnknownResourceFault``, or ``Fault:http://…``."""
    return kind.split(":", 1)[0].rsplit("#", 1)[-1]


def _json_object(body: bytes) -> dict[str, Any] | None:
    if not body:
        return None
    try:
        value = msgspec.json.decode(body)
    except NOT_JSON:
        try:
            # It takes what botocore takes: lone surrogates, too.
            value = json.loads(body.decode())
        except (ValueError, RecursionError):
            return None
    return value if isinstance(value, dict) else None
