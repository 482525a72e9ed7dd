"""Signals and cancel requests from one execution to another. Sources: the API reference."""

from __future__ import annotations

import pytest

from tests.local.test_children import answer, child, describe, family, take

SIGNAL = "SignalExternalWorkflowExecution"
CANCEL = "RequestCancelExternalWorkflowExecution"
ANSWERS = {
    SIGNAL: "ExternalWorkflowExecutionSignaled",
    CANCEL: "ExternalWorkflowExecutionCancelRequested",
}
GIVEN = {SIGNAL: {"signalName": "s", "input": "in"}, CANCEL: {}}
ARRIVES = {SIGNAL: "WorkflowExecutionSignaled", CANCEL: "WorkflowExecutionCancelRequested"}


@pytest.mark.parametrize("decision", [SIGNAL, CANCEL])
@pytest.mark.parametrize("by_run", [False, True])
def test_it_reaches_the_other_execution_and_both_deciders_hear_of_it(plain, decision, by_run):
    target = plain.start(taskList={"name": "target"})
    sender = plain.start()
    named = target if by_run else {"workflowId": target["workflowId"]}
    attributes = {**named, **GIVEN[decision], "control": "mine"}
    plain.decide((decision, attributes), ("RecordMarker", {"markerName": "last"}))
    assert plain.kinds(sender)[4:] == [
        f"{decision}Initiated",
        "MarkerRecorded",
        ANSWERS[decision],
        "DecisionTaskScheduled",
    ]
    told = plain.attributes(sender, f"{decision}Initiated")
    assert told == attributes | {"decisionTaskCompletedEventId": 4}
    told = plain.attributes(sender, ANSWERS[decision])
    assert told == {"workflowExecution": target, "initiatedEventId": 5}
    assert plain.attributes(target, ARRIVES[decision]) == {
        "externalWorkflowExecution": sender,
        "externalInitiatedEventId": 5,
        **GIVEN[decision],
    }
    requested = describe(plain, target)["executionInfo"]["cancelRequested"]
    assert requested is (decision == CANCEL)
    assert take(plain, "target")["events"][-2]["eventType"] == ARRIVES[decision]


@pytest.mark.parametrize("decision", [SIGNAL, CANCEL])
@pytest.mark.parametrize("wrong", ["nobody", "closed", "another run"])
def test_an_unknown_target_is_told_after_the_initiated_event(plain, decision, wrong):
    target = plain.start(taskList={"name": "target"})
    if wrong == "nobody":
        target = {"workflowId": "nobody"}
    elif wrong == "closed":
        answer(plain, take(plain, "target"), ("CompleteWorkflowExecution", {}))
        target = {"workflowId": target["workflowId"]}
    else:
        target = {**target, "runId": "another"}
    sender = plain.start()
    plain.decide((decision, {**target, **GIVEN[decision], "control": "mine"}))
    assert plain.attributes(sender, f"{decision}Failed") == {
        "cause": "UNKNOWN_EXTERNAL_WORKFLOW_EXECUTION",
        "initiatedEventId": 5,
        "decisionTaskCompletedEventId": 4,
        "control": "mine",
        **target,
    }
    assert plain.kinds(sender)[4:] == [
        f"{decision}Initiated",
        f"{decision}Failed",
        "DecisionTaskScheduled",
    ]


def test_a_child_tells_its_parent_and_completes_in_the_same_batch(plain):
    """Ours: what was initiated is delivered, though the sender's history can tell no more of it."""
    (parent, kid), names = family(plain, 2)
    message = {"workflowId": parent["workflowId"], "signalName": "almost", "input": "1 of 1"}
    answer(plain, take(plain, names[1]), (SIGNAL, message), ("CompleteWorkflowExecution", {}))
    assert plain.kinds(kid)[-1] == "WorkflowExecutionCompleted"
    told = plain.attributes(parent, "WorkflowExecutionSignaled")
    assert (told["externalWorkflowExecution"], told["externalInitiatedEventId"]) == (kid, 5)
    assert "ChildWorkflowExecutionCompleted" in plain.kinds(parent)


def test_a_child_that_starts_in_the_batch_can_be_signaled_in_it(plain):
    sender = plain.start()
    plain.decide(
        child("kid", taskList={"name": "kids"}),
        (SIGNAL, {"workflowId": "kid", "signalName": "s"}),
    )
    assert "ExternalWorkflowExecutionSignaled" in plain.kinds(sender)
    kinds = [event["eventType"] for event in take(plain, "kids")["events"]]
    assert "WorkflowExecutionSignaled" in kinds


def test_an_execution_can_signal_itself(plain):
    execution = plain.start()
    plain.decide((SIGNAL, {"workflowId": execution["workflowId"], "signalName": "me"}))
    assert plain.kinds(execution)[4:] == [
        f"{SIGNAL}Initiated",
        "WorkflowExecutionSignaled",
        "DecisionTaskScheduled",
        "ExternalWorkflowExecutionSignaled",
    ]
