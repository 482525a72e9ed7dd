"""Walks every state of the task's machine with every event, and proves its rules."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import replace

import pytest

from swf_worker.core import execution as machine
from swf_worker.core.execution import (
    AnswerRefused,
    AskToStop,
    Disposition,
    Execution,
    Finish,
    Kill,
    Phase,
    Policy,
    ProcessDied,
    Redelivered,
    Send,
    StartBeats,
    StopBeats,
    step,
)
from swf_worker.outcome import Canceled, Completed, Failed, FailureReason, Outcome
from swf_worker.task import CancelReason

POLICIES = (
    Policy(killable=False),
    Policy(killable=True),
    Policy(killable=True, cancel_kills=True),
)
RESULT, OWN_FAILURE, DIED = Completed("result"), Failed("Own"), Failed("HandlerDied")
EVENTS: tuple[machine.Event, ...] = (
    machine.HandlerReturned(RESULT),
    machine.HandlerFailed(OWN_FAILURE),
    machine.HandlerCanceled("details"),
    machine.HandlerHandedOver(),
    machine.ProcessDied(DIED),
    *(machine.StopCause(reason) for reason in CancelReason),
    *(machine.GraceOver(reason) for reason in CancelReason),
    machine.DeadlineReached(),
    machine.ProcessExiting(),
    machine.AnswerAccepted(),
    machine.AnswerUnknown(),
    machine.AnswerRefused("bad"),
    machine.AnswerRejected(),
    machine.AnswerMissed(ambiguous=True),
    machine.AnswerMissed(ambiguous=False),
    machine.RetryDue(),
    machine.GivenUp(),
    machine.Redelivered(),
)
ANSWERS = (
    machine.AnswerAccepted,
    machine.AnswerUnknown,
    machine.AnswerRefused,
    machine.AnswerRejected,
    machine.AnswerMissed,
)

Transition = tuple[Execution, machine.Event, Execution, tuple[machine.Command, ...]]


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
    assert kinds == set(machine.Event.__args__), "an event type is missing from the walk"
    assert {type(c) for *_, commands in walk for c in commands} == set(machine.Command.__args__)
    assert {state.phase for state in states} == set(Phase)
    assert {state.disposition for state in states} == {None, *Disposition}
    record_property(
        "figure",
        f"walked {len(states)} states x {len(EVENTS)} events of {len(kinds)} kinds = "
        f"{len(walk)} transitions",
    )


def test_the_decision_stands_once_made(walk):
    """A second, different answer would be a lie to the decider."""
    for before, event, after, _ in walk:
        if before.answer is None or before.answer == after.answer:
            continue
        assert isinstance(event, AnswerRefused), (before, event, after)
        assert before.phase is Phase.SENDING
        assert isinstance(before.answer, Completed)
        assert not before.ambiguous
        assert isinstance(after.answer, Failed)
        assert after.answer.reason == FailureReason.RESULT_REFUSED


def test_only_the_decided_answer_is_ever_sent(walk):
    for before, event, after, commands in walk:
        sends = [command for command in commands if isinstance(command, Send)]
        assert len(sends) <= 1
        for send in sends:
            assert send.outcome == after.answer
            assert after.phase is Phase.SENDING
            assert before.phase is not Phase.SENDING or isinstance(event, AnswerRefused), (
                "an answer in flight was sent again"
            )


def test_canceled_only_after_a_request(walk):
    for before, event, after, _ in walk:
        if isinstance(after.answer, Canceled):
            assert CancelReason.REQUESTED in after.causes, (before, event)


def test_nothing_is_sent_after_the_task_is_closed(walk):
    for before, event, _, commands in walk:
        if before.closed and not isinstance(event, Redelivered):
            assert not any(isinstance(command, Send) for command in commands), (before, event)


def test_a_finished_result_wins(walk):
    for before, event, after, _ in walk:
        fresh = before.phase is Phase.RUNNING and not before.handler_done
        if isinstance(event, machine.HandlerReturned) and fresh and not before.closed:
            assert after.answer == RESULT


def test_after_an_ambiguous_attempt_no_different_answer(walk):
    for before, _, after, _ in walk:
        if before.ambiguous:
            assert after.answer == before.answer


def test_what_may_have_been_carried_out_is_never_forgotten(walk):
    for before, event, after, _ in walk:
        assert after.ambiguous >= before.ambiguous, (before, event)


def test_whatever_waits_for_an_answer_has_sent_it(walk):
    """An answer that is neither in flight nor waiting for its retry would never come."""
    for before, event, after, commands in walk:
        if after.phase is Phase.SENDING and before.phase is not Phase.SENDING:
            assert any(isinstance(command, Send) for command in commands), (before, event)
        if after.phase is Phase.WAITING and before.phase is not Phase.WAITING:
            assert commands == (machine.RetryLater(),)


def test_unknown_after_an_ambiguous_attempt_is_presumed_accepted(walk):
    for before, event, after, _ in walk:
        if isinstance(event, machine.AnswerUnknown) and before.phase is Phase.SENDING:
            expected = Disposition.PRESUMED_ACCEPTED if before.ambiguous else Disposition.LATE
            assert after.disposition is expected


def test_only_a_process_that_was_asked_is_killed(walk):
    for before, event, after, commands in walk:
        for kill in (command for command in commands if isinstance(command, Kill)):
            assert before.policy.killable
            assert before.killed_for is None
            assert after.killed_for is kill.reason
            asked = {c.reason for c in commands if isinstance(c, AskToStop)} | before.causes
            assert kill.reason in asked
            if kill.reason is CancelReason.REQUESTED:
                assert before.policy.cancel_kills, event


def test_each_cause_asks_the_handler_once(walk):
    for before, event, _, commands in walk:
        for ask in (command for command in commands if isinstance(command, AskToStop)):
            assert ask.reason not in before.causes, (before, event)
            again = {CancelReason.WORKER_SHUTDOWN, CancelReason.TIMED_OUT, CancelReason.TASK_CLOSED}
            assert ask.interrupt == (not before.causes or ask.reason in again)


def test_beats_go_on_until_the_end_and_stop_there(walk):
    for before, event, after, commands in walk:
        stops = sum(isinstance(command, StopBeats) for command in commands)
        starts = sum(isinstance(command, StartBeats) for command in commands)
        assert before.beating - stops + starts == after.beating
        if after.phase is Phase.ENDED:
            assert not after.beating
        if stops and after.phase is not Phase.ENDED:
            quiet = after.closed or isinstance(event, machine.DeadlineReached)
            assert quiet, (before, event)


def test_every_end_is_told_once(walk):
    for before, event, after, commands in walk:
        finishes = [command for command in commands if isinstance(command, Finish)]
        ends = after.phase is Phase.ENDED and before.phase is not Phase.ENDED
        assert len(finishes) == ends, (before, event)
        if finishes:
            assert finishes[0].disposition is after.disposition


def test_an_ended_task_stays_ended_unless_swf_delivers_it_again(walk):
    for before, event, after, commands in walk:
        if before.phase is not Phase.ENDED or (after is before and not commands):
            continue
        if isinstance(event, Redelivered) and after.phase is not Phase.ENDED:
            assert before.answer is not None
            assert before.disposition is not Disposition.ACCEPTED
        else:
            assert commands == ()
            assert replace(before, handler_done=after.handler_done) == after


def test_the_answers_result_means_nothing_where_none_is_in_flight(walk):
    for before, event, after, commands in walk:
        if isinstance(event, ANSWERS) and before.phase is not Phase.SENDING:
            assert (after, commands) == (before, ())


def test_the_outcome_table(walk):
    """DESIGN's table, written a second time: the oracle for every end of a handler."""
    rows = 0
    for before, event, after, _ in walk:
        if before.phase is not Phase.RUNNING or not isinstance(event, machine._HANDLER_ENDS):
            continue
        rows += 1
        answer, disposition = expected_answer(before, event)
        assert said(after.answer) == said(answer), (before, event)
        assert after.disposition is disposition, (before, event)
    assert rows > 300


