"""Child workflows: how they begin, how they end, what their parent is told, child policies, and why
one can't be started. Sources: recordings (SWF.md 7) where named, else the API reference."""

from __future__ import annotations

import itertools

import pytest

from swf_worker.local.decisions import children as decision
from swf_worker.local.executions import starting
from tests.local.plain import NUMBERS, refused

FLOW = {"workflowType": {"name": "Flow", "version": "1"}}


def child(workflow_id, **given):
    return "StartChildWorkflowExecution", {"workflowId": workflow_id, **FLOW, **given}


def take(plain, task_list="decide"):
    task = plain.swf.poll_for_decision_task(domain="plain", taskList={"name": task_list})
    assert task.get("taskToken"), "no decision task"
    return task


def answer(plain, task, *decisions):
    plain.swf.respond_decision_task_completed(
        taskToken=task["taskToken"],
        decisions=[
            {"decisionType": kind, f"{kind[0].lower()}{kind[1:]}DecisionAttributes": given}
            for kind, given in decisions
        ],
    )


def family(plain, generations, **given):
    """A parent, its child, the child's child …: each in a task list of its own."""
    names = [f"gen-{next(NUMBERS)}" for _ in range(generations)]
    executions = [plain.start(taskList={"name": names[0]}, **given)]
    for name, younger in itertools.pairwise(names):
        task = take(plain, name)
        assert task["workflowExecution"] == executions[-1]
        answer(plain, task, child(younger, taskList={"name": younger}, **given))
        event = plain.attributes(executions[-1], "ChildWorkflowExecutionStarted")
        executions.append(event["workflowExecution"])
    return executions, names


def describe(plain, execution):
    return plain.swf.describe_workflow_execution(domain="plain", execution=execution)


def status(plain, execution):
    return describe(plain, execution)["executionInfo"].get("closeStatus", "OPEN")


def test_a_child_is_initiated_and_then_started_and_knows_its_parent(plain):
    """SWF.md 7: Initiated, then Started, which schedules a decision; the child's
    parentInitiatedEventId is the Initiated event [R1, R2]."""
    parent = plain.start()
    attributes = {
        "input": "in",
        "control": "mine",
        "tagList": ["t"],
        "taskList": {"name": "kids"},
        "taskPriority": "3",
        "lambdaRole": "arn:role",
        "childPolicy": "ABANDON",
        "executionStartToCloseTimeout": "60",
        "taskStartToCloseTimeout": "NONE",
    }
    plain.decide(child("kid", **attributes), ("RecordMarker", {"markerName": "last"}))
    assert plain.kinds(parent)[4:] == [
        "StartChildWorkflowExecutionInitiated",
        "MarkerRecorded",
        "ChildWorkflowExecutionStarted",
        "DecisionTaskScheduled",
    ]
    assert plain.attributes(parent, "StartChildWorkflowExecutionInitiated") == {
        "workflowId": "kid",
        "decisionTaskCompletedEventId": 4,
        **FLOW,
        **attributes,
    }
    started = plain.attributes(parent, "ChildWorkflowExecutionStarted")
    kid = started["workflowExecution"]
    assert started == {"workflowExecution": kid, "initiatedEventId": 5, **FLOW}
    del attributes["control"]
    assert plain.attributes(kid, "WorkflowExecutionStarted") == {
        "parentWorkflowExecution": parent,
        "parentInitiatedEventId": 5,
        **FLOW,
        **attributes,
    }
    told = describe(plain, kid)
    assert told["executionInfo"]["parent"] == parent
    assert told["executionInfo"]["tagList"] == ["t"]
    assert describe(plain, parent)["openCounts"]["openChildWorkflowExecutions"] == 1
    assert take(plain, "kids")["workflowExecution"] == kid


