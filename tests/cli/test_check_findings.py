"""What `swf-worker check` makes of facts: no calls here."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from swf_worker import ActivityWorker, activity
from swf_worker.cli.checking import handlers, reach, registered
from swf_worker.cli.checking.asking import options_of
from swf_worker.cli.checking.facts import Reached, Told, WorkerFacts
from swf_worker.cli.checking.findings import Finding, Level, counted
from swf_worker.core.registered_types import RegisteredType
from swf_worker.errors import (
    CredentialsError,
    OperationNotPermittedFault,
    ServiceError,
    ServiceUnavailableError,
    UnknownResourceFault,
)
from swf_worker.service.clients import Where
from swf_worker.service.operator_calls import Greeting
from swf_worker.status import Backlog
from swf_worker.task import ActivityType

DENIED = OperationNotPermittedFault("DescribeActivityType", "AccessDeniedException", "not you")
UNKNOWN = UnknownResourceFault("DescribeActivityType", "UnknownResourceFault", "Unknown type")
LATE = ServiceUnavailableError("DescribeActivityType", "", "no answer within 4.5 s")
WORK = ActivityType("Work", "1")


def facts(told=..., *, worker=None, deprecated=False, pending=None, more=(), **options):
    """Of a worker with one activity, ``Work/1``. ``told`` is what SWF says of it."""

    @activity(name="Work", version="1", **options)
    def work() -> None: ...

    made = ActivityWorker(domain="d", task_list="t", activities=[work, *more], **(worker or {}))
    type_told = RegisteredType() if told is ... else told
    answers = {each.type: type_told for each in made.definitions}
    counted = Backlog(0, truncated=False) if pending is None else pending
    return WorkerFacts(
        options_of(made),
        made.definitions,
        Reached("env", greeting=Greeting(0.01, 0.0)),
        None if told is None else Told(deprecated, counted, answers),
    )


def timeout(seconds):
    return RegisteredType(defaults={"heartbeat_timeout": seconds})


def one(found, check, subject=None):
    (finding,) = [each for each in found if each.check == check and subject in (None, each.subject)]
    return finding


@pytest.mark.parametrize(
    ("told", "options", "worker", "level", "says"),
    [
        (timeout("30"), {}, {}, "ok", "every 10 s, the timeout (registered) is 30 s"),
        (timeout("30"), {"heartbeat_interval": 15}, {}, "ok", "every 15 s"),
        (timeout("30"), {"heartbeat_interval": 16}, {}, "warning", "late ends the task"),
        (timeout("30"), {"heartbeat_interval": 30}, {}, "error", "times out"),
        (timeout("30"), {"heartbeat_timeout": 120}, {}, "error", "every 40 s"),
        (timeout("0"), {"heartbeat_interval": 1}, {}, "error", "is 0 s"),
        (timeout("NONE"), {}, {}, "ok", "every 60 s; there is no timeout"),
        (timeout("30"), {}, {"heartbeat_interval": 20}, "warning", "every 20 s"),
        (DENIED, {}, {}, "warning", "the worker guesses, every 30 s"),
        (DENIED, {"heartbeat_timeout": 30, "heartbeat_interval": 30}, {}, "error", "(the code's)"),
        (UNKNOWN, {}, {}, "unknown", "not checked"),
        (LATE, {}, {}, "unknown", "not checked"),
        (None, {}, {}, "unknown", "not checked"),
        (None, {"heartbeat_timeout": 30}, {}, "ok", "the timeout (the code's) is 30 s"),
    ],
)
def test_the_heartbeat_interval_against_the_timeout(told, options, worker, level, says):
    found = handlers.findings_of(facts(told, worker=worker, **options), 1024)
    finding = one(found, "heartbeat")
    assert (finding.level, finding.subject) == (level, "Work/1")
    assert says in finding.message


@pytest.mark.parametrize(
    ("told", "options", "level", "says"),
    [
        ({"start_to_close_timeout": "60"}, {"deadline": 50}, "ok", "deadline 50 s"),
        ({"start_to_close_timeout": "60"}, {"deadline": 60}, "warning", "SWF closes the task"),
        ({"heartbeat_timeout": "60"}, {"heartbeat_deadline": 50}, "ok", "heartbeat_deadline 50 s"),
        ({"heartbeat_timeout": "60"}, {"heartbeat_deadline": 60}, "warning", "SWF closes it"),
        ({"heartbeat_timeout": "60"}, {"heartbeat_deadline": 20}, "error", "is stopped"),
    ],
)
def test_the_workers_own_limits_against_swfs(told, options, level, says):
    found = handlers.findings_of(facts(RegisteredType(defaults=told), **options), 1024)
    finding = one(found, "deadline")
    assert finding.level == level
    assert says in finding.message


@pytest.mark.parametrize("told", [{"start_to_close_timeout": "NONE"}, {}])
def test_a_deadline_of_which_swf_has_none_is_no_matter(told):
    found = handlers.findings_of(facts(RegisteredType(defaults=told), deadline=60), 1024)
    assert [each for each in found if each.check == "deadline"] == []


def pools(descriptors=1024, **options):
    found = handlers.findings_of(facts(**options), descriptors)
    return [(each.level, each.message) for each in found if each.check == "pool"]


def test_pools_that_fit():
    assert [level for level, _ in pools(max_concurrent=10)] == ["ok"]


def test_a_limit_above_the_slots_limits_nothing():
    assert pools(max_concurrent=11)[0][0] == "warning"


def test_a_worker_without_handlers_would_not_start():
    def handlers_of(kind):
        made = kind(domain="d", task_list="t")
        own = kind is not ActivityWorker
        nothing = WorkerFacts(options_of(made), made.definitions, Reached("env"), None, own)
        return one(handlers.findings_of(nothing, 1024), "handler"), nothing

    class CatchAll(ActivityWorker):
        def handle_unregistered(self, context, input):
            return input

    assert handlers_of(ActivityWorker)[0].level == "error"
    finding, catch_all = handlers_of(CatchAll)
    assert finding.level == "ok"
    assert handlers.beats_per_second(catch_all) == pytest.approx(10 / 30)


def test_slots_that_no_type_can_use():
    assert "its types run 3 tasks at once" in pools(max_concurrent=3)[0][1]


def test_more_slots_than_descriptors():
    level, message = pools(worker={"max_concurrent_activities": 1000})[-1]
    assert level == "warning"
    assert "about 1106 descriptors of 1024" in message
    assert pools(float("inf"), worker={"max_concurrent_activities": 100_000})[-1][0] == "ok"


@activity(name="Slow", version="1", heartbeat_interval=50)
def slow() -> None: ...


def test_the_quota_counts_slots_full_of_what_beats_most_often():
    """Two of the ten tasks every 0.1 s, eight every 50 s."""
    options = {"heartbeat_interval": 0.1, "max_concurrent": 2, "more": [slow]}
    assert handlers.beats_per_second(facts(**options)) == pytest.approx(20.16)
    beats, polls = handlers.quota_findings([facts(**options)], 7)
    assert (beats.level, polls.level) == ("ok", "ok")
    assert "up to 141 a second keep tasks alive, of 7 processes" in beats.message
    beats, polls = handlers.quota_findings([facts(**options)], 8)
    assert beats.level == "warning"
    _, polls = handlers.quota_findings([facts(**options), facts()], 101)
    assert polls.level == "warning"
    assert polls.subject == "polls of d/t"
    assert "1,010 open polls" in polls.message


def told(of, why_not=None, served=()):
    return list(registered.findings_of(of, why_not, "m:w", served))


def test_all_is_registered():
    found = told(facts(pending=Backlog(7, truncated=True)))
    assert one(found, "domain").level == "ok"
    assert one(found, "type").message == "registered as the code says"
    assert one(found, "task list").message == "7 or more tasks wait"
    assert {each.level for each in found if each.subject != registered.UNTRIED} == {"ok"}
    untried = one(found, "permission", registered.UNTRIED)
    assert untried.level == "unknown"
    assert "iam-policy m:w" in untried.fix


@pytest.mark.parametrize(
    ("answer", "options", "level", "says", "fix"),
    [
        (UNKNOWN, {}, "error", "not registered in domain d", "swf-worker register m:w"),
        (RegisteredType(deprecated=True), {}, "warning", "deprecated", "undeprecate-activity-type"),
        (timeout("30"), {"heartbeat_timeout": 60}, "warning", "registered as 30", "a new version"),
        (DENIED, {}, "unknown", "can't be looked up", "allow swf:DescribeActivityType"),
        (LATE, {}, "unknown", "no answer within", "try again"),
    ],
)
def test_a_types_state(answer, options, level, says, fix):
    finding = one(told(facts(answer, **options)), "type")
    assert (finding.level, finding.subject) == (level, "Work/1")
    assert says in finding.message
    assert fix in finding.fix


def test_a_deprecated_type_that_has_drifted_is_told_both():
    drifted = RegisteredType(deprecated=True, defaults={"heartbeat_timeout": "30"})
    found = told(facts(drifted, heartbeat_timeout=60))
    assert len([each for each in found if each.check == "type"]) == 2


@pytest.mark.parametrize(
    ("deprecated", "pending", "level", "says"),
    [
        (True, None, "error", "deprecated"),
        (UNKNOWN, UNKNOWN, "error", "not registered"),
        (DENIED, UNKNOWN, "error", "not registered"),
        (DENIED, None, "ok", "whether it is deprecated can't be looked up"),
        (DENIED, DENIED, "unknown", "can't be looked up"),
        (LATE, LATE, "unknown", "no answer"),
    ],
)
def test_a_domains_state(deprecated, pending, level, says):
    found = told(facts(deprecated=deprecated, pending=pending))
    finding = one(found, "domain")
    assert finding.level == level
    assert says in finding.message
    if "not registered" in says:
        assert "not checked" in one(found, "type").message


def test_a_default_task_list_that_no_worker_here_serves():
    to = RegisteredType(defaults={"default_task_list": "elsewhere"})
    finding = one(told(facts(to)), "task list", "d/elsewhere")
    assert finding.level == "warning"
    assert len(told(facts(to), served=[("d", "elsewhere", "Work/1")])) == len(told(facts(to))) - 1
    assert one(told(facts(DENIED, default_task_list="x")), "task list", "d/x").level == "warning"


def test_what_a_denied_look_up_costs():
    found = told(facts(DENIED, deprecated=DENIED, pending=DENIED))
    levels = {each.subject: each.level for each in found if each.check == "permission"}
    assert levels == {
        "swf:DescribeDomain": "unknown",  # no worker calls it
        "swf:CountPendingActivityTasks": "warning",
        "swf:DescribeActivityType": "warning",
        registered.UNTRIED: "unknown",
    }
    assert one(told(facts(LATE)), "permission", "swf:DescribeActivityType").level == "unknown"


def test_nothing_that_swf_tells_is_checked_where_it_was_not_asked():
    found = told(facts(None), "no region is set")
    assert {each.check for each in found} == {"domain", "task list", "type", "permission"}
    assert {each.message for each in found} == {"not checked: no region is set"}


KNOWN = Where("us-east-1", True, None)
CLOCK = ServiceError("DescribeDomain", "InvalidSignatureException", "Signature expired: now")
REFUSED = OperationNotPermittedFault("DescribeDomain", "UnrecognizedClientException", "bad token")


def way(refused=None, *, ahead=0.0, **members):
    members = {"credentials": "env", "where": KNOWN, "greeting": Greeting(0.02, ahead)} | members
    return list(reach.findings_of(Reached(**members), refused))


@pytest.mark.parametrize(
    ("ahead", "refused", "level", "says"),
    [
        (59, None, "ok", "within 59 s"),
        (60, None, "warning", "60 s ahead of"),
        (-301, None, "error", "301 s behind"),
        (100, CLOCK, "error", "Signature expired"),
        (None, CLOCK, "error", "Signature expired"),
        (None, None, "unknown", "has no time"),
    ],
)
def test_the_clock(ahead, refused, level, says):
    found = way(refused, ahead=ahead)
    finding = one(found, "clock")
    assert finding.level == level
    assert says in finding.message
    assert one(found, "credentials").level == "ok"


def test_credentials_that_swf_refuses():
    found = way(REFUSED)
    assert one(found, "credentials").level == "error"
    assert "UnrecognizedClientException" in one(found, "credentials").message
    assert one(found, "clock").level == "ok"
    assert reach.why_not_asked(Reached("env", greeting=Greeting(0, 0)), REFUSED)


def test_none_are_found():
    missing = CredentialsError("credentials", "Credentials", "credentials: no provider has any")
    finding = one(way(credentials=missing), "credentials")
    assert (finding.level, finding.message) == ("error", "no provider has any")
    assert "AWS_PROFILE" in finding.fix


@pytest.mark.parametrize(
    ("where", "greeting", "level"),
    [
        (KNOWN, LATE, "ok"),
        (Where("us-esat-1", False, None), LATE, "error"),
        (Where("us-esat-1", False, "http://elsewhere"), LATE, "ok"),
        (Where("xx-new-1", False, None), Greeting(0.1, 0), "ok"),
    ],
)
def test_a_region_that_boto3_does_not_know(where, greeting, level):
    finding = one(way(where=where, greeting=greeting), "region")
    assert finding.level == level
    assert ("did you mean" in finding.message) is (level == "error")


@pytest.mark.parametrize(
    ("code", "fix"), [("Connection", "DNS"), ("TLS", "AWS_CA_BUNDLE"), ("", "a proxy, a firewall")]
)
def test_an_endpoint_that_can_not_be_reached(code, fix):
    finding = one(way(greeting=ServiceUnavailableError("DescribeDomain", code, "no")), "endpoint")
    assert finding.level == "error"
    assert fix in finding.fix


def test_an_answer_to_a_signed_call_is_swf_whatever_was_said_before():
    other = ServiceUnavailableError("DescribeDomain", "403", "HTTP 403, and not from AWS")
    found = way(greeting=other, heard=True)
    assert one(found, "endpoint").level == "ok"
    assert one(found, "clock").level == "unknown"
    assert reach.why_not_asked(Reached("env", greeting=other, heard=True), None) is None
    assert reach.why_not_asked(Reached("env", greeting=other), None)


def test_sts_is_never_needed():
    assert one(way(caller="arn:aws:iam::1:user/a"), "caller").level == "ok"
    assert one(way(caller=DENIED), "caller").level == "unknown"
    assert one(way(local=True), "caller").level == "ok"


def test_a_line_is_one_line_and_says_what_mends_it():
    finding = Finding("region", Level.ERROR, "us-esat-1", "no\nsuch; did you mean x?", "correct it")
    assert (
        str(finding) == "error    region      us-esat-1: no such; did you mean x? Fix: correct it"
    )
    assert list(asdict(finding)) == ["check", "level", "subject", "message", "fix"]
    assert counted([finding, finding, Finding("a", Level.OK, "", "b")]) == "2 errors, 1 ok"
