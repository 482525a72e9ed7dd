"""The life of a handler process, as the pool sees it: whatever may happen, in any order."""

from __future__ import annotations

import itertools

import pytest

from swf_worker.runtime.children import child_process
from swf_worker.runtime.children.child_process import LIMITS, ChildPhase, ChildState

ORDER = list(ChildPhase)
HAPPENS = {
    "ready": ChildState.is_ready,
    "unusable": lambda state: state.is_unusable("why"),
    "hung up": lambda state: state.enter(ChildPhase.LEAVING),
    "terminated": lambda state: state.enter(ChildPhase.TERMINATING),
    "overdue": lambda state: state.is_overdue(float("inf")),
}


@pytest.fixture
def moment(monkeypatch):
    clock = itertools.count(1000.0)
    monkeypatch.setattr(child_process, "now", lambda: next(clock))


def test_whatever_happens_a_child_goes_on_and_its_end_comes(moment):
    for happens in itertools.product(HAPPENS, repeat=4):
        state = ChildState()
        for each in happens:
            before, ends_at = state.phase, state.ends_at
            HAPPENS[each](state)
            assert ORDER.index(state.phase) >= ORDER.index(before), happens
            if state.phase is before:
                assert state.ends_at in (ends_at, None), "what is told again gives no more time"
            elif state.phase is not ChildPhase.READY:
                assert state.ends_at is not None, "it would be waited for without an end"
        assert state.loaded is ("ready" in happens)
        waited_for = state.ends_at is not None
        assert state.is_overdue(float("inf")) is waited_for
        assert not state.is_overdue(float("inf")), "it is killed once"


def test_one_that_is_never_ready_says_so(moment):
    state = ChildState()
    assert not state.is_overdue(1000.0)
    assert state.is_overdue(1000.0 + LIMITS[ChildPhase.LOADING])
    assert state.why_unusable == "it was not ready after 300 s"
    assert state.takes_tasks, "its end is a failed start"


@pytest.mark.parametrize("phase", ChildPhase)
def test_only_the_end_of_one_that_was_told_to_end_is_no_crash(phase, moment):
    state = ChildState()
    state.enter(phase)
    assert state.takes_tasks is (phase not in (ChildPhase.LEAVING, ChildPhase.TERMINATING))
    assert state.is_overdue(float("inf")) is (phase is not ChildPhase.READY)
