"""Ids as long and as awkward as SWF's, what is accepted in ids, bounds, texts, target prefixes, the
region in a domain's ARN."""

from __future__ import annotations

import json
import re

import boto3

from tests.local.plain import raw, refused

BASE64 = re.compile(r"[A-Za-z0-9+/]+=*")


def test_run_ids_and_task_tokens_are_as_awkward_as_swfs(plain):
    """SWF.md 7: a runId has 46 characters and ends in =, a token some 320 of base64, both
    with / and + [R1, R2, R3]."""
    run_id = plain.start()["runId"]
    decision = plain.decide(plain.schedule())
    for text, length in (
        (run_id, 46),
        (decision["taskToken"], 320),
        (plain.poll()["taskToken"], 320),
    ):
        assert len(text) == length
        assert BASE64.fullmatch(text)
        assert "/" in text
        assert "+" in text
    assert run_id.endswith("=")


def test_colons_are_accepted_in_ids(plain):
    """SWF.md 7: in a timerId and a child's workflowId, against the model's prose [R2]."""
    plain.swf.start_workflow_execution(
        domain=plain.domain, workflowId="a:b", workflowType={"name": "Flow", "version": "1"}
    )
    plain.decide(
        ("StartTimer", {"timerId": "a:t", "startToFireTimeout": "60"}),
        plain.schedule("a:1"),
        (
            "StartChildWorkflowExecution",
            {"workflowId": "a:c", "workflowType": {"name": "Flow", "version": "1"}},
        ),
    )
    assert plain.poll()["activityId"] == "a:1"
    started = plain.swf.poll_for_decision_task(domain=plain.domain, taskList={"name": "decide"})
    assert started["workflowExecution"]["workflowId"] in ("a:b", "a:c")


def test_a_child_may_be_called_by_its_parents_run(plain):
    """AWS's Flow framework for Java (GenericWorkflowClientImpl.generateUniqueId) and botoflow make
    a child's workflowId of the parent's runId, a colon and a number: it has slashes."""
    execution = plain.start()
    name = f"{execution['runId']}:1"
    assert "/" in name
    plain.decide(
        (
            "StartChildWorkflowExecution",
            {"workflowId": name, "workflowType": {"name": "Flow", "version": "1"}},
        )
    )
    told = plain.attributes(execution, "ChildWorkflowExecutionStarted")
    assert told["workflowExecution"]["workflowId"] == name
    for wrong in ("a|b", "arn"):
        refused(
            plain.swf.start_workflow_execution,
            "ValidationException",
            "not contain | or control characters",
            domain=plain.domain,
            workflowId=wrong,
            workflowType={"name": "Flow", "version": "1"},
        )


def test_retention_is_90_days_at_most(plain):
    """SWF.md 7 [M]."""
    for days in ("91", "-1", "soon", "1.5"):
        refused(
            plain.swf.register_domain,
            "ValidationException",
            "workflowExecutionRetentionPeriodInDays",
            name="d",
            workflowExecutionRetentionPeriodInDays=days,
        )
    for days in ("0", "90", "NONE"):
        plain.swf.register_domain(
            name=f"{plain.domain}-{days}", workflowExecutionRetentionPeriodInDays=days
        )


def test_an_execution_lasts_a_year_at_most_and_never_for_ever(plain):
    """SWF.md 7 [M]."""
    for timeout in ("NONE", "31536001", "-1", "²"):
        refused(
            plain.swf.start_workflow_execution,
            "ValidationException",
            "executionStartToCloseTimeout",
            domain=plain.domain,
            workflowId="w",
            workflowType={"name": "Flow", "version": "1"},
            executionStartToCloseTimeout=timeout,
        )
        refused(
            plain.swf.register_workflow_type,
            "ValidationException",
            "defaultExecutionStartToCloseTimeout",
            domain=plain.domain,
            name="T",
            version="1",
            defaultExecutionStartToCloseTimeout=timeout,
        )
    assert plain.start(executionStartToCloseTimeout="31536000", taskStartToCloseTimeout="NONE")


def decide(plain, decisions, **given):
    return refused(
        plain.swf.respond_decision_task_completed,
        "ValidationException",
        taskToken=given.pop("token"),
        decisions=decisions,
    )