def expected_answer(
    before: Execution, event: machine.Event
) -> tuple[Outcome | None, Disposition | None]:
    if CancelReason.TASK_CLOSED in before.causes:
        return None, Disposition.CLOSED
    match event:
        case machine.HandlerReturned():
            return RESULT, None
        case machine.HandlerFailed():
            return OWN_FAILURE, None
        case machine.HandlerHandedOver():
            return None, Disposition.HANDED_OVER
        case machine.HandlerCanceled(details):
            if CancelReason.REQUESTED in before.causes:
                return Canceled(details), None
            return Failed(reason_of(before.first)), None
        case ProcessDied():
            if before.killed_for is None:
                return DIED, None
            if before.policy.cancel_kills and CancelReason.REQUESTED in before.causes:
                return Canceled(), None
            return Failed(reason_of(before.killed_for)), None
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


def test_the_end_of_a_thread_is_answered_only_where_the_process_exits(walk):
    for before, event, after, _ in walk:
        if before.phase is not Phase.RUNNING or before.closed:
            continue
        if isinstance(event, machine.ProcessExiting) and not before.policy.killable:
            assert said(after.answer) == "WorkerShutdown"
        if isinstance(event, machine.DeadlineReached) and not before.policy.killable:
            assert after.answer is None, "unkillable work is answered nothing at its deadline"
            assert not after.beating
        if isinstance(event, machine.GivenUp):
            assert after.disposition is Disposition.ABANDONED
            assert after.answer is None


def test_a_closed_task_heard_of_while_an_answer_is_in_flight_ends_its_retries(walk):
    """It may be our own accepted answer that closed it: the Respond decides (FAULTS row 66)."""
    for before, event, after, commands in walk:
        closing = event == machine.StopCause(CancelReason.TASK_CLOSED)
        if closing and before.phase is Phase.SENDING:
            assert after.phase is Phase.SENDING
            assert all(isinstance(command, StopBeats) for command in commands)
            missed, _ = step(after, machine.AnswerMissed(ambiguous=False))
            assert missed.phase is Phase.ENDED
            accepted, _ = step(after, machine.AnswerAccepted())
            assert accepted.disposition is Disposition.ACCEPTED
