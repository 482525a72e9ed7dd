"""SignalExternalWorkflowExecution and RequestCancelExternalWorkflowExecution, to any open execution
of the domain."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from moto.swf.exceptions import SWFUnknownResourceFault

from ..executions import deciding, outside
from ..executions.execution import Execution
from ..executions.outside import Sender

_TARGET = ("workflowId", "runId", "control")


def signal(execution: Execution, event_id: int, given: dict[str, Any]) -> None:
    """The SignalExternalWorkflowExecution decision."""
    name, text = given["signalName"], given.get("input")
    initiated = execution.add_event(
        "SignalExternalWorkflowExecutionInitiated",
        **_target(given),
        signalName=name,
        input=text,
        decisionTaskCompletedEventId=event_id,
    )
    _send(
        execution,
        Sender(execution, initiated),
        given,
        event_id,
        partial(outside.signal, name=name, text=text),
        ("SignalExternalWorkflowExecutionFailed", "ExternalWorkflowExecutionSignaled"),
    )


def request_cancel(execution: Execution, event_id: int, given: dict[str, Any]) -> None:
    """The RequestCancelExternalWorkflowExecution decision."""
    initiated = execution.add_event(
        "RequestCancelExternalWorkflowExecutionInitiated",
        **_target(given),
        decisionTaskCompletedEventId=event_id,
    )
    _send(
        execution,
        Sender(execution, initiated),
        given,
        event_id,
        outside.request_cancel,
        (
            "RequestCancelExternalWorkflowExecutionFailed",
            "ExternalWorkflowExecutionCancelRequested",
        ),
    )


def _target(given: dict[str, Any]) -> dict[str, Any]:
    return {name: given.get(name) for name in _TARGET}


def _send(
    execution: Execution,
    sender: Sender,
    given: dict[str, Any],
    event_id: int,
    deliver: Callable[..., None],
    events: tuple[str, str],
) -> None:
    """After the batch, also where that closed the execution: its history then tells no more."""
    failed, done = events

    def send() -> None:
        try:
            target = execution.domain.find_open(given["workflowId"], given.get("runId"))
        except SWFUnknownResourceFault:
            event, told = (
                failed,
                {
                    **_target(given),
                    "cause": "UNKNOWN_EXTERNAL_WORKFLOW_EXECUTION",
                    "decisionTaskCompletedEventId": event_id,
                },
            )
        else:
            deliver(target, sender=sender)
            event, told = done, {"workflowExecution": target.key}
        if execution.open:
            execution.add_event(event, initiatedEventId=sender.initiated_event_id, **told)
            deciding.schedule(execution)

    execution.after_batch.append(send)
