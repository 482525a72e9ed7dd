"""What a refused call means: the service's error -> the event it is for the machine."""

from __future__ import annotations

from ..errors import (
    CredentialsError,
    LimitExceededFault,
    MalformedResponseError,
    OperationNotPermittedFault,
    ServiceError,
    ServiceUnavailableError,
    ThrottledError,
    UnknownResourceFault,
)
from .messages import AnswerMissed, AnswerRefused, AnswerRejected, AnswerUnknown

_PASSING = (
    CredentialsError,
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
    if isinstance(error, UnknownResourceFault):
        return not _domain_is_gone(error)
    return error.code == "ValidationException" and "invalid token" in error.message.lower()


def _domain_is_gone(error: ServiceError) -> bool:
    """Not the task is unknown but its domain: somebody has to mend that."""
    return error.message.lower().startswith("unknown domain")


def of_answer(error: ServiceError) -> AnswerVerdict:
    """What a Respond's error means."""
    if closes_task(error):
        return AnswerUnknown()
    if error.code in _REFUSALS:
        return AnswerRefused(error.message)
    if isinstance(error, _PASSING) or is_denied(error):
        return AnswerMissed(error.ambiguous)
    return AnswerRejected()


def is_denied(error: ServiceError) -> bool:
    """Permissions, credentials or the domain were refused: loud, and retried slowly."""
    if isinstance(error, UnknownResourceFault):
        return _domain_is_gone(error)
    if isinstance(error, CredentialsError):
        return not error.may_pass
    return isinstance(error, OperationNotPermittedFault)


def sheds_pollers(error: ServiceError) -> bool:
    """A poll was told that there are too many."""
    return isinstance(error, (LimitExceededFault, ThrottledError))


def is_fatal_at_start(error: ServiceError) -> bool:
    """A refusal that no waiting mends, before the service has accepted the first poll."""
    if isinstance(error, (ThrottledError, LimitExceededFault, MalformedResponseError)):
        return False
    if isinstance(error, CredentialsError):
        return not error.may_pass
    return not isinstance(error, ServiceUnavailableError)
