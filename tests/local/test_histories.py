"""Histories of the shapes that recordings of SWF have (``shapes``), replayed on a clock that
moves."""

from __future__ import annotations

import json

import pytest

from tests.local.plain import Plain, raw
from tests.local.replay import Player
from tests.local.shapes import SHAPES


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_a_history_has_the_shape_that_was_recorded(plain, clock, shape):
    """Its source stands with each."""
    player = Player(plain.swf, clock)
    player.play(shape.calls)
    for workflow_id, wanted in shape.histories.items():
        told = player.told(workflow_id, wanted)
        assert [event[:2] for event in told] == [event[:2] for event in wanted], workflow_id
        assert told == wanted, workflow_id


def test_timestamps_are_whole_milliseconds_and_one_a_batch_on_the_machines_clock(quick_swf):
    """SWF.md 7 [R1, R2]."""
    plain = Plain(quick_swf.client())
    execution = plain.start()
    plain.decide(*(plain.schedule(f"a{number}") for number in range(50)))
    given = json.dumps({"domain": "plain", "execution": execution})
    target = "SimpleWorkflowService.GetWorkflowExecutionHistory"
    events = raw(quick_swf, target, given)[1]["events"]
    times = [event["eventTimestamp"] for event in events]
    assert all(time == round(time, 3) for time in times)
    assert times == sorted(times)
    assert len(set(times[3:])) == 1
    assert len(times) == 54


def test_timers_fire_late_and_never_early_on_the_machines_clock(quick_swf):
    """SWF.md 7: 1 to 130 ms late [R1, R2]."""
    plain = Plain(quick_swf.client())
    execution = plain.start()
    plain.decide(("StartTimer", {"timerId": "t", "startToFireTimeout": "1"}))
    while "TimerFired" not in plain.kinds(execution):
        task = {"domain": "plain", "taskList": {"name": "decide"}}
        plain.swf.poll_for_decision_task(**task)
    times = {event["eventType"]: event["eventTimestamp"] for event in plain.events(execution)}
    assert (times["TimerFired"] - times["TimerStarted"]).total_seconds() >= 1
