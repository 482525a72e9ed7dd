"""One task, from the poll's answer to its end: events in, commands out (``messages.py`` has both).

The rules, which ``tests/core/test_execution_walk.py`` proves for every state and event:

1. At most one answer is decided. When the handler ends, the decision is frozen. (Only a result that
   SWF refuses is replaced, by a failure that says so.)
2. Canceled is answered only after a heartbeat of this task reported the request.
3. Nothing is answered after SWF said that the task is closed: ``_unanswerable`` holds that.
4. A finished result wins over every cause to stop, but for a closed task (rule 3).
5. After an answer that may have been carried out (*ambiguous*) no different answer is sent.
6. Nothing is killed that nobody asked to stop, and only a process can be killed.

``step(state, event)`` returns the next state and the commands to perform, in order.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum

from ..failure import FailureWording
from ..outcome import Canceled, Completed, Failed, FailureReason, Outcome
from ..task import CancelReason
from .messages import (
    AnswerAccepted,
    AnswerMissed,
    AnswerRefused,
    AnswerRejected,
    AnswerUnknown,
    AskToStop,
    CameTooLate,
    Command,
    DeadlineReached,
    Disposition,
    Event,
    Finish,
    GivenUp,
    GraceOver,
    HandlerCanceled,
    HandlerFailed,
    HandlerHandedOver,
    HandlerReturned,
    HandlersTimeOver,
    Kill,
    ProcessDied,
    Redelivered,
    ReportStuck,
    RetryDue,
    RetryLater,
    Send,
    StartBeats,
    StartGrace,
    StopBeats,
    StopCause,
    Unfinished,
)

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
    first_own_cause: CancelReason | None = None
    """What the worker itself asked it to stop for, first: its shutdown, a deadline, a lost lease.
    (SWF's own causes are the cancel request and the task's close.)"""
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


Step = tuple[Execution, tuple[Command, ...]]

_NOTHING: tuple[Command, ...] = ()
_INTERRUPTS_AGAIN = frozenset(
    {CancelReason.WORKER_SHUTDOWN, CancelReason.TIMED_OUT, CancelReason.TASK_CLOSED}
)
"""Causes after which little or no time is left: a coroutine that is undoing its work already gets a
second CancelledError. A request or a lost lease leaves it all its time: its undoing goes on."""
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
    if isinstance(event, HANDLER_ENDS):
        if state.handler_done:
            return state, _NOTHING
        state = replace(state, handler_done=True)
    elif isinstance(event, (AnswerMissed, StopCause)):
        state = _note(state, event)
    if state.causes and state.closed and _unanswerable(state, event):  # most have no causes
        return _end(state, Disposition.CLOSED if state.answer is None else _late_disposition(state))
    return _PHASES[state.phase](state, event)


HANDLER_ENDS = (
    HandlerReturned,
    HandlerFailed,
    HandlerCanceled,
    HandlerHandedOver,
    ProcessDied,
    CameTooLate,
)
"""After these no handler runs."""


def _note(state: Execution, event: AnswerMissed | StopCause) -> Execution:
    """What is known of an answer from now on, whatever follows from it."""
    match event:
        case AnswerMissed(ambiguous) if state.phase is Phase.SENDING:
            return replace(state, ambiguous=state.ambiguous or ambiguous)
        case StopCause(CancelReason.TASK_CLOSED) if state.phase in (Phase.SENDING, Phase.WAITING):
            return replace(state, causes=state.causes | {CancelReason.TASK_CLOSED})
    return state


def _unanswerable(state: Execution, event: Event) -> bool:
    """Rule 3: whether ``event`` would have a closed task answered, or answered once more."""
    match state.phase:
        case Phase.RUNNING:
            return isinstance(event, (*HANDLER_ENDS, HandlersTimeOver, GivenUp))
        case Phase.SENDING:
            # It may be our own answer that closed it: the Respond in flight decides.
            return isinstance(event, (AnswerMissed, AnswerRefused))
        case Phase.WAITING:
            return True
    return False


def _running(state: Execution, event: Event) -> Step:
    match event:
        case HandlerReturned(outcome) | HandlerFailed(outcome):
            return _decide(state, outcome)
        case HandlerCanceled(details):
            return _decide(state, _outcome_of_stop(state, details))
        case HandlerHandedOver():
            return _end(state, Disposition.HANDED_OVER)
        case ProcessDied(outcome):
            return _decide(state, _outcome_of_death(state, outcome))
        case StopCause(reason):
            return _ask(state, reason)
        case GraceOver(reason) if _may_kill(state.policy, reason):
            return _kill(state, reason)
        case DeadlineReached():
            return _deadline(state)
        case CameTooLate(unfinished):
            return _too_late(state, unfinished)
        case HandlersTimeOver(unfinished):
            return _time_over(state, unfinished)
        case GivenUp():
            return _end(state, Disposition.ABANDONED)
    return state, _NOTHING  # answers, retries and repeats mean nothing before a decision


def _sending(state: Execution, event: Event) -> Step:
    match event:
        case AnswerAccepted():
            return _end(state, Disposition.ACCEPTED)
        case AnswerUnknown():
            return _end(state, _late_disposition(state))
        case AnswerRefused(message):
            return _refused(state, message)
        case AnswerRejected():
            return _end(state, Disposition.REJECTED)
        case AnswerMissed():
            return replace(state, phase=Phase.WAITING), (RetryLater(),)
        case StopCause(CancelReason.TASK_CLOSED):
            return _stop_beats(state)
        case GivenUp():
            return _end(state, Disposition.ABANDONED)
    return state, _NOTHING  # frozen: no later flag changes the decision


def _waiting(state: Execution, event: Event) -> Step:
    match event:
        case RetryDue() | HandlersTimeOver():  # no backoff any more: these are its last seconds
            assert state.answer is not None  # it is what waits
            return replace(state, phase=Phase.SENDING), (Send(state.answer),)
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

# --- how the handler ended ----------------------------------------------------------------------


def _decide(state: Execution, outcome: Outcome) -> Step:
    return replace(state, phase=Phase.SENDING, answer=outcome), (Send(outcome),)


def _outcome_of_stop(state: Execution, details: str | None) -> Outcome:
    """The handler says that it stopped because it was asked to: was it, and by whom?"""
    if state.requested:
        return Canceled(details)
    if state.first_own_cause is not None:
        return _failure(state, state.first_own_cause)
    return state.policy.wording.of_sdk(
        FailureReason.CANCEL_NOT_REQUESTED,
        "the handler raised ActivityCanceled, and nothing had asked it to stop",
    )


def _outcome_of_death(state: Execution, by_itself: Failed) -> Outcome:
    if state.killed_for is None:
        return by_itself
    if state.policy.cancel_kills and state.requested:
        return Canceled()
    # Of SWF's own causes a request kills only with cancel_kills, and a closed task isn't answered.
    assert state.killed_for in _FAILURE_OF
    return _failure(state, state.killed_for)


def _failure(state: Execution, reason: CancelReason) -> Failed:
    code, message = _FAILURE_OF[reason]
    return state.policy.wording.of_sdk(code, message)


# --- asking it to stop --------------------------------------------------------------------------


def _ask(state: Execution, reason: CancelReason) -> Step:
    if reason in state.causes:
        return state, _NOTHING
    commands: list[Command] = [
        AskToStop(reason, interrupt=not state.causes or reason in _INTERRUPTS_AGAIN)
    ]
    asked = replace(state, causes=state.causes | {reason})
    if reason in _FAILURE_OF and state.first_own_cause is None:
        asked = replace(asked, first_own_cause=reason)
    if reason is CancelReason.TASK_CLOSED:
        asked, silence = _stop_beats(asked)
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


def _ask_and_kill(state: Execution, reason: CancelReason) -> Step:
    state, asked = _ask(state, reason)
    state, killing = _kill(state, reason)
    return state, asked + killing


def _deadline(state: Execution) -> Step:
    if state.policy.killable:
        return _ask_and_kill(state, CancelReason.TIMED_OUT)
    # Still at work on a task that this worker gives no more time: SWF may hand it to another.
    # If it ends all the same, its answer is tried as any other.
    state, asked = _ask(state, CancelReason.TIMED_OUT)
    state, silence = _stop_beats(state)
    return state, (*asked, *silence, ReportStuck())


# --- the worker stops ---------------------------------------------------------------------------


def _too_late(state: Execution, unfinished: Unfinished) -> Step:
    if unfinished is Unfinished.LEFT:
        return _end(state, Disposition.ABANDONED)
    too_late = state.policy.wording.of_sdk(
        FailureReason.WORKER_SHUTDOWN, "the worker was stopping when the task came"
    )
    return _decide(state, too_late)


def _time_over(state: Execution, unfinished: Unfinished) -> Step:
    if unfinished is Unfinished.LEFT:
        return _end(state, Disposition.ABANDONED)
    if state.policy.killable:
        if state.killed_for is not None:
            return state, _NOTHING  # its end is near, and answers it
        return _ask_and_kill(state, CancelReason.WORKER_SHUTDOWN)
    if unfinished is Unfinished.KILLED_OR_LEFT:
        return _end(state, Disposition.ABANDONED)
    return _decide(state, _failure(state, CancelReason.WORKER_SHUTDOWN))


# --- the answer ---------------------------------------------------------------------------------


def _refused(state: Execution, message: str) -> Step:
    if not isinstance(state.answer, Completed) or state.ambiguous:
        return _end(state, Disposition.REJECTED)
    instead = state.policy.wording.of_sdk(
        FailureReason.RESULT_REFUSED, f"SWF refused the result: {message}"
    )
    return _decide(state, instead)


def _late_disposition(state: Execution) -> Disposition:
    return Disposition.PRESUMED_ACCEPTED if state.ambiguous else Disposition.LATE


def _stop_beats(state: Execution) -> Step:
    if not state.beating:
        return state, _NOTHING
    return replace(state, beating=False), (StopBeats(),)


def _end(state: Execution, disposition: Disposition) -> Step:
    silence = (StopBeats(),) if state.beating else _NOTHING
    ended = replace(state, phase=Phase.ENDED, disposition=disposition, beating=False)
    return ended, (*silence, Finish(disposition))
