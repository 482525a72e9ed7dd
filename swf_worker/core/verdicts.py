"""What a refused call means: the service's error -> the event it is for the machine."""

from __future__ import annotations

from ..errors import (
    LimitExceededFault,
    MalformedResponseError,
    OperationNotPermittedFault,
    ServiceError,
    ServiceUnavailableError,
    ThrottledError,
    UnknownResourceFault,
)
from .execution import AnswerMissed, AnswerRefused, AnswerRejected, AnswerUnknown

_PASSING = (
    ThrottledError,
    ServiceUnavailableError,
    MalformedResponseError,
    LimitExceededFault,
    OperationNotPermittedFault,
)
_REFUSALS = ("ValidationException", "SerializationException")

AnswerVerdict = AnswerUnknown | AnswerRefused | AnswerRejected | AnswerMissed


def closes_task(error: ServiceError) -> bool:
    """A beat or an answer heard that its task is closed, or that the token is none."""
    return isinstance(error, UnknownResourceFault) or "invalid token" in error.message.lower()


def of_answer(error: ServiceError) -> AnswerVerdict:
    """What a Respond's error means."""
    if closes_task(error):
        return AnswerUnknown()
    if error.code in _REFUSALS:
        return AnswerRefused(error.message)
    if isinstance(error, _PASSING):
        return AnswerMissed(error.ambiguous)
    return AnswerRejected()


def is_denied(error: ServiceError) -> bool:
    """Permissions or credentials were refused: loud, and retried slowly."""
    return isinstance(error, OperationNotPermittedFault)


def sheds_pollers(error: ServiceError) -> bool:
    """A poll was told that there are too many."""
    return isinstance(error, (LimitExceededFault, ThrottledError))


def is_fatal_at_start(error: ServiceError) -> bool:
    """A refusal that no waiting mends, before the service has accepted the first poll."""
    if isinstance(error, (ThrottledError, LimitExceededFault, MalformedResponseError)):
        return False
    return not isinstance(error, ServiceUnavailableError)
