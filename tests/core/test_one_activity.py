"""The decider of a workflow of one activity."""

from __future__ import annotations

import pytest

from swf_worker.core.one_activity import CLOSES, decide

ATTRIBUTES = {"activityId": "activity-1"}
STARTED = {"WorkflowExecutionStarted"}
SCHEDULED = STARTED | {"ActivityTaskScheduled"}
ASKED = SCHEDULED | {"WorkflowExecutionCancelRequested"}


@pytest.mark.parametrize(
    ("kinds", "decision"),
    [
        (STARTED, "ScheduleActivityTask"),
        (STARTED | {"WorkflowExecutionCancelRequested"}, "CancelWorkflowExecution"),
        (SCHEDULED, None),
        (ASKED, "RequestCancelActivityTask"),
        (ASKED | {"ActivityTaskCancelRequested"}, None),
        *((ASKED | {kind}, closes) for kind, closes in CLOSES.items()),
    ],
)
def test_what_it_decides(kinds, decision):
    decided = decide(kinds, ATTRIBUTES)
    assert [each["decisionType"] for each in decided] == ([decision] if decision else [])


def test_it_schedules_what_is_wanted():
    (decision,) = decide(STARTED, ATTRIBUTES)
    assert decision["scheduleActivityTaskDecisionAttributes"] == ATTRIBUTES
