"""One task, from the poll's answer to its end: events in, commands out.

The rules, which ``tests/core/test_execution_walk.py`` proves for every state and event:

1. At most one answer is decided. When the handler ends, the decision is frozen.
2. Canceled is answered only after a heartbeat of this task reported the request.
3. Nothing is answered after SWF said that the task is closed.
4. A finished result wins over every cause to stop.
5. After an answer that may have been carried out (*ambiguous*) no different answer is sent.
6. Nothing is killed that nobody asked to stop, and only a process can be killed.

``step(state, event)`` returns the next state and the commands to perform, in order.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum, StrEnum

from ..failure import FailureWording
from ..outcome import Canceled, Completed, Failed, FailureReason, Outcome
from ..task import CancelReason

# --- state --------------------------------------------------------------------------------------


class Phase(Enum):
    """Where a task is."""

    RUNNING = "running"
    """Its handler has not ended, and nothing is decided."""
    SENDING = "sending"
    """The decision stands; a Respond is in flight."""
    WAITING = "waiting"
    """The decision stands; the next attempt of the Respond waits for its time."""
    ENDED = "ended"
    """Over for this worker."""


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


@dataclass(frozen=True, slots=True)
class Policy:
    """What is fixed for a task: how its handler runs, and what its activity allows."""

    killable: bool = False
    """It runs in a process of its own."""
    cancel_kills: bool = False
    wording: FailureWording = field(default_factory=FailureWording)


@dataclass(frozen=True, slots=True)
class Execution:
    """The state of one task."""

    policy: Policy
    phase: Phase = Phase.RUNNING
    causes: frozenset[CancelReason] = frozenset()
    first: CancelReason | None = None
    """The first cause that was neither the task's close nor a request."""
    killed_for: CancelReason | None = None
    beating: bool = True
    handler_done: bool = False
    answer: Outcome | None = None
    ambiguous: bool = False
    """Some attempt of this answer may have been carried out."""
    disposition: Disposition | None = None

    @property
    def closed(self) -> bool:
        """SWF said that the task is closed."""
        return CancelReason.TASK_CLOSED in self.causes

    @property
    def requested(self) -> bool:
        """A heartbeat reported the cancel request."""
        return CancelReason.REQUESTED in self.causes


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
class ProcessExiting:
    """The worker's process exits as soon as the last answers are out: nothing will run on."""


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
    """The stop's time for answers is over, or ``on_drain_timeout="abandon"``, or an embedded
    stop: this worker answers no more."""


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
    | ProcessExiting
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
Step = tuple[Execution, tuple[Command, ...]]

_NOTHING: tuple[Command, ...] = ()
_INTERRUPTS_AGAIN = frozenset(
    {CancelReason.WORKER_SHUTDOWN, CancelReason.TIMED_OUT, CancelReason.TASK_CLOSED}
)
_FAILURE_OF = {
    CancelReason.WORKER_SHUTDOWN: (
        FailureReason.WORKER_SHUTDOWN,
        "the worker was stopped before the work was done",
    ),
    CancelReason.TIMED_OUT: (
        FailureReason.HANDLER_TIMED_OUT,
        "the work was not done at the activity's deadline",
    ),
    CancelReason.LEASE_LOST: (
        FailureReason.LEASE_LOST,
        "no heartbeat was accepted for the activity's heartbeat_deadline",
    ),
}


# --- the machine --------------------------------------------------------------------------------


def step(state: Execution, event: Event) -> Step:
    """The whole machine: what ``event`` makes of ``state``, and what is to be done."""
    if isinstance(event, _HANDLER_ENDS):
        if state.handler_done:
            return state, _NOTHING
        state = replace(state, handler_done=True)
    return _PHASES[state.phase](state, event)


_HANDLER_ENDS = (HandlerReturned, HandlerFailed, HandlerCanceled, HandlerHandedOver, ProcessDied)


def _running(state: Execution, event: Event) -> Step:
    match event:
        case HandlerReturned(outcome) | HandlerFailed(outcome):
            return _decide(state, outcome)
        case HandlerCanceled(details):
            return _decide(state, _stopped(state, details))
        case HandlerHandedOver():
            return _end(state, Disposition.CLOSED if state.closed else Disposition.HANDED_OVER)
        case ProcessDied(outcome):
            return _decide(state, _died(state, outcome))
        case StopCause(reason):
            return _ask(state, reason)
        case GraceOver(reason) if _may_kill(state.policy, reason):
            return _kill(state, reason)
        case DeadlineReached():
            return _deadline(state)
        case ProcessExiting():
            return _exiting(state)
        case GivenUp():
            return _end(state, Disposition.CLOSED if state.closed else Disposition.ABANDONED)
    return state, _NOTHING  # answers, retries and repeats mean nothing before a decision


def _sending(state: Execution, event: Event) -> Step:
    match event:
        case AnswerAccepted():
            return _end(state, Disposition.ACCEPTED)
        case AnswerUnknown():
            return _end(state, _closed_before(state.ambiguous))
        case AnswerRefused(message):
            return _refused(state, message)
        case AnswerRejected():
            return _end(state, Disposition.REJECTED)
        case AnswerMissed(ambiguous):
            missed = replace(state, ambiguous=state.ambiguous or ambiguous)
            if state.closed:
                return _end(missed, _closed_before(missed.ambiguous))
            return replace(missed, phase=Phase.WAITING), (RetryLater(),)
        case StopCause(CancelReason.TASK_CLOSED):
            # It may be our own answer that closed it: the Respond in flight decides.
            return _silenced(replace(state, causes=state.causes | {CancelReason.TASK_CLOSED}))
        case GivenUp():
            return _end(state, Disposition.ABANDONED)
    return state, _NOTHING  # frozen: no later flag changes the decision


