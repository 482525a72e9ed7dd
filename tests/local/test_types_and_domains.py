"""Domains, types and tags: registered, listed, described, deprecated and back, deleted. Sources:
the API reference, SWF.md 7 where named."""

from __future__ import annotations

import pytest

from tests.local.plain import refused

BEGAN = 1_700_000_000.0
DEFAULTS = {
    "activity": {
        "defaultTaskStartToCloseTimeout": "1",
        "defaultTaskHeartbeatTimeout": "2",
        "defaultTaskList": {"name": "l"},
        "defaultTaskPriority": "-3",
        "defaultTaskScheduleToStartTimeout": "4",
        "defaultTaskScheduleToCloseTimeout": "NONE",
    },
    "workflow": {
        "defaultTaskStartToCloseTimeout": "1",
        "defaultExecutionStartToCloseTimeout": "2",
        "defaultTaskList": {"name": "l"},
        "defaultTaskPriority": "-3",
        "defaultChildPolicy": "ABANDON",
        "defaultLambdaRole": "arn:aws:iam::123456789012:role/r",
    },
}
TYPE = {"name": "T", "version": "1"}
ARN = "arn:aws:swf:eu-west-1:123456789012:/domain/plain"


@pytest.fixture(params=["activity", "workflow"])
def kind(request):
    return request.param


@pytest.fixture
def of(plain, kind):
    """Calls an operation of the kind's types, in the domain."""

    def call(operation, **given):
        told = getattr(plain.swf, operation.format(f"{kind}_type"))(domain="plain", **given)
        told.pop("ResponseMetadata")
        return told

    return call


def test_a_type_is_described_with_all_that_was_registered(of, kind, clock):
    """Real dates; what is absent is absent [R1, R2, R4]."""
    named = {f"{kind}Type": TYPE}
    of("register_{}", **TYPE, **DEFAULTS[kind], description="d")
    of("register_{}", name="Bare", version="1", defaultTaskList={"name": "l"})
    told = of("describe_{}", **named)
    assert told["configuration"] == DEFAULTS[kind]
    assert told["typeInfo"].pop("creationDate").timestamp() == BEGAN
    assert told["typeInfo"] == named | {"status": "REGISTERED", "description": "d"}
    clock.advance(5)
    of("deprecate_{}", **named)
    info = of("describe_{}", **named)["typeInfo"]
    assert info["status"] == "DEPRECATED"
    assert info["deprecationDate"].timestamp() == BEGAN + 5
    bare = of("describe_{}", **{f"{kind}Type": {"name": "Bare", "version": "1"}})
    assert bare["configuration"] == {"defaultTaskList": {"name": "l"}}
    assert "description" not in bare["typeInfo"]


def test_types_are_listed_by_name_status_order_and_page(of, kind):
    """By name [R3, R4]; pages."""
    for name, version in (("B", "1"), ("A", "1"), ("B", "2"), ("C", "1")):
        of("register_{}", name=name, version=version)
    of("deprecate_{}", **{f"{kind}Type": {"name": "C", "version": "1"}})

    def listed(**given):
        answer = of("list_{}s", **{"registrationStatus": "REGISTERED"} | given)
        named = [info[f"{kind}Type"] for info in answer["typeInfos"]]
        shown = " ".join(each["name"] + each["version"] for each in named if each["name"] in "ABC")
        return shown, answer.get("nextPageToken")

    assert listed() == ("A1 B1 B2", None)
    assert listed(reverseOrder=True) == ("B2 B1 A1", None)
    assert listed(registrationStatus="DEPRECATED") == ("C1", None)
    assert listed(name="B") == ("B1 B2", None)
    assert listed(name="b") == ("", None)
    shown, token = listed(maximumPageSize=2)
    assert shown == "A1 B1"
    assert listed(maximumPageSize=2, nextPageToken=token)[0].startswith("B2")