@pytest.mark.parametrize(
    ("closing", "given", "kind"),
    [
        ("CompleteWorkflowExecution", {"result": "r"}, "Completed"),
        ("FailWorkflowExecution", {"reason": "r", "details": "d"}, "Failed"),
        ("CancelWorkflowExecution", {"details": "d"}, "Canceled"),
    ],
)
def test_a_parent_is_told_how_its_child_ended(plain, closing, given, kind):
    """SWF.md 7: ChildWorkflowExecution* carry initiatedEventId and startedEventId [R1, R2]."""
    (parent, kid), names = family(plain, 2)
    answer(plain, take(plain, names[1]), (closing, given))
    assert plain.attributes(parent, f"ChildWorkflowExecution{kind}") == {
        "workflowExecution": kid,
        "initiatedEventId": 5,
        "startedEventId": 6,
        **FLOW,
        **given,
    }
    assert plain.kinds(parent)[-2:] == ["DecisionTaskScheduled", f"ChildWorkflowExecution{kind}"]
    assert describe(plain, parent)["openCounts"]["openChildWorkflowExecutions"] == 0
    answer(plain, take(plain, names[0]), ("CompleteWorkflowExecution", {}))


def test_a_parent_is_told_of_a_child_that_times_out_or_is_terminated(plain, clock):
    """The API reference: timeoutType; of a termination neither reason nor details."""
    (parent, kid), _ = family(plain, 2, executionStartToCloseTimeout="3600")
    plain.swf.terminate_workflow_execution(
        domain="plain", workflowId=kid["workflowId"], reason="r", details="d"
    )
    ids = {"workflowExecution": kid, "initiatedEventId": 5, "startedEventId": 6, **FLOW}
    assert plain.attributes(parent, "ChildWorkflowExecutionTerminated") == ids
    late = plain.start()
    plain.decide(child("late", executionStartToCloseTimeout="60"))
    clock.advance(60)
    told = plain.attributes(late, "ChildWorkflowExecutionTimedOut")
    assert told["timeoutType"] == "START_TO_CLOSE"
    assert told["initiatedEventId"] == 5


def applied(plain, execution, parent):
    """What the child policy did to an execution: its close status, and the event that says why. A
    cancel request names the parent, and no event of it (recorded in 2017, FsDecider [R5])."""
    events = plain.events(execution)
    for event in events:
        for kind in ("WorkflowExecutionTerminated", "WorkflowExecutionCancelRequested"):
            if event["eventType"] == kind:
                told = event[f"w{kind[1:]}EventAttributes"]
                if kind.endswith("CancelRequested"):
                    assert told.pop("externalWorkflowExecution") == parent
                return status(plain, execution), told
    return status(plain, execution), None


TERMINATED = ("TERMINATED", {"cause": "CHILD_POLICY_APPLIED", "childPolicy": "TERMINATE"})
ASKED = ("OPEN", {"cause": "CHILD_POLICY_APPLIED", "externalInitiatedEventId": 0})
UNTOUCHED = ("OPEN", None)
POLICIES = [
    ("TERMINATE", TERMINATED, TERMINATED),
    ("REQUEST_CANCEL", ASKED, UNTOUCHED),
    ("ABANDON", UNTOUCHED, UNTOUCHED),
]


@pytest.mark.parametrize(("policy", "of_child", "of_grandchild"), POLICIES)
def test_the_child_policy_of_one_that_is_terminated(plain, policy, of_child, of_grandchild):
    """The API reference: the child policy that the execution was started with."""
    (parent, kid, grandkid), _ = family(plain, 3, childPolicy=policy)
    plain.swf.terminate_workflow_execution(domain="plain", workflowId=parent["workflowId"])
    told = plain.attributes(parent, "WorkflowExecutionTerminated")
    assert told == {"cause": "OPERATOR_INITIATED", "childPolicy": policy}
    assert applied(plain, kid, parent) == of_child
    assert applied(plain, grandkid, kid) == of_grandchild


