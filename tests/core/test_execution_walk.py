"""Walks every state of the task's machine with every event, and proves its rules."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import replace

import pytest

from swf_worker.core import messages
from swf_worker.core.execution import HANDLER_ENDS, Execution, Phase, Policy, step
from swf_worker.core.messages import (
    AnswerRefused,
    AskToStop,
    CameTooLate,
    Disposition,
    Finish,
    HandlersTimeOver,
    Kill,
    ProcessDied,
    Redelivered,
    Send,
    StartBeats,
    StopBeats,
    Unfinished,
)
from swf_worker.outcome import Canceled, Completed, Failed, FailureReason, Outcome
from swf_worker.task import CancelReason
from tests.core.walks import where

POLICIES = (
    Policy(killable=False),
    Policy(killable=True),
    Policy(killable=True, cancel_kills=True),
)
RESULT, OWN_FAILURE, DIED = Completed("result"), Failed("Own"), Failed("HandlerDied")
EVENTS: tuple[messages.Event, ...] = (
    messages.HandlerReturned(RESULT),
    messages.HandlerFailed(OWN_FAILURE),
    messages.HandlerCanceled("details"),
    messages.HandlerHandedOver(),
    messages.ProcessDied(DIED),
    *(messages.StopCause(reason) for reason in CancelReason),
    *(messages.GraceOver(reason) for reason in CancelReason),
    messages.DeadlineReached(),
    *(messages.CameTooLate(unfinished) for unfinished in Unfinished),
    *(messages.HandlersTimeOver(unfinished) for unfinished in Unfinished),
    messages.AnswerAccepted(),
    messages.AnswerUnknown(),
    messages.AnswerRefused("bad"),
    messages.AnswerRejected(),
    messages.AnswerMissed(ambiguous=True),
    messages.AnswerMissed(ambiguous=False),
    messages.RetryDue(),
    messages.GivenUp(),
    messages.Redelivered(),
)
ANSWERS = (
    messages.AnswerAccepted,
    messages.AnswerUnknown,
    messages.AnswerRefused,
    messages.AnswerRejected,
    messages.AnswerMissed,
)

Transition = tuple[Execution, messages.Event, Execution, tuple[messages.Command, ...]]


def transitions() -> Iterator[Transition]:
    """Every reachable state with every event."""
    todo = deque(Execution(policy) for policy in POLICIES)
    seen = set(todo)
    while todo:
        state = todo.popleft()
        for event in EVENTS:
            after, commands = step(state, event)
            yield state, event, after, commands
            if after not in seen:
                seen.add(after)
                todo.append(after)


@pytest.fixture(scope="module")
def walk() -> list[Transition]:
    return list(transitions())


def test_the_walk_covers_every_state_and_event(walk, record_property):
    states = {state for state, *_ in walk}
    kinds = {type(event) for event in EVENTS}
    assert kinds == set(messages.Event.__args__), "an event type is missing from the walk"
    assert {type(c) for *_, commands in walk for c in commands} == set(messages.Command.__args__)
    assert {state.phase for state in states} == set(Phase)
    assert {state.disposition for state in states} == {None, *Disposition}
    record_property(
        "figure",
        f"walked {len(states)} states x {len(EVENTS)} events of {len(kinds)} kinds = "
        f"{len(walk)} transitions",
    )


def test_the_decision_stands_once_made(walk):
    """A second, different answer would be a lie to the decider."""
    changed = where(walk, lambda before, _, after, __: before.answer not in (None, after.answer))
    for before, event, after, _ in changed:
        assert isinstance(event, AnswerRefused), (before, event, after)
        assert before.phase is Phase.SENDING
        assert isinstance(before.answer, Completed)
        assert not before.ambiguous
        assert isinstance(after.answer, Failed)
        assert after.answer.reason == FailureReason.RESULT_REFUSED


def test_only_the_decided_answer_is_ever_sent(walk):
    for before, event, after, commands in where(walk, sends):
        (send,) = (command for command in commands if isinstance(command, Send))
        assert send.outcome == after.answer
        assert after.phase is Phase.SENDING
        assert before.phase is not Phase.SENDING or isinstance(event, AnswerRefused), (
            "an answer in flight was sent again"
        )


def sends(before, event, after, commands):
    return any(isinstance(command, Send) for command in commands)


def test_canceled_only_after_a_request(walk):
    canceled = where(walk, lambda _, __, after, ___: isinstance(after.answer, Canceled))
    for before, event, after, _ in canceled:
        assert CancelReason.REQUESTED in after.causes, (before, event)


def test_nothing_is_sent_after_the_task_is_closed(walk):
    for before, event, after, commands in where(walk, lambda before, *_: before.closed):
        if isinstance(event, Redelivered):
            continue  # SWF says that it is open after all
        assert not sends(before, event, after, commands), (before, event)


def test_a_finished_result_wins(walk):
    def finishes(before, event, *_):
        fresh = before.phase is Phase.RUNNING and not before.handler_done and not before.closed
        return fresh and isinstance(event, messages.HandlerReturned)

    causes = set()
    for before, _, after, _ in where(walk, finishes):
        assert after.answer == RESULT
        causes |= before.causes
    assert causes == set(CancelReason) - {CancelReason.TASK_CLOSED}


def test_after_an_ambiguous_attempt_no_different_answer(walk):
    for before, _, after, _ in where(walk, lambda before, *_: before.ambiguous):
        assert after.answer == before.answer


def test_what_may_have_been_carried_out_is_never_forgotten(walk):
    for before, event, after, _ in where(walk, lambda before, *_: before.ambiguous):
        assert after.ambiguous, (before, event)
    missed = messages.AnswerMissed(ambiguous=True)
    for _, __, after, ___ in where(
        walk, lambda before, event, *_: event == missed and before.phase is Phase.SENDING
    ):
        assert after.ambiguous


def test_whatever_waits_for_an_answer_has_sent_it(walk):
    """An answer that is neither in flight nor waiting for its retry would never come."""

    def enters(phase):
        return lambda before, _, after, __: after.phase is phase and before.phase is not phase

    for before, event, after, commands in where(walk, enters(Phase.SENDING)):
        assert sends(before, event, after, commands), (before, event)
    for _, __, ___, commands in where(walk, enters(Phase.WAITING)):
        assert commands == (messages.RetryLater(),)


def test_unknown_after_an_ambiguous_attempt_is_presumed_accepted(walk):
    def unknown(before, event, *_):
        return isinstance(event, messages.AnswerUnknown) and before.phase is Phase.SENDING

    seen = set()
    for before, _, after, _ in where(walk, unknown):
        expected = Disposition.PRESUMED_ACCEPTED if before.ambiguous else Disposition.LATE
        assert after.disposition is expected
        seen.add(expected)
    assert len(seen) == 2


def test_only_a_process_that_was_asked_is_killed(walk):
    def kills(before, event, after, commands):
        return any(isinstance(command, Kill) for command in commands)

    reasons = set()
    for before, event, after, commands in where(walk, kills):
        (kill,) = (command for command in commands if isinstance(command, Kill))
        assert before.policy.killable
        assert before.killed_for is None
        assert after.killed_for is kill.reason
        asked = {c.reason for c in commands if isinstance(c, AskToStop)} | before.causes
        assert kill.reason in asked
        if kill.reason is CancelReason.REQUESTED:
            assert before.policy.cancel_kills, event
        reasons.add(kill.reason)
    assert reasons == set(CancelReason)


def test_each_cause_asks_the_handler_once(walk):
    def asks(before, event, after, commands):
        return any(isinstance(command, AskToStop) for command in commands)

    for before, event, _, commands in where(walk, asks):
        for ask in (command for command in commands if isinstance(command, AskToStop)):
            assert ask.reason not in before.causes, (before, event)
            again = {CancelReason.WORKER_SHUTDOWN, CancelReason.TIMED_OUT, CancelReason.TASK_CLOSED}
            assert ask.interrupt == (not before.causes or ask.reason in again)


def test_beats_go_on_until_the_end_and_stop_there(walk):
    early = 0
    for before, event, after, commands in walk:
        stops = sum(isinstance(command, StopBeats) for command in commands)
        starts = sum(isinstance(command, StartBeats) for command in commands)
        assert before.beating - stops + starts == after.beating
        if after.phase is Phase.ENDED:
            assert not after.beating
        if stops and after.phase is not Phase.ENDED:
            assert after.closed or isinstance(event, messages.DeadlineReached), (before, event)
            early += 1
    assert early


def test_every_end_is_told_once(walk):
    ends = 0
    for before, event, after, commands in walk:
        finishes = [command for command in commands if isinstance(command, Finish)]
        ended = after.phase is Phase.ENDED and before.phase is not Phase.ENDED
        assert len(finishes) == ended, (before, event)
        if finishes:
            assert finishes[0].disposition is after.disposition
            ends += 1
    assert ends


def test_an_ended_task_stays_ended_unless_swf_delivers_it_again(walk):
    reopened = 0
    for before, event, after, commands in where(walk, ended):
        if isinstance(event, Redelivered) and after.phase is not Phase.ENDED:
            assert before.answer is not None
            assert before.disposition is not Disposition.ACCEPTED
            reopened += 1
        else:
            assert commands == ()
            assert replace(before, handler_done=after.handler_done) == after
    assert reopened


def ended(before, event, after, commands):
    return before.phase is Phase.ENDED


def test_the_answers_result_means_nothing_where_none_is_in_flight(walk):
    def unasked(before, event, *_):
        return isinstance(event, ANSWERS) and before.phase is not Phase.SENDING

    for before, _, after, commands in where(walk, unasked):
        assert (after, commands) == (before, ())


def test_the_outcome_table(walk):
    """The outcome table, written a second time: the oracle for every end of a handler."""

    def ends(before, event, *_):
        return before.phase is Phase.RUNNING and isinstance(event, HANDLER_ENDS)

    rows = where(walk, ends)
    for before, event, after, _ in rows:
        answer, disposition = expected_answer(before, event)
        assert said(after.answer) == said(answer), (before, event)
        assert after.disposition is disposition, (before, event)
    assert len(rows) > 300


def expected_answer(
    before: Execution, event: messages.Event
) -> tuple[Outcome | None, Disposition | None]:
    if CancelReason.TASK_CLOSED in before.causes:
        return None, Disposition.CLOSED
    match event:
        case messages.HandlerReturned():
            return RESULT, None
        case messages.HandlerFailed():
            return OWN_FAILURE, None
        case messages.HandlerHandedOver():
            return None, Disposition.HANDED_OVER
        case messages.HandlerCanceled(details):
            if CancelReason.REQUESTED in before.causes:
                return Canceled(details), None
            return Failed(reason_of(before.first_own_cause)), None
        case ProcessDied():
            if before.killed_for is None:
                return DIED, None
            if before.policy.cancel_kills and CancelReason.REQUESTED in before.causes:
                return Canceled(), None
            return Failed(reason_of(before.killed_for)), None
        case CameTooLate(Unfinished.LEFT):
            return None, Disposition.ABANDONED
        case CameTooLate():
            return Failed("WorkerShutdown"), None
    raise AssertionError(event)


def reason_of(cause: CancelReason | None) -> str:
    return {
        None: "CancelNotRequested",
        CancelReason.WORKER_SHUTDOWN: "WorkerShutdown",
        CancelReason.TIMED_OUT: "HandlerTimedOut",
        CancelReason.LEASE_LOST: "LeaseLost",
    }[cause]


def said(answer: Outcome | None) -> object:
    return answer.reason if isinstance(answer, Failed) else answer


def test_the_first_own_cause_is_the_workers_and_stays_the_first(walk):
    own = {CancelReason.WORKER_SHUTDOWN, CancelReason.TIMED_OUT, CancelReason.LEASE_LOST}
    for before, event, after, _ in walk:
        assert (after.first_own_cause is None) == (not after.causes & own), (before, event)
        if before.first_own_cause is not None:
            assert after.first_own_cause is before.first_own_cause


# --- the worker stops ---------------------------------------------------------------------------


def of_open_tasks(kind):
    """Of tasks whose handlers run and that SWF has not closed."""
    return lambda before, event, *_: (
        isinstance(event, kind) and before.phase is Phase.RUNNING and not before.closed
    )


def test_at_its_deadline_what_cannot_be_killed_is_answered_nothing_and_beats_no_more(walk):
    threads = 0
    for before, _, after, commands in where(walk, of_open_tasks(messages.DeadlineReached)):
        assert after.answer is None
        if before.policy.killable:
            assert after.killed_for is not None
        else:
            assert not after.beating
            assert messages.ReportStuck() in commands
            threads += 1
    assert threads


@pytest.mark.parametrize("unfinished", Unfinished)
def test_when_the_handlers_time_is_over(walk, unfinished):
    """Answered where the process exits; where it goes on, only what can be killed; else nothing."""
    seen = set()
    for before, event, after, commands in where(walk, of_open_tasks(HandlersTimeOver)):
        if event.unfinished is not unfinished:
            continue
        killable = before.policy.killable
        seen.add(killable)
        if unfinished is Unfinished.LEFT or (
            unfinished is Unfinished.KILLED_OR_LEFT and not killable
        ):
            assert (after.disposition, after.answer) == (Disposition.ABANDONED, None)
        elif killable:
            assert after.phase is Phase.RUNNING, "its process's end answers it"
            assert after.killed_for is not None
            assert CancelReason.WORKER_SHUTDOWN in after.causes or before.killed_for is not None
            kills = [command for command in commands if isinstance(command, Kill)]
            assert len(kills) == (before.killed_for is None)
        else:
            assert said(after.answer) == "WorkerShutdown"
    assert seen == {True, False}


def test_when_the_handlers_time_is_over_a_closed_task_is_answered_nothing(walk):
    def closed(before, event, *_):
        late = isinstance(event, HandlersTimeOver) and before.phase is Phase.RUNNING
        return late and before.closed

    for *_, after, commands in where(walk, closed):
        assert after.disposition is Disposition.CLOSED
        assert not any(isinstance(command, (Kill, Send)) for command in commands)


def test_when_the_handlers_time_is_over_an_answer_waits_no_longer(walk):
    def late(phase):
        return lambda before, event, *_: (
            isinstance(event, HandlersTimeOver) and before.phase is phase
        )

    for before, _, after, commands in where(walk, late(Phase.WAITING)):
        assert commands == (Send(before.answer),)
        assert after.phase is Phase.SENDING
    for before, _, after, commands in where(walk, late(Phase.SENDING)):
        assert (after, commands) == (before, ()), "it is on its way"


def test_what_is_given_up_is_answered_nothing_more(walk):
    for *_, after, commands in where(walk, of_open_tasks(messages.GivenUp)):
        assert after.disposition is Disposition.ABANDONED
        assert after.answer is None
        assert not any(isinstance(command, Send) for command in commands)
    under_way = (Phase.SENDING, Phase.WAITING)
    for *_, after, commands in where(
        walk,
        lambda before, event, *_: isinstance(event, messages.GivenUp) and before.phase in under_way,
    ):
        assert after.disposition is Disposition.ABANDONED
        assert not any(isinstance(command, Send) for command in commands)


def test_a_closed_task_heard_of_while_an_answer_is_in_flight_ends_its_retries(walk):
    """It may be our own accepted answer that closed it: the Respond decides."""
    closing = messages.StopCause(CancelReason.TASK_CLOSED)
    for _, __, after, commands in where(
        walk, lambda before, event, *_: event == closing and before.phase is Phase.SENDING
    ):
        assert after.phase is Phase.SENDING
        assert all(isinstance(command, StopBeats) for command in commands)
        missed, _ = step(after, messages.AnswerMissed(ambiguous=False))
        assert missed.phase is Phase.ENDED
        refused, _ = step(after, messages.AnswerRefused("bad"))
        assert refused.answer == after.answer
        accepted, _ = step(after, messages.AnswerAccepted())
        assert accepted.disposition is Disposition.ACCEPTED


def test_a_closed_task_heard_of_while_an_answer_waits_ends_it(walk):
    closing = messages.StopCause(CancelReason.TASK_CLOSED)
    for before, _, after, _ in where(
        walk, lambda before, event, *_: event == closing and before.phase is Phase.WAITING
    ):
        expected = Disposition.PRESUMED_ACCEPTED if before.ambiguous else Disposition.LATE
        assert after.disposition is expected
