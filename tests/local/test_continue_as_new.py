"""ContinueAsNewWorkflowExecution: the same workflow id, another run. Sources: recordings (SWF.md 7)
where named, else the API reference."""

from __future__ import annotations

import pytest

from tests.local.plain import refused
from tests.local.test_children import answer, child, describe, family, status, take

FLOW = {"workflowType": {"name": "Flow", "version": "1"}}


def continued(**given):
    return "ContinueAsNewWorkflowExecution", given


def next_run(plain, execution):
    run_id = plain.attributes(execution, "WorkflowExecutionContinuedAsNew")["newExecutionRunId"]
    return {"workflowId": execution["workflowId"], "runId": run_id}


def test_a_root_goes_on_in_another_run(plain):
    """SWF.md 7: continuedExecutionRunId, and parentInitiatedEventId 0 [R1, R2]. What isn't given is
    the type's default."""
    execution = plain.start(
        input="first", tagList=["old"], taskPriority="4", taskList={"name": "other"}
    )
    answer(plain, take(plain, "other"), continued(input="second"))
    following = next_run(plain, execution)
    defaults = {
        "taskList": {"name": "decide"},
        "childPolicy": "TERMINATE",
        "taskStartToCloseTimeout": "86400",
        "executionStartToCloseTimeout": "86400",
    }
    assert plain.attributes(execution, "WorkflowExecutionContinuedAsNew") == {
        "newExecutionRunId": following["runId"],
        "decisionTaskCompletedEventId": 4,
        "input": "second",
        **FLOW,
        **defaults,
    }
    assert status(plain, execution) == "CONTINUED_AS_NEW"
    assert plain.attributes(following, "WorkflowExecutionStarted") == {
        "continuedExecutionRunId": execution["runId"],
        "parentInitiatedEventId": 0,
        "input": "second",
        **FLOW,
        **defaults,
    }
    assert take(plain)["workflowExecution"] == following
    refused(
        plain.swf.start_workflow_execution,
        "WorkflowExecutionAlreadyStartedFault",
        domain="plain",
        workflowId=execution["workflowId"],
        **FLOW,
    )


def test_what_is_given_holds_in_the_new_run(plain):
    """The API reference: every member of the decision."""
    plain.swf.register_workflow_type(
        domain="plain", name="Flow", version="2", defaultLambdaRole="arn:role"
    )
    given = {
        "childPolicy": "ABANDON",
        "taskList": {"name": "new"},
        "taskPriority": "2",
        "taskStartToCloseTimeout": "10",
        "executionStartToCloseTimeout": "NONE",
        "tagList": ["t"],
        "lambdaRole": "arn:other",
    }
    execution = plain.start()
    plain.decide(continued(workflowTypeVersion="2", **given))
    following = next_run(plain, execution)
    told = plain.attributes(following, "WorkflowExecutionStarted")
    assert told == {
        "continuedExecutionRunId": execution["runId"],
        "parentInitiatedEventId": 0,
        "workflowType": {"name": "Flow", "version": "2"},
        **given,
    }
    assert describe(plain, following)["executionInfo"]["tagList"] == ["t"]


def test_a_child_that_goes_on_stays_its_parents_child(plain):
    """A parent hears of the end, not of the runs between; the run it is told is the last (ours)."""
    (parent, kid), names = family(plain, 2)
    answer(plain, take(plain, names[1]), continued(taskList={"name": names[1]}))
    following = next_run(plain, kid)
    told = plain.attributes(following, "WorkflowExecutionStarted")
    assert (told["parentWorkflowExecution"], told["parentInitiatedEventId"]) == (parent, 5)
    assert plain.kinds(parent)[-1] == "DecisionTaskScheduled"
    assert describe(plain, parent)["openCounts"]["openChildWorkflowExecutions"] == 1
    answer(plain, take(plain, names[1]), ("CompleteWorkflowExecution", {"result": "r"}))
    assert plain.attributes(parent, "ChildWorkflowExecutionCompleted") == {
        "workflowExecution": following,
        "initiatedEventId": 5,
        "startedEventId": 6,
        "result": "r",
        **FLOW,
    }


def test_the_child_policy_reaches_the_run_that_goes_on(plain):
    (parent, kid), names = family(plain, 2)
    answer(plain, take(plain, names[1]), continued())
    plain.swf.terminate_workflow_execution(domain="plain", workflowId=parent["workflowId"])
    assert status(plain, next_run(plain, kid)) == "TERMINATED"


def test_no_policy_is_applied_to_children_of_one_that_goes_on(plain):
    execution = plain.start()
    plain.decide(child("kid", taskList={"name": "kids"}))
    plain.decide(continued())
    assert status(plain, take(plain, "kids")["workflowExecution"]) == "OPEN"
    assert status(plain, execution) == "CONTINUED_AS_NEW"


def test_events_that_the_decider_has_not_seen_keep_it_open(plain):
    execution = plain.start()
    task = take(plain)
    plain.swf.signal_workflow_execution(domain="plain", signalName="s", **execution)
    answer(plain, task, continued())
    assert plain.attributes(execution, "ContinueAsNewWorkflowExecutionFailed") == {
        "cause": "UNHANDLED_DECISION",
        "decisionTaskCompletedEventId": 6,
    }
    answer(plain, take(plain), continued())
    assert status(plain, execution) == "CONTINUED_AS_NEW"


@pytest.mark.parametrize(
    ("given", "cause"),
    [
        ({"workflowTypeVersion": "9"}, "WORKFLOW_TYPE_DOES_NOT_EXIST"),
        ({"workflowTypeVersion": "old"}, "WORKFLOW_TYPE_DEPRECATED"),
        (
            {"workflowTypeVersion": "bare"},
            "DEFAULT_EXECUTION_START_TO_CLOSE_TIMEOUT_UNDEFINED",
        ),
        (
            {"workflowTypeVersion": "bare", "executionStartToCloseTimeout": "60"},
            "DEFAULT_TASK_LIST_UNDEFINED",
        ),
        (
            {
                "workflowTypeVersion": "bare",
                "executionStartToCloseTimeout": "60",
                "taskList": {"name": "l"},
            },
            "DEFAULT_TASK_START_TO_CLOSE_TIMEOUT_UNDEFINED",
        ),
        (
            {
                "workflowTypeVersion": "bare",
                "executionStartToCloseTimeout": "60",
                "taskList": {"name": "l"},
                "taskStartToCloseTimeout": "60",
            },
            "DEFAULT_CHILD_POLICY_UNDEFINED",
        ),
    ],
)
def test_why_it_can_not_go_on_is_told_and_the_decider_is_asked_again(plain, given, cause):
    """The API reference: the causes."""
    for version in ("old", "bare"):
        plain.swf.register_workflow_type(domain="plain", name="Flow", version=version)
    plain.swf.deprecate_workflow_type(
        domain="plain", workflowType={"name": "Flow", "version": "old"}
    )
    execution = plain.start()
    plain.decide(continued(**given))
    assert plain.attributes(execution, "ContinueAsNewWorkflowExecutionFailed") == {
        "cause": cause,
        "decisionTaskCompletedEventId": 4,
    }
    assert plain.kinds(execution)[-1] == "DecisionTaskScheduled"
    plain.decide(("CompleteWorkflowExecution", {}))