@pytest.mark.parametrize("reverse", [False, True])
def test_who_deprecates_what_a_page_told_misses_none(of, plain, kind, reverse):
    for name, version in (("D", "1"), ("A", "1"), ("A", "2"), ("C", "1"), ("B", "1")):
        of("register_{}", name=name, version=version)
    asked = plain.swf.get_paginator(f"list_{kind}_types").paginate(
        domain="plain",
        registrationStatus="REGISTERED",
        reverseOrder=reverse,
        PaginationConfig={"PageSize": 2},
    )
    told = []
    for page in asked:
        for info in page["typeInfos"]:
            named = info[f"{kind}Type"]
            of("deprecate_{}", **{f"{kind}Type": named})
            told.append(named["name"] + named["version"])
    ours = [each for each in told if each[0] in "ABCD"]
    assert ours == ["A1", "A2", "B1", "C1", "D1"][:: -1 if reverse else 1]


def test_a_page_token_is_good_for_its_own_operation(plain):
    for call in (plain.swf.register_activity_type, plain.swf.register_workflow_type):
        call(domain="plain", name="Second", version="1")
    given = {"domain": "plain", "registrationStatus": "REGISTERED", "maximumPageSize": 1}
    token = plain.swf.list_activity_types(**given)["nextPageToken"]
    given["nextPageToken"] = token
    assert len(plain.swf.list_activity_types(**given)["typeInfos"]) == 1
    refused(plain.swf.list_workflow_types, "ValidationException", "Invalid token", **given)


def test_a_type_is_deprecated_and_back(of, plain, kind):
    named = {f"{kind}Type": TYPE}
    of("register_{}", **TYPE)
    word = kind.capitalize()

    def fault(operation, code):
        call = getattr(plain.swf, operation.format(f"{kind}_type"))
        said = refused(call, code, domain="plain", **named)
        assert said.endswith(f"{word}Type=[name=T, version=1]")

    fault("undeprecate_{}", "TypeAlreadyExistsFault")
    of("deprecate_{}", **named)
    fault("deprecate_{}", "TypeDeprecatedFault")
    of("undeprecate_{}", **named)
    told = of("describe_{}", **named)["typeInfo"]
    assert told["status"] == "REGISTERED"
    assert "deprecationDate" not in told


def test_only_deprecated_types_are_deleted(of, plain, kind):
    """The API reference: a type has to be deprecated first; deleted, it is unknown."""
    named = {f"{kind}Type": TYPE}
    of("register_{}", **TYPE)
    delete = getattr(plain.swf, f"delete_{kind}_type")
    refused(delete, "TypeNotDeprecatedFault", "name=T", domain="plain", **named)
    of("deprecate_{}", **named)
    of("delete_{}", **named)
    refused(delete, "UnknownResourceFault", "Unknown type", domain="plain", **named)
    describe = getattr(plain.swf, f"describe_{kind}_type")
    refused(describe, "UnknownResourceFault", "Unknown type", domain="plain", **named)
    of("register_{}", **TYPE)


def test_what_runs_of_a_deleted_type_runs_on(plain):
    execution = plain.start()
    plain.decide(plain.schedule())
    for kind, name in (("activity", "Work"), ("workflow", "Flow")):
        named = {f"{kind}Type": {"name": name, "version": "1"}}
        getattr(plain.swf, f"deprecate_{kind}_type")(domain="plain", **named)
        getattr(plain.swf, f"delete_{kind}_type")(domain="plain", **named)
    plain.swf.respond_activity_task_completed(taskToken=plain.poll()["taskToken"])
    plain.decide(plain.schedule("b"))
    told = plain.attributes(execution, "ScheduleActivityTaskFailed")
    assert told["cause"] == "ACTIVITY_TYPE_DOES_NOT_EXIST"
    plain.decide(("CompleteWorkflowExecution", {}))
    assert plain.kinds(execution)[-1] == "WorkflowExecutionCompleted"


