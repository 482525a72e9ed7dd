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

- "…DecisionAttributes must be specified for decision of type …": a public thread (aws-swf#2).
- ``Specified token has exceeded its maximum lifetime``: the service's API reference.

Those marked *ours* below nobody has seen from the service.
"""

from __future__ import annotations

from moto.swf.exceptions import (
    SWFClientError,
    SWFDomainAlreadyExistsFault,
    SWFDomainDeprecatedFault,
    SWFUnknownResourceFault,
    SWFValidationException,
)

_CORAL = "com.amazon.coral.service#"
_MODEL = "com.amazonaws.swf.base.model#"


def unknown_domain(name: str) -> SWFClientError:
    """There is no such domain."""
    return SWFUnknownResourceFault("domain", name)


def domain_exists(name: str) -> SWFClientError:
    """Registered already; or not deprecated, and to be undeprecated."""
    return SWFDomainAlreadyExistsFault(name)


def domain_deprecated(name: str) -> SWFClientError:
    """Deprecated already; or deprecated, and something is to be started or registered in it."""
    return SWFDomainDeprecatedFault(name)


def unknown_type(which: str) -> SWFClientError:
    """There is no such type."""
    return SWFUnknownResourceFault("type", which)


def type_exists(which: str) -> SWFClientError:
    """Registered already; or not deprecated, and to be undeprecated."""
    return SWFClientError(f"{_MODEL}TypeAlreadyExistsFault", which)


def type_deprecated(which: str) -> SWFClientError:
    """Deprecated already; or to be started."""
    return SWFClientError(f"{_MODEL}TypeDeprecatedFault", which)


def type_not_deprecated(which: str) -> SWFClientError:
    """To be deleted; the fault is the API reference's, the text ours, as those above."""
    return SWFClientError(f"{_MODEL}TypeNotDeprecatedFault", which)


def unknown_resource(arn: str) -> SWFClientError:
    """Ours: the text for an ARN that is no domain's."""
    return SWFUnknownResourceFault("resource", arn)


def too_many_tags(most: int) -> SWFClientError:
    """The fault is the API reference's; the text is ours."""
    return SWFClientError(
        f"{_MODEL}TooManyTagsFault", f"Local SWF: a domain has {most} tags at most"
    )


def unknown_activity(scheduled_event_id: int) -> SWFClientError:
    """The token's task is closed."""
    return SWFUnknownResourceFault(f"activity, scheduledEventId = {scheduled_event_id}")


def unknown_execution(workflow_id: str, run_id: str) -> SWFClientError:
    """There is no such run; or it is closed, and a token of it was used."""
    return SWFUnknownResourceFault(
        "execution", f"WorkflowExecution=[workflowId={workflow_id}, runId={run_id}]"
    )


def unknown_decision(scheduled_event_id: int) -> SWFClientError:
    """The decision task is closed."""
    return SWFUnknownResourceFault(f"decision task, scheduledEventId = {scheduled_event_id}")


def invalid_token() -> SWFClientError:
    """Not a token of this service."""
    return SWFValidationException("Invalid token")


def unknown_open_execution(workflow_id: str) -> SWFClientError:
    """No execution with this id is open."""
    return SWFUnknownResourceFault(f"execution, workflowId = {workflow_id}")


def page_token_expired() -> SWFClientError:
    """A page token that is older than a day."""
    return SWFValidationException("Specified token has exceeded its maximum lifetime")


def close_must_be_last() -> SWFClientError:
    """A decision after one that closes the execution."""
    return SWFValidationException("Close must be last decision in list")


def incompatible_with_close() -> SWFClientError:
    """A batch that begins something and closes the execution; the text is from a public test that
    ran on the service (swiffer's ``MakeDecisionAfterCloseIT``)."""
    return SWFValidationException("Specified decision is incompatible with close decision")


def attributes_missing(kind: str) -> SWFClientError:
    """A decision without its attributes."""
    return SWFValidationException(
        f"{kind}DecisionAttributes must be specified for decision of type {kind}"
    )


def exclusive_filters(names: list[str]) -> SWFClientError:
    """Filters that can't be together, by the names of their types; the text is from the source of
    a decider that met it (elife-bot's ``SWFMeta``)."""
    return SWFValidationException(
        f"Cannot specify more than one exclusive filters in the same query: [{', '.join(names)}]"
    )


def two_time_filters() -> SWFClientError:
    """As moto words it: the start and the close."""
    return SWFValidationException("Cannot specify both a startTimeFilter and a closeTimeFilter")


def time_filter_needed() -> SWFClientError:
    """As moto words it: a list of closed executions without a time filter."""
    return SWFValidationException("Must specify time filter")


def default_undefined(member: str) -> SWFClientError:
    """Neither the call nor the type says it."""
    return SWFClientError(f"{_MODEL}DefaultUndefinedFault", member)


def too_many_executions() -> SWFClientError:
    """Ours: the text for a domain that is full."""
    return SWFClientError(
        f"{_MODEL}LimitExceededFault",
        "Local SWF: 100,000 executions of the domain are open",
    )


def throttled() -> SWFClientError:
    """A call over its quota. Text and type: live captures."""
    return SWFClientError("com.amazon.coral.availability#ThrottlingException", "Rate exceeded")


def too_many_pollers() -> SWFClientError:
    """One poll too many; the text is from a public thread (simpleflow#250)."""
    return SWFClientError(
        f"{_MODEL}LimitExceededFault",
        "Limit on maximum concurrent poll requests per task list reached",
    )


def cancel_not_requested(scheduled_event_id: int) -> SWFClientError:
    """Ours: what the service says to Canceled without a request is not known."""
    return SWFValidationException(
        "Local SWF: RespondActivityTaskCanceled without a cancel request "
        f"(scheduledEventId = {scheduled_event_id})"
    )


def not_implemented(what: str) -> SWFClientError:
    """Ours: a part of SWF that the local one doesn't have."""
    return SWFValidationException(f"Local SWF: {what} is not implemented")


def internal() -> SWFClientError:
    """Something is wrong with the local SWF itself; its log says what."""
    return SWFClientError(
        f"{_CORAL}InternalFailure", "Local SWF: an error of its own, which its log tells"
    )


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