@pytest.mark.parametrize(("policy", "of_child", "of_grandchild"), POLICIES)
def test_the_child_policy_of_one_that_times_out(plain, clock, policy, of_child, of_grandchild):
    """The API reference: "or due to an expired timeout"."""
    parent = plain.start(executionStartToCloseTimeout="60", childPolicy=policy)
    own = {"childPolicy": policy, "taskList": {"name": "own"}}
    plain.decide(child("kid", **own))
    kid = take(plain, "own")
    answer(plain, kid, child("grandkid", **own))
    clock.advance(60)
    told = plain.attributes(parent, "WorkflowExecutionTimedOut")
    assert told == {"timeoutType": "START_TO_CLOSE", "childPolicy": policy}
    kid = kid["workflowExecution"]
    started = plain.attributes(kid, "ChildWorkflowExecutionStarted")
    assert applied(plain, kid, parent) == of_child
    assert applied(plain, started["workflowExecution"], kid) == of_grandchild


@pytest.mark.parametrize(("policy", "of_child", "of_grandchild"), POLICIES)
def test_a_call_can_name_another_policy_and_children_keep_theirs(
    plain, policy, of_child, of_grandchild
):
    """The API reference: TerminateWorkflowExecution's childPolicy overrides."""
    own = "ABANDON" if policy == "TERMINATE" else "TERMINATE"
    (parent, kid, grandkid), _ = family(plain, 3, childPolicy=own)
    plain.swf.terminate_workflow_execution(
        domain="plain", workflowId=parent["workflowId"], childPolicy=policy
    )
    assert plain.attributes(parent, "WorkflowExecutionTerminated")["childPolicy"] == policy
    if policy == "TERMINATE":  # the child's own policy abandons the grandchild
        of_child = ("TERMINATED", of_child[1] | {"childPolicy": "ABANDON"})
        of_grandchild = UNTOUCHED
    assert applied(plain, kid, parent) == of_child
    assert applied(plain, grandkid, kid) == of_grandchild


def test_a_child_that_was_asked_to_cancel_tells_its_decider(plain):
    (parent, kid), names = family(plain, 2, childPolicy="REQUEST_CANCEL")
    plain.swf.terminate_workflow_execution(domain="plain", workflowId=parent["workflowId"])
    assert describe(plain, kid)["executionInfo"]["cancelRequested"] is True
    answer(plain, take(plain, names[1]), ("CancelWorkflowExecution", {}))
    assert describe(plain, kid)["executionInfo"]["cancelRequested"] is False, "SWF.md 7 [R1]"


def test_nothing_happens_to_children_of_one_that_completes(plain):
    """The issue, and the API reference: policies are for what is terminated or times out."""
    (_, kid), names = family(plain, 2)
    answer(plain, take(plain, names[0]), ("CompleteWorkflowExecution", {}))
    assert status(plain, kid) == "OPEN"
    answer(plain, take(plain, names[1]), ("CompleteWorkflowExecution", {}))
    assert status(plain, kid) == "COMPLETED", "its parent is closed, and hears nothing"


def test_a_child_lives_though_its_parent_closes_in_the_same_batch(plain):
    """That such a batch is accepted, and the parent's history, are recorded (FsDecider, 2017 [R5]);
    what becomes of the child is ours."""
    parent = plain.start()
    plain.decide(child("kid"), ("CompleteWorkflowExecution", {}))
    assert plain.kinds(parent)[-2:] == [
        "StartChildWorkflowExecutionInitiated",
        "WorkflowExecutionCompleted",
    ]
    kid = take(plain)
    assert kid["workflowExecution"]["workflowId"] == "kid"
    told = plain.attributes(kid["workflowExecution"], "WorkflowExecutionStarted")
    assert told["parentWorkflowExecution"] == parent


def test_a_child_that_could_not_start_in_a_closing_batch_counts_as_its_history_tells(plain):
    """Counts stay as they were when the execution closed (SWF.md 7 [R1])."""
    plain.start(taskList={"name": "twins"})
    answer(plain, take(plain, "twins"), child("twin", taskList={"name": "kids"}))
    parent = plain.start()
    plain.decide(child("twin"), ("CompleteWorkflowExecution", {}))
    assert plain.kinds(parent)[4] == "StartChildWorkflowExecutionInitiated"
    assert describe(plain, parent)["openCounts"]["openChildWorkflowExecutions"] == 1


