"""Whatever a decider may say is found again in a history: a walk through the members that the model
has for decisions, for their answer and for a start. What is accepted and then ignored fails."""

from __future__ import annotations

import json

import pytest

from swf_worker.local import validation
from swf_worker.local.decisions.checking import attributes_key
from swf_worker.local.decisions.taking import DECISIONS
from tests.local.test_children import describe, take

MODEL = validation.swf_model()
VALUES = {
    "activityType": {"name": "Work", "version": "1"},
    "workflowType": {"name": "Other", "version": "9"},
    "workflowTypeVersion": "9",
    "taskPriority": "77",
    "childPolicy": "REQUEST_CANCEL",
    "lambdaRole": "arn:a-role",
    "timerId": "timer",
    "activityId": "activity",
}


def value(name, shape, number):
    """Something of its own for each member."""
    if name in VALUES:
        return VALUES[name]
    if shape.name.startswith("Duration"):
        return str(1000 + number)
    if shape.type_name == "structure":
        return {"name": f"a-{name}"}
    if shape.type_name == "list":
        return [f"a-{name}"]
    assert shape.type_name == "string", f"a value for {name} is needed"
    return f"a-{name}"


def filled(shape):
    members = shape.members.items()
    return {name: value(name, member, n) for n, (name, member) in enumerate(members)}


@pytest.fixture
def told(plain):
    """Every history in the domain, as text."""
    plain.swf.register_workflow_type(domain="plain", **VALUES["workflowType"])
    plain.swf.register_workflow_type(domain="plain", name="Flow", version="9")

    def all_histories():
        listed = []
        for listing in ("list_open_workflow_executions", "list_closed_workflow_executions"):
            answer = getattr(plain.swf, listing)(domain="plain", startTimeFilter={"oldestDate": 0})
            listed += [info["execution"] for info in answer["executionInfos"]]
        return json.dumps([plain.events(each) for each in listed], default=str)

    return all_histories


@pytest.mark.parametrize("kind", [*DECISIONS])
def test_every_member_of_a_decision_is_in_some_history(plain, told, kind):
    """The API reference: what each decision's events repeat of it."""
    shape = MODEL.shape_for(f"{kind[0].upper()}{kind[1:]}DecisionAttributes")
    given = filled(shape)
    execution = plain.start()
    if kind in ("RequestCancelActivityTask", "CancelTimer"):
        plain.decide(
            plain.schedule("activity"),
            ("StartTimer", {"timerId": "timer", "startToFireTimeout": "9"}),
        )
        plain.swf.signal_workflow_execution(domain="plain", signalName="s", **execution)
    plain.decide((kind, given))
    found = told()
    assert f"{kind}Failed" not in found or "External" in kind, "(they name a run that isn't)"
    for name, said in given.items():
        assert json.dumps(said) in found, name
    assert attributes_key(kind) in MODEL.shape_for("Decision").members


def test_every_member_of_the_answer_to_a_decision_task_counts(plain, told):
    shape = MODEL.shape_for("RespondDecisionTaskCompletedInput")
    assert set(shape.members) == {
        "taskToken",
        "decisions",
        "executionContext",
        "taskList",
        "taskListScheduleToStartTimeout",
    }
    execution = plain.start()
    plain.swf.respond_decision_task_completed(
        taskToken=take(plain)["taskToken"],
        executionContext="a context",
        taskList={"name": "a-list"},
        taskListScheduleToStartTimeout="1234",
    )
    plain.swf.signal_workflow_execution(domain="plain", signalName="s", **execution)
    for said in ('"executionContext": "a context"', '"name": "a-list"', '"1234"'):
        assert said in told()
    assert describe(plain, execution)["latestExecutionContext"] == "a context"
    take(plain, "a-list")


def test_every_member_of_a_start_is_in_the_history(plain, told):
    given = filled(MODEL.operation_model("StartWorkflowExecution").input_shape)
    given["domain"] = "plain"
    run_id = plain.swf.start_workflow_execution(**given)["runId"]
    assert run_id
    for name, said in given.items():
        if name not in ("domain", "workflowId"):
            assert json.dumps(said) in told(), name
