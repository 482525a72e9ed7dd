"""Walks every state of the worker's life with every event."""

from __future__ import annotations

from collections import deque

import pytest

from swf_worker.core import lifecycle
from swf_worker.core.lifecycle import Command, Counts, Lifecycle, Phase, TimerOver, step

EVENTS = (
    lifecycle.Started(),
    lifecycle.PollAccepted(),
    lifecycle.StopAsked(),
    lifecycle.Fatal(),
    *(Counts(polls, tasks) for polls in (0, 1) for tasks in (0, 1)),
    *(lifecycle.PollingClosed(polls, tasks) for polls in (0, 1) for tasks in (0, 1)),
    lifecycle.StopAsked(once=True),
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
    for before, event, after, commands in walk:
        finishes = commands.count(Command.FINISH)
        assert finishes == (after.phase is Phase.STOPPED and before.phase is not Phase.STOPPED)
        if finishes and before.phase is not Phase.NEW:
            idle = after.polls == 0 and after.tasks == 0
            assert idle or Command.GIVE_UP in commands, (before, event)


def test_open_polls_are_waited_for_up_to_the_last_answers(walk):
    """A poll that is cut loses the task SWF gives it: only a third signal may do that."""
    for before, event, after, commands in walk:
        if Command.ANSWER_RUNNING in commands:
            assert after.polls == 0, (before, event)


def test_handlers_are_asked_once_and_no_sooner_than_the_drain_allows(walk):
    for before, event, after, commands in walk:
        if Command.ASK_HANDLERS not in commands:
            continue
        assert before.phase is Phase.DRAINING or Command.CLOSE_POLLING in commands
        second_signal = event == lifecycle.StopAsked() and after.stops == 2
        drained = after.polls == 0
        assert second_signal or drained, (before, event)


def test_a_second_stop_fails_what_open_polls_still_bring(walk):
    for before, event, after, _ in walk:
        if event == lifecycle.StopAsked() and before.phase is Phase.DRAINING:
            assert after.fails_new_tasks or after.stops < 2


def test_a_third_stop_exits_at_once(walk):
    for before, event, after, commands in walk:
        driver = before.phase in (Phase.DRAINING, Phase.ASKING, Phase.ANSWERING)
        if event == lifecycle.StopAsked() and driver and after.stops >= 3:
            assert Command.EXIT_NOW in commands


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
    for before, event, after, commands in walk:
        if event == lifecycle.StopAsked(once=True) and before.stopping:
            assert (after, commands) == (before, ())