# --- why one can't be started -------------------------------------------------------------------


def failed(plain, *decisions):
    """What a new execution's history tells of the child that its decision asked for."""
    execution = plain.start()
    plain.decide(*decisions)
    told = plain.attributes(execution, "StartChildWorkflowExecutionFailed")
    assert "DecisionTaskScheduled" in plain.kinds(execution)[4:]
    return told, plain.kinds(execution)


def test_an_unknown_type_has_no_initiated_event(plain):
    """SWF.md 7: initiatedEventId 0, and no Initiated event [R1, R2]."""
    nobody = {"workflowType": {"name": "Nobody", "version": "1"}}
    told, kinds = failed(plain, child("kid", **nobody, control="mine"))
    assert told == {
        "cause": "WORKFLOW_TYPE_DOES_NOT_EXIST",
        "workflowId": "kid",
        "initiatedEventId": 0,
        "decisionTaskCompletedEventId": 4,
        "control": "mine",
        **nobody,
    }
    assert "StartChildWorkflowExecutionInitiated" not in kinds


def test_an_id_that_is_open_is_found_after_the_initiated_event(plain):
    """The API reference: only then initiatedEventId isn't 0."""
    told, kinds = failed(plain, child("same"), child("same"))
    assert (told["cause"], told["initiatedEventId"]) == ("WORKFLOW_ALREADY_RUNNING", 6)
    assert (
        kinds[4:]
        == [
            "StartChildWorkflowExecutionInitiated",
            "StartChildWorkflowExecutionInitiated",
            "ChildWorkflowExecutionStarted",
            "DecisionTaskScheduled",
            "StartChildWorkflowExecutionFailed",
        ]
        or kinds[-1] == "DecisionTaskScheduled"
    )


def test_types_that_are_deprecated_or_lack_a_default(plain):
    """The API reference: the causes."""
    plain.swf.register_workflow_type(domain="plain", name="Bare", version="1")
    bare = {"workflowType": {"name": "Bare", "version": "1"}}
    given = {}
    for member, value, cause in (
        ("executionStartToCloseTimeout", "60", "EXECUTION_START_TO_CLOSE_TIMEOUT"),
        ("taskList", {"name": "own"}, "TASK_LIST"),
        ("taskStartToCloseTimeout", "60", "TASK_START_TO_CLOSE_TIMEOUT"),
        ("childPolicy", "ABANDON", "CHILD_POLICY"),
    ):
        told, _ = failed(plain, child("kid", **bare, **given))
        assert (told["cause"], told["initiatedEventId"]) == (f"DEFAULT_{cause}_UNDEFINED", 0)
        given[member] = value
        plain.decide(("CompleteWorkflowExecution", {}))
    plain.swf.deprecate_workflow_type(domain="plain", **bare)
    told, _ = failed(plain, child("kid", **bare, **given))
    assert told["cause"] == "WORKFLOW_TYPE_DEPRECATED"


def test_limits_of_children_and_of_open_workflows(plain, monkeypatch):
    """SWF's limits (1,000 open children, 100,000 open executions of a domain), made small here."""
    monkeypatch.setattr(decision, "MAX_OPEN", 2)
    told, kinds = failed(plain, *(child(f"kid-{number}") for number in range(3)))
    assert (told["cause"], told["workflowId"]) == ("OPEN_CHILDREN_LIMIT_EXCEEDED", "kid-2")
    assert kinds.count("ChildWorkflowExecutionStarted") == 2
    monkeypatch.setattr(starting, "MAX_OPEN", 4)
    for _ in range(3):
        take(plain)  # its next one, and the children's
    told, _ = failed(plain, child("kid-3"))
    assert told["cause"] == "OPEN_WORKFLOWS_LIMIT_EXCEEDED"
    refused(
        plain.swf.start_workflow_execution,
        "LimitExceededFault",
        domain="plain",
        workflowId="w",
        **FLOW,
    )
