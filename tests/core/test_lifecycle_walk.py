"""Walks every state of the worker's life with every event."""

from __future__ import annotations

from collections import deque

import pytest

from swf_worker.core import lifecycle
from swf_worker.core.lifecycle import Command, Counts, Lifecycle, Phase, TimerOver, step
from tests.core.walks import where

EVENTS = (
    lifecycle.Started(),
    lifecycle.PollAccepted(),
    lifecycle.StopRequested(),
    lifecycle.Fatal(),
    *(Counts(polls, tasks) for polls in (0, 1) for tasks in (0, 1)),
    *(lifecycle.PollingClosed(polls, tasks) for polls in (0, 1) for tasks in (0, 1)),
    lifecycle.StopRequested(once=True),
    *(TimerOver(phase) for phase in (Phase.DRAINING, Phase.ASKING, Phase.ANSWERING)),
)
ORDER = list(Phase)
MOST_STOPS = 5


@pytest.fixture(scope="module")
def walk():
    todo, found = deque([Lifecycle()]), []
    seen = {Lifecycle()}
    while todo:
        state = todo.popleft()
        for event in EVENTS:
            after, commands = step(state, event)
            found.append((state, event, after, commands))
            if after not in seen and after.stops <= MOST_STOPS:
                seen.add(after)
                todo.append(after)
    return found


def test_every_phase_and_command_is_reached(walk):
    assert {state.phase for state, *_ in walk} == set(Phase)
    assert {command for *_, commands in walk for command in commands} == set(Command)


def test_a_stop_goes_on_and_never_back(walk):
    for before, event, after, _ in walk:
        assert ORDER.index(after.phase) >= ORDER.index(before.phase), (before, event)


def test_it_finishes_once_and_only_with_nothing_left_or_given_up(walk):
    for before, _, after, commands in walk:
        ends = after.phase is Phase.STOPPED and before.phase is not Phase.STOPPED
        assert commands.count(Command.FINISH) == ends
    for _, event, after, commands in where(
        walk,
        lambda before, _, __, commands: (
            Command.FINISH in commands and before.phase is not Phase.NEW
        ),
    ):
        idle = after.polls == 0 and after.tasks == 0
        assert idle or Command.GIVE_UP in commands, (after, event)


def performs(command):
    return lambda before, event, after, commands: command in commands


def test_open_polls_are_waited_for_up_to_the_last_answers(walk):
    """A poll that is cut loses the task SWF gives it: only a third signal may do that."""
    for before, event, after, _ in where(walk, performs(Command.ANSWER_RUNNING)):
        assert after.polls == 0, (before, event)


def test_handlers_are_asked_once_and_no_sooner_than_the_drain_allows(walk):
    reasons = set()
    for before, event, after, commands in where(walk, performs(Command.ASK_HANDLERS)):
        assert commands.count(Command.ASK_HANDLERS) == 1
        assert before.phase is Phase.DRAINING or Command.CLOSE_POLLING in commands
        second_signal = event == lifecycle.StopRequested() and after.stops == 2
        drained = after.polls == 0
        assert second_signal or drained, (before, event)
        reasons.add(second_signal)
    assert reasons == {True, False}


def test_only_a_second_stop_or_the_drains_end_fails_what_open_polls_still_bring(walk):
    second = lifecycle.StopRequested()
    for _, __, after, ___ in where(
        walk,
        lambda before, event, after, _: (
            event == second and before.phase is Phase.DRAINING and after.stops >= 2
        ),
    ):
        assert after.fails_new_tasks
    for state, *_ in where(walk, lambda before, *_: before.phase is Phase.DRAINING):
        assert state.fails_new_tasks == (state.stops >= 2), "a first stop runs what still comes"
    for state, *_ in where(walk, lambda before, *_: not before.stopping):
        assert not state.fails_new_tasks


def test_a_third_stop_exits_at_once_and_nothing_else_does(walk):
    stopping = (Phase.DRAINING, Phase.ASKING, Phase.ANSWERING)

    def third(before, event, after, _):
        return event == lifecycle.StopRequested() and before.phase in stopping and after.stops >= 3

    for *_, commands in where(walk, third):
        assert Command.EXIT_NOW in commands
    for transition in where(walk, performs(Command.EXIT_NOW)):
        assert third(*transition)


def test_a_fatal_error_ends_a_worker_with_nothing_open_at_once():
    state, _ = step(Lifecycle(), lifecycle.Started())
    state, _ = step(state, Counts(polls=1, tasks=0))
    state, commands = step(state, lifecycle.Fatal())
    assert commands == (Command.CLOSE_POLLING,)
    state, commands = step(state, Counts(polls=0, tasks=0))
    assert commands == (), "a poll may be opening: nothing is concluded before polling is closed"
    state, commands = step(state, lifecycle.PollingClosed(polls=0, tasks=0))
    assert commands == (Command.FINISH,)
    assert state.failed


def test_asking_to_stop_once_more_is_no_second_signal(walk):
    once = lifecycle.StopRequested(once=True)
    for before, _, after, commands in where(
        walk, lambda before, event, *_: event == once and before.stopping
    ):
        assert (after, commands) == (before, ())
