"""SWF's faults, as moto's exceptions: HTTP 400, ``__type`` and a message.

Where the texts come from:

- ``Unknown activity, scheduledEventId = N``, an UnknownResourceFault with the prefix
  ``com.amazonaws.swf.base.model#``: moto's tests and the SWF tests of the project floci.
- ``Unknown execution: WorkflowExecution=[…]`` for the token of a closed execution: moto's tests;
  that the service says so on heartbeats, too: sclasen/swfsm#59.
- ``Invalid token`` with ``com.amazon.coral.validate#ValidationException``, and ``Unknown domain``,
  ``Unknown type``, the ``…AlreadyExistsFault`` and ``…DeprecatedFault`` texts: moto's tests.
- "N validation errors detected: Value '…' at '…' failed to satisfy constraint: …": moto's
  validation of decisions, which keeps SWF's order of enum values.

Those marked *ours* below nobody has seen from the service.
"""

from __future__ import annotations

from moto.swf.exceptions import SWFClientError, SWFUnknownResourceFault, SWFValidationException

_CORAL = "com.amazon.coral.service#"


def unknown_activity(scheduled_event_id: int) -> SWFClientError:
    """The token's task is closed."""
    return SWFUnknownResourceFault(f"activity, scheduledEventId = {scheduled_event_id}")


def unknown_execution(workflow_id: str, run_id: str) -> SWFClientError:
    """The token's execution is closed."""
    return SWFUnknownResourceFault(
        "execution", f"WorkflowExecution=[workflowId={workflow_id}, runId={run_id}]"
    )


def unknown_decision(scheduled_event_id: int) -> SWFClientError:
    """The decision task is closed."""
    return SWFUnknownResourceFault(f"decision task, scheduledEventId = {scheduled_event_id}")


def invalid_token() -> SWFClientError:
    """Not a token of this service."""
    return SWFValidationException("Invalid token")


def cancel_not_requested(scheduled_event_id: int) -> SWFClientError:
    """Ours: what the service says to Canceled without a request is not known."""
    return SWFValidationException(
        "Local SWF: RespondActivityTaskCanceled without a cancel request "
        f"(scheduledEventId = {scheduled_event_id})"
    )


def not_implemented(what: str) -> SWFClientError:
    """Ours: a part of SWF that the local one doesn't have."""
    return SWFValidationException(f"Local SWF: {what} is not implemented")


def unknown_operation(target: str) -> SWFClientError:
    """No such operation."""
    return SWFClientError(f"{_CORAL}UnknownOperationException", f"no operation {target!r}")


def serialization(message: str) -> SWFClientError:
    """The body isn't the JSON that the operation takes."""
    return SWFClientError(f"{_CORAL}SerializationException", message)


def validation(problems: list[str]) -> SWFClientError:
    """Values that break the model's constraints, worded as SWF words them."""
    count = f"{len(problems)} validation error{'s' if len(problems) > 1 else ''} detected: "
    return SWFValidationException(count + "; ".join(problems))
