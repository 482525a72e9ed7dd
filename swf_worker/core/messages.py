"""The words of the task's machine: what it is told (events), and what is to be done (commands)."""

from __future__ import annotations

from enum import Enum, StrEnum

from msgspec import Struct

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


class HandlerReturned(Struct, frozen=True):
    """The handler returned, and its result encodes and fits."""

    outcome: Completed


class HandlerFailed(Struct, frozen=True):
    """The handler, its wrapper or its converter raised, or there is no handler."""

    outcome: Failed


class HandlerCanceled(Struct, frozen=True):
    """The handler raised ActivityCanceled, or let out the CancelledError that we delivered."""

    details: str | None = None


class HandlerHandedOver(Struct, frozen=True):
    """A manual_completion handler returned."""


class ProcessDied(Struct, frozen=True):
    """The handler's process is gone; ``outcome`` is the failure if it died by itself."""

    outcome: Failed


class StopCause(Struct, frozen=True):
    """Something asks the handler to stop: a beat's flag, a closed task, a lost lease, the
    drain's end, a near deadline."""

    reason: CancelReason


class GraceOver(Struct, frozen=True):
    """``cancel_grace`` has passed since the handler was asked for this cause."""

    reason: CancelReason


class DeadlineReached(Struct, frozen=True):
    """The activity's own deadline."""


class CameTooLate(Struct, frozen=True):
    """An open poll brought the task when the stop had gone too far to run it."""

    unfinished: Unfinished


class HandlersTimeOver(Struct, frozen=True):
    """The stop's time for handlers is over; the last answers go out now."""

    unfinished: Unfinished


class AnswerAccepted(Struct, frozen=True):
    """SWF accepted the Respond."""


class AnswerUnknown(Struct, frozen=True):
    """The Respond heard UnknownResource, or "Invalid token": the task is closed."""


class AnswerRefused(Struct, frozen=True):
    """An AWS ValidationException or SerializationException: the payload was refused."""

    message: str


class AnswerRejected(Struct, frozen=True):
    """Any other final 4xx of AWS's."""


class AnswerMissed(Struct, frozen=True):
    """The attempt failed for now; ``ambiguous``: it may have been carried out."""

    ambiguous: bool


class RetryDue(Struct, frozen=True):
    """The wait between two attempts is over."""


class GivenUp(Struct, frozen=True):
    """The stop's time for answers is over: this worker answers no more."""


class Redelivered(Struct, frozen=True):
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


class AskToStop(Struct, frozen=True):
    """Tell the handler. ``interrupt``: an async one gets a CancelledError (again)."""

    reason: CancelReason
    interrupt: bool


class StartGrace(Struct, frozen=True):
    """Send GraceOver(reason) after ``cancel_grace``."""

    reason: CancelReason


class Kill(Struct, frozen=True):
    """Kill the handler's process."""

    reason: CancelReason


class Send(Struct, frozen=True):
    """Send this answer."""

    outcome: Outcome


class RetryLater(Struct, frozen=True):
    """Send RetryDue after a backoff."""


class StopBeats(Struct, frozen=True):
    """No more heartbeats."""


class StartBeats(Struct, frozen=True):
    """Heartbeats again, for an answer that is sent again."""


class ReportStuck(Struct, frozen=True):
    """Tell, with its stack, that the handler ran past its deadline and can't be killed."""


class Finish(Struct, frozen=True):
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