def test_texts_of_refused_decisions(plain, swf):
    """SWF.md 7 (aws-swf#2), and moto's tests of RespondDecisionTaskCompleted."""
    plain.start()
    token = plain.swf.poll_for_decision_task(domain=plain.domain, taskList={"name": "decide"})[
        "taskToken"
    ]
    assert decide(plain, [{"decisionType": "StartTimer"}], token=token) == (
        "StartTimerDecisionAttributes must be specified for decision of type StartTimer"
    )
    for closing in ("CompleteWorkflowExecution", "ContinueAsNewWorkflowExecution"):
        twice = [{"decisionType": closing}] * 2
        assert decide(plain, twice, token=token) == "Close must be last decision in list"
    # botocore refuses to send this
    body = {
        "taskToken": token,
        "decisions": [{"decisionType": "wrong", "startTimerDecisionAttributes": {}}],
    }
    status, answer = raw(
        swf, "SimpleWorkflowService.RespondDecisionTaskCompleted", json.dumps(body)
    )
    null = "failed to satisfy constraint: Member must not be null"
    where = "decisions.1.member"
    enum = "failed to satisfy constraint: Member must satisfy enum value set"
    assert (status, answer["__type"]) == (400, "com.amazon.coral.validate#ValidationException")
    assert answer["message"] == (
        "3 validation errors detected: "
        f"Value null at '{where}.startTimerDecisionAttributes.timerId' {null}; "
        f"Value null at '{where}.startTimerDecisionAttributes.startToFireTimeout' {null}; "
        f"Value 'wrong' at '{where}.decisionType' {enum}: "
        "[CompleteWorkflowExecution, StartTimer, "
        "RequestCancelExternalWorkflowExecution, SignalExternalWorkflowExecution, CancelTimer, "
        "RecordMarker, ScheduleActivityTask, ContinueAsNewWorkflowExecution, "
        "ScheduleLambdaFunction, FailWorkflowExecution, RequestCancelActivityTask, "
        "StartChildWorkflowExecution, CancelWorkflowExecution]"
    )


def test_a_refused_batch_does_nothing(plain):
    """moto's tests: none of the decisions is made."""
    execution = plain.start()
    token = plain.swf.poll_for_decision_task(domain=plain.domain, taskList={"name": "decide"})[
        "taskToken"
    ]
    marker = {
        "decisionType": "RecordMarker",
        "recordMarkerDecisionAttributes": {"markerName": "m"},
    }
    decide(plain, [marker, {"decisionType": "CancelTimer"}], token=token)
    assert plain.kinds(execution)[-1] == "DecisionTaskStarted"
    plain.swf.respond_decision_task_completed(taskToken=token, decisions=[marker])


def test_a_missing_default_is_named_in_swfs_order(plain):
    """moto's tests: DefaultUndefinedFault with the member's name."""
    plain.swf.register_workflow_type(domain=plain.domain, name="Bare", version="1")
    given = {}
    for member, value in (
        ("executionStartToCloseTimeout", "60"),
        ("taskList", {"name": "l"}),
        ("taskStartToCloseTimeout", "60"),
        ("childPolicy", "ABANDON"),
    ):
        said = refused(
            plain.swf.start_workflow_execution,
            "DefaultUndefinedFault",
            domain=plain.domain,
            workflowId="w",
            workflowType={"name": "Bare", "version": "1"},
            **given,
        )
        assert said == member
        given[member] = value


def test_both_target_prefixes_are_served(plain, swf):
    """SWF.md 7: the longer one is that of boto 2, older Go and Ruby clients [R1]."""
    body = json.dumps({"name": plain.domain})
    for package in ("", "com.amazonaws.swf.service.model."):
        status, answer = raw(swf, f"{package}SimpleWorkflowService.DescribeDomain", body)
        assert (status, answer["domainInfo"]["name"]) == (200, plain.domain)
    assert raw(swf, "com.amazonaws.swf.DescribeDomain", body)[0] == 400


def test_a_domains_arn_has_the_region_that_asks(plain, swf):
    """One world for all regions; the ARN has the region that signed the request."""
    session = boto3.Session(aws_access_key_id="x", aws_secret_access_key="y")
    for region, partition in (("eu-west-1", "aws"), ("cn-north-1", "aws-cn")):
        client = session.client("swf", endpoint_url=swf.endpoint_url, region_name=region)
        arn = client.describe_domain(name=plain.domain)["domainInfo"]["arn"]
        assert arn == f"arn:{partition}:swf:{region}:123456789012:/domain/{plain.domain}"
        listed = client.list_domains(registrationStatus="REGISTERED")["domainInfos"]
        assert arn in [info["arn"] for info in listed]
        client.tag_resource(resourceArn=arn, tags=[{"key": region, "value": "v"}])
        tags = client.list_tags_for_resource(resourceArn=arn)["tags"]
        client.close()
    assert [tag["key"] for tag in tags] == ["eu-west-1", "cn-north-1"]