def _waiting(state: Execution, event: Event) -> Step:
    match event:
        case RetryDue():
            assert state.answer is not None
            return replace(state, phase=Phase.SENDING), (Send(state.answer),)
        case StopCause(CancelReason.TASK_CLOSED):
            closed = replace(state, causes=state.causes | {CancelReason.TASK_CLOSED})
            return _end(closed, _closed_before(state.ambiguous))
        case GivenUp():
            return _end(state, Disposition.ABANDONED)
    return state, _NOTHING


def _ended(state: Execution, event: Event) -> Step:
    match event:
        case Redelivered() if state.answer and state.disposition is not Disposition.ACCEPTED:
            # SWF says it is open after all: what was decided then still stands.
            reopened = replace(
                state,
                phase=Phase.SENDING,
                disposition=None,
                beating=True,
                causes=state.causes - {CancelReason.TASK_CLOSED},
            )
            return reopened, (StartBeats(), Send(state.answer))
    return state, _NOTHING


_PHASES = {
    Phase.RUNNING: _running,
    Phase.SENDING: _sending,
    Phase.WAITING: _waiting,
    Phase.ENDED: _ended,
}

# --- parts of it --------------------------------------------------------------------------------


def _decide(state: Execution, outcome: Outcome) -> Step:
    if state.closed:
        return _end(state, Disposition.CLOSED)
    return replace(state, phase=Phase.SENDING, answer=outcome), (Send(outcome),)


def _stopped(state: Execution, details: str | None) -> Outcome:
    """The handler says that it stopped because it was asked to: was it, and by whom?"""
    if state.requested:
        return Canceled(details)
    if state.first is not None:
        return _failure(state, state.first)
    return state.policy.wording.of_sdk(
        FailureReason.CANCEL_NOT_REQUESTED,
        "the handler raised ActivityCanceled, and nothing had asked it to stop",
    )


def _died(state: Execution, by_itself: Failed) -> Outcome:
    if state.killed_for is None or state.closed:
        return by_itself  # of a closed task nothing is answered anyway
    if state.policy.cancel_kills and state.requested:
        return Canceled()
    assert state.killed_for in _FAILURE_OF
    return _failure(state, state.killed_for)


def _failure(state: Execution, reason: CancelReason) -> Failed:
    code, message = _FAILURE_OF[reason]
    return state.policy.wording.of_sdk(code, message)


def _ask(state: Execution, reason: CancelReason) -> Step:
    if reason in state.causes:
        return state, _NOTHING
    commands: list[Command] = [
        AskToStop(reason, interrupt=not state.causes or reason in _INTERRUPTS_AGAIN)
    ]
    asked = replace(state, causes=state.causes | {reason})
    if reason in _FAILURE_OF and state.first is None:
        asked = replace(asked, first=reason)
    if reason is CancelReason.TASK_CLOSED:
        asked, silence = _silenced(asked)
        commands.extend(silence)
    if _may_kill(asked.policy, reason):
        commands.append(StartGrace(reason))
    return asked, tuple(commands)


def _may_kill(policy: Policy, reason: CancelReason) -> bool:
    if not policy.killable or reason is CancelReason.TIMED_OUT:  # the deadline itself kills
        return False
    return reason is not CancelReason.REQUESTED or policy.cancel_kills


def _kill(state: Execution, reason: CancelReason) -> Step:
    wanted = state.policy.killable and reason in state.causes and state.killed_for is None
    if not wanted:
        return state, _NOTHING
    return replace(state, killed_for=reason), (Kill(reason),)


def _deadline(state: Execution) -> Step:
    state, asked = _ask(state, CancelReason.TIMED_OUT)
    if state.policy.killable:
        state, killing = _kill(state, CancelReason.TIMED_OUT)
        return state, asked + killing
    # Still at work on a task that this worker gives no more time: SWF may hand it to another.
    # If it ends all the same, its answer is tried as any other.
    state, silence = _silenced(state)
    return state, (*asked, *silence, ReportStuck())


def _exiting(state: Execution) -> Step:
    if state.closed:
        return _end(state, Disposition.CLOSED)
    if state.killed_for is not None:
        return state, _NOTHING  # its end is near, and answers it
    if state.policy.killable:
        state, asked = _ask(state, CancelReason.WORKER_SHUTDOWN)
        state, killing = _kill(state, CancelReason.WORKER_SHUTDOWN)
        return state, asked + killing
    return _decide(state, _failure(state, CancelReason.WORKER_SHUTDOWN))


def _refused(state: Execution, message: str) -> Step:
    if state.closed:
        return _end(state, _closed_before(state.ambiguous))
    if not isinstance(state.answer, Completed) or state.ambiguous:
        return _end(state, Disposition.REJECTED)
    instead = state.policy.wording.of_sdk(
        FailureReason.RESULT_REFUSED, f"SWF refused the result: {message}"
    )
    return replace(state, answer=instead), (Send(instead),)


def _closed_before(ambiguous: bool) -> Disposition:
    return Disposition.PRESUMED_ACCEPTED if ambiguous else Disposition.LATE


def _silenced(state: Execution) -> Step:
    if not state.beating:
        return state, _NOTHING
    return replace(state, beating=False), (StopBeats(),)


def _end(state: Execution, disposition: Disposition) -> Step:
    silence = (StopBeats(),) if state.beating else _NOTHING
    ended = replace(state, phase=Phase.ENDED, disposition=disposition, beating=False)
    return ended, (*silence, Finish(disposition))
