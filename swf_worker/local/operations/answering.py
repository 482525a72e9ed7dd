"""One request to one answer: the model's checks, then the operation."""

from __future__ import annotations

import json
import logging
from typing import Any

import msgspec
from moto.core.exceptions import JsonRESTError

from .. import faults, validation
from ..backend import REGION, LocalBackend
from . import executions, lists, registered, tasks
from .request import Operation, Request

_log = logging.getLogger(__name__)
_PREFIXES = ("SimpleWorkflowService.", "com.amazonaws.swf.service.model.SimpleWorkflowService.")
"""The second is that of older clients (boto 2, older Go and Ruby)."""
OPERATIONS: dict[str, Operation] = {
    **registered.OPERATIONS,
    **executions.OPERATIONS,
    **tasks.OPERATIONS,
    **lists.OPERATIONS,
}


def answer(
    backend: LocalBackend, target: str, body: bytes, region: str = REGION, *, own: bool = False
) -> tuple[int, bytes]:
    """The status and the body for a request with this X-Amz-Target, signed for a region. The local
    SWF's ``own`` are outside of all quotas."""
    try:
        return 200, _perform(backend, target, body, region, own)
    except JsonRESTError as error:
        return 400, str(error.description).encode()
    except Exception:
        _log.exception("an error in the local SWF itself, in %s", target)
        return 500, str(faults.internal().description).encode()


def _perform(backend: LocalBackend, target: str, body: bytes, region: str, own: bool) -> bytes:
    name = target.rpartition(".")[2]
    model = validation.operation_model(name) if target in [p + name for p in _PREFIXES] else None
    if model is None:
        raise faults.unknown_operation(target)
    if backend.quotas is not None and not own:
        with backend.lock:
            backend.quotas.take(name, backend.now())
    params = _parameters(body)
    validation.check(model, params)
    operation = OPERATIONS.get(name)
    if operation is None:
        raise faults.not_implemented(name)
    with backend.lock:
        backend.tick()
        told = operation(Request(backend, name, params, region))
    return b"" if told is None else _encoded(told)


def _encoded(told: dict[str, Any]) -> bytes:
    """As JSON. (The standard library takes eight times as long to write a page of a thousand
    events as it takes to find them.)"""
    try:
        return msgspec.json.encode(told)
    except UnicodeEncodeError:  # half a surrogate pair, which a client's JSON can carry
        return json.dumps(told).encode()


def _parameters(body: bytes) -> dict[str, Any]:
    """The members of the request; null is as good as absent."""
    try:
        params = json.loads(body or b"{}", object_hook=_without_nulls)
    except (ValueError, RecursionError):
        raise faults.serialization("the body is not JSON") from None
    if not isinstance(params, dict):
        raise faults.serialization("the body is not a JSON object")
    return params


def _without_nulls(members: dict[str, Any]) -> dict[str, Any]:
    if None in members.values():
        return {name: value for name, value in members.items() if value is not None}
    return members