def test_a_deprecated_domain_takes_nothing_new_and_goes_on(plain, clock):
    """SWF.md 7 [M, R3]: its types are deprecated with it, nothing is registered or started in it;
    what runs runs on, and lists, counts and descriptions answer."""
    swf = plain.swf
    execution = plain.start()
    clock.advance(3)
    swf.deprecate_domain(name="plain")
    refused(swf.deprecate_domain, "DomainDeprecatedFault", "plain", name="plain")
    for kind, name in (("activity", "Work"), ("workflow", "Flow")):
        told = getattr(swf, f"describe_{kind}_type")(
            domain="plain", **{f"{kind}Type": {"name": name, "version": "1"}}
        )["typeInfo"]
        assert told["status"] == "DEPRECATED"
        assert told["deprecationDate"].timestamp() == BEGAN + 3
        register = getattr(swf, f"register_{kind}_type")
        refused(register, "DomainDeprecatedFault", domain="plain", name="N", version="1")
    flow = {"domain": "plain", "workflowId": "w", "workflowType": {"name": "Flow", "version": "1"}}
    refused(swf.start_workflow_execution, "TypeDeprecatedFault", **flow)
    swf.undeprecate_workflow_type(domain="plain", workflowType=flow["workflowType"])
    refused(swf.start_workflow_execution, "DomainDeprecatedFault", **flow)
    plain.decide(("CompleteWorkflowExecution", {}))
    every = {"oldestDate": 0}
    listed = swf.list_closed_workflow_executions(domain="plain", startTimeFilter=every)
    assert [each["execution"] for each in listed["executionInfos"]] == [execution]
    assert swf.count_open_workflow_executions(domain="plain", startTimeFilter=every)["count"] == 0
    swf.undeprecate_domain(name="plain")
    refused(swf.undeprecate_domain, "DomainAlreadyExistsFault", "plain", name="plain")
    assert swf.start_workflow_execution(**flow)


def test_domains_are_listed_by_name_status_order_and_page(plain):
    swf = plain.swf
    for name in ("b", "a", "old"):
        swf.register_domain(
            name=name, workflowExecutionRetentionPeriodInDays="7", description=f"{name}!"
        )
    swf.deprecate_domain(name="old")

    def names(**given):
        answer = swf.list_domains(**{"registrationStatus": "REGISTERED"} | given)
        return [info["name"] for info in answer["domainInfos"]], answer.get("nextPageToken")

    assert names() == (["a", "b", "plain"], None)
    assert names(reverseOrder=True) == (["plain", "b", "a"], None)
    assert names(registrationStatus="DEPRECATED") == (["old"], None)
    first, token = names(maximumPageSize=2)
    assert first == ["a", "b"]
    assert names(maximumPageSize=2, nextPageToken=token) == (["plain"], None)
    told = swf.describe_domain(name="a")
    assert told["domainInfo"]["description"] == "a!"
    assert told["configuration"] == {"workflowExecutionRetentionPeriodInDays": "7"}


def test_tags_of_domains(plain):
    """At most 50 (the API reference)."""
    swf = plain.swf
    tags = [{"key": f"k{number}", "value": "v"} for number in range(50)]
    given = {"name": "tagged", "workflowExecutionRetentionPeriodInDays": "1"}
    refused(swf.register_domain, "TooManyTagsFault", **given, tags=[*tags, {"key": "more"}])
    swf.register_domain(**given, tags=tags[:1])
    arn = swf.describe_domain(name="tagged")["domainInfo"]["arn"]
    swf.tag_resource(resourceArn=arn, tags=[{"key": "k0", "value": "new"}, {"key": "bare"}])
    assert swf.list_tags_for_resource(resourceArn=arn)["tags"] == [
        {"key": "k0", "value": "new"},
        {"key": "bare", "value": ""},
    ]
    refused(swf.tag_resource, "TooManyTagsFault", "50", resourceArn=arn, tags=tags)
    swf.untag_resource(resourceArn=arn, tagKeys=["bare", "never"])
    assert len(swf.list_tags_for_resource(resourceArn=arn)["tags"]) == 1
    for wrong in (f"{arn}x", "arn:aws:s3:::bucket", ARN.replace("1234", "4321")):
        for call, more in (
            (swf.list_tags_for_resource, {}),
            (swf.tag_resource, {"tags": []}),
            (swf.untag_resource, {"tagKeys": []}),
        ):
            refused(call, "UnknownResourceFault", wrong, resourceArn=wrong, **more)
