"""One request to one answer: the model's checks, then moto's operation, completed."""

from __future__ import annotations

import json
from typing import Any

from moto.core.exceptions import JsonRESTError
from moto.core.utils import camelcase_to_underscores
from moto.swf.responses import SWFResponse

from . import faults, validation
from .backend import LocalBackend

_PREFIX = "SimpleWorkflowService."


class _Operations(SWFResponse):
    """moto's operations over a local backend, and those that moto lacks."""

    def __init__(self, backend: LocalBackend, params: dict[str, Any]) -> None:
        self._backend = backend
        self._given = params

    @property
    def swf_backend(self) -> LocalBackend:
        return self._backend

    @property
    def _params(self) -> dict[str, Any]:
        return self._given

    def record_activity_task_heartbeat(self) -> str:
        token = self._given["taskToken"]
        self._backend.record_activity_task_heartbeat(token, self._given.get("details"))
        return json.dumps({"cancelRequested": self._backend.cancel_requested(token)})

    def respond_activity_task_canceled(self) -> str:
        self._backend.respond_activity_task_canceled(
            self._given["taskToken"], self._given.get("details")
        )
        return ""

    def request_cancel_workflow_execution(self) -> str:
        self._backend.request_cancel_workflow_execution(
            self._given["domain"], self._given["workflowId"], self._given.get("runId")
        )
        return ""

    def signal_workflow_execution(self) -> str:
        self._given.setdefault("input", None)  # moto insists on one; SWF doesn't
        return super().signal_workflow_execution()

    def get_workflow_execution_history(self) -> str:
        """In pages, as SWF gives it."""
        everything = json.loads(super().get_workflow_execution_history())["events"]
        start = int(self._given.get("nextPageToken") or 0)
        size = int(self._given.get("maximumPageSize") or 1000) or 1000
        page = {"events": everything[start : start + size]}
        if start + size < len(everything):
            page["nextPageToken"] = str(start + size)
        return json.dumps(page)

    def register_activity_type(self) -> str:
        answer = super().register_activity_type()
        priority = self._given.get("defaultTaskPriority")
        if priority is not None:
            registered = self._backend.describe_type(
                "activity", self._given["domain"], self._given["name"], self._given["version"]
            )
            registered.default_task_priority = priority
        return answer


def answer(backend: LocalBackend, target: str, body: bytes) -> tuple[int, str]:
    """The status and the body for a request with this X-Amz-Target."""
    try:
        return 200, _perform(backend, target, body)
    except JsonRESTError as error:
        return 400, str(error.description)


def _perform(backend: LocalBackend, target: str, body: bytes) -> str:
    name = target.removeprefix(_PREFIX)
    model = validation.operation_model(name) if target.startswith(_PREFIX) else None
    if model is None:
        raise faults.unknown_operation(target)
    try:
        params = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        raise faults.serialization("the body is not JSON") from None
    if not isinstance(params, dict):
        raise faults.serialization("the body is not a JSON object")
    validation.check(model, params)
    method = getattr(_Operations(backend, params), camelcase_to_underscores(name), None)
    if method is None:
        raise faults.not_implemented(name)
    with backend.lock:
        backend.tick()
        try:
            text: str = method()
        except JsonRESTError:
            raise
        except Exception as error:
            # moto stumbles over a request that the model allows: SWF answers nonsense with 4xx.
            raise faults.validation([f"{type(error).__name__}: {error}"]) from error
    return text
