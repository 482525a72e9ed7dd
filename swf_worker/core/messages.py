"""The words of the task's machine: what it is told (events), and what is to be done (commands)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, StrEnum

from ..outcome import Completed, Failed, Outcome
from ..task import CancelReason


class Disposition(StrEnum):
    """How a task ended, seen from here."""

    ACCEPTED = "accepted"
    """SWF accepted the answer."""
    PRESUMED_ACCEPTED = "presumed_accepted"
    """An answer left, its confirmation was lost, and now the task is closed."""
    LATE = "late"
    """SWF had closed the task before the answer came: the answer was dropped."""
    CLOSED = "closed"
    """SWF closed the task while it ran: nothing was answered."""
    HANDED_OVER = "handed_over"
    """manual_completion: whoever holds the token answers."""
    REJECTED = "rejected"
    """SWF refused the answer for good; the task will time out."""
    ABANDONED = "abandoned"
    """The worker stopped without an answer, or before it was accepted."""


class Unfinished(Enum):
    """What a stop does about a handler that still runs when its time is over."""

    ANSWERED = "answered"
    """The process exits right after, and nothing runs on: each is answered."""
    KILLED_OR_LEFT = "killed_or_left"
    """The program goes on without its worker: a process is killed and answered; a thread or a
    coroutine works on, and is answered nothing."""
    LEFT = "left"
    """``on_drain_timeout="abandon"``: nothing is answered."""

    @classmethod
    def of(cls, on_drain_timeout: str, *, process_exits: bool) -> Unfinished:
        """What the worker's option, and the way it runs, make of it."""
        if on_drain_timeout == "abandon":
            return cls.LEFT
        return cls.ANSWERED if process_exits else cls.KILLED_OR_LEFT


# --- events -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class HandlerReturned:
    """The handler returned, and its result encodes and fits."""

    outcome: Completed


@dataclass(frozen=True, slots=True)
class HandlerFailed:
    """The handler, its wrapper or its converter raised, or there is no handler."""

    outcome: Failed


@dataclass(frozen=True, slots=True)
class HandlerCanceled:
    """The handler raised ActivityCanceled, or let out the CancelledError that we delivered."""

    details: str | None = None


@dataclass(frozen=True, slots=True)
class HandlerHandedOver:
    """A manual_completion handler returned."""


@dataclass(frozen=True, slots=True)
class ProcessDied:
    """The handler's process is gone; ``outcome`` is the failure if it died by itself."""

    outcome: Failed


@dataclass(frozen=True, slots=True)
class StopCause:
    """Something asks the handler to stop: a beat's flag, a closed task, a lost lease, the
    drain's end, a near deadline."""

    reason: CancelReason


@dataclass(frozen=True, slots=True)
class GraceOver:
    """``cancel_grace`` has passed since the handler was asked for this cause."""

    reason: CancelReason


@dataclass(frozen=True, slots=True)
class DeadlineReached:
    """The activity's own deadline."""


@dataclass(frozen=True, slots=True)
class CameTooLate:
    """An open poll brought the task when the stop had gone too far to run it."""

    unfinished: Unfinished


@dataclass(frozen=True, slots=True)
class HandlersTimeOver:
    """The stop's time for handlers is over; the last answers go out now."""

    unfinished: Unfinished


@dataclass(frozen=True, slots=True)
class AnswerAccepted:
    """SWF accepted the Respond."""


@dataclass(frozen=True, slots=True)
class AnswerUnknown:
    """The Respond heard UnknownResource, or "Invalid token": the task is closed."""


@dataclass(frozen=True, slots=True)
class AnswerRefused:
    """An AWS ValidationException or SerializationException: the payload was refused."""

    message: str


@dataclass(frozen=True, slots=True)
class AnswerRejected:
    """Any other final 4xx of AWS's."""


@dataclass(frozen=True, slots=True)
class AnswerMissed:
    """The attempt failed for now; ``ambiguous``: it may have been carried out."""

    ambiguous: bool


@dataclass(frozen=True, slots=True)
class RetryDue:
    """The wait between two attempts is over."""


@dataclass(frozen=True, slots=True)
class GivenUp:
    """The stop's time for answers is over: this worker answers no more."""


@dataclass(frozen=True, slots=True)
class Redelivered:
    """SWF handed out the same token again."""


Event = (
    HandlerReturned
    | HandlerFailed
    | HandlerCanceled
    | HandlerHandedOver
    | ProcessDied
    | StopCause
    | GraceOver
    | DeadlineReached
    | CameTooLate
    | HandlersTimeOver
    | AnswerAccepted
    | AnswerUnknown
    | AnswerRefused
    | AnswerRejected
    | AnswerMissed
    | RetryDue
    | GivenUp
    | Redelivered
)


# --- commands -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AskToStop:
    """Tell the handler. ``interrupt``: an async one gets a CancelledError (again)."""

    reason: CancelReason
    interrupt: bool


@dataclass(frozen=True, slots=True)
class StartGrace:
    """Send GraceOver(reason) after ``cancel_grace``."""

    reason: CancelReason


@dataclass(frozen=True, slots=True)
class Kill:
    """Kill the handler's process."""

    reason: CancelReason


@dataclass(frozen=True, slots=True)
class Send:
    """Send this answer."""

    outcome: Outcome


@dataclass(frozen=True, slots=True)
class RetryLater:
    """Send RetryDue after a backoff."""


@dataclass(frozen=True, slots=True)
class StopBeats:
    """No more heartbeats."""


@dataclass(frozen=True, slots=True)
class StartBeats:
    """Heartbeats again, for an answer that is sent again."""


@dataclass(frozen=True, slots=True)
class ReportStuck:
    """Tell, with its stack, that the handler ran past its deadline and can't be killed."""


@dataclass(frozen=True, slots=True)
class Finish:
    """The task is over: free its slot once its handler has ended."""

    disposition: Disposition


Command = (
    AskToStop
    | StartGrace
    | Kill
    | Send
    | RetryLater
    | StopBeats
    | StartBeats
    | ReportStuck
    | Finish
)
