"""``swf-worker register`` over the wire: plan, apply, and nothing to do the second time."""

from __future__ import annotations

import pytest

from swf_worker import ConfigurationError
from swf_worker.cli import register
from swf_worker.cli.main import main
from swf_worker.cli.registering import wanted
from swf_worker.local import Fault, FaultKind, LocalSwf
from tests import wire
from tests.cli import before_deploy

HERE = "tests.cli.before_deploy"
WORKER = f"{HERE}:worker"
REGISTER = ("RegisterDomain", "RegisterActivityType")


@pytest.fixture
def swf():
    with LocalSwf(poll_hold=0.2) as local:
        yield local


@pytest.fixture
def registering(swf, capsys):
    """Runs it in this process: the exit code, the lines, and how many register calls it made."""

    def run(*arguments, targets=(WORKER,)):
        before = swf.calls
        code = main(["register", *targets, *arguments, "--endpoint-url", swf.endpoint_url])
        told = capsys.readouterr()
        assert "Traceback" not in told.err
        made = [swf.calls.get(name, 0) - before.get(name, 0) for name in REGISTER]
        return code, (told.out + told.err).splitlines(), made

    return run


def configuration(swf, name="Archive", version="1.0"):
    described = swf.client().describe_activity_type(
        domain="deploys", activityType={"name": name, "version": version}
    )
    return described["configuration"], described["typeInfo"]


def test_it_plans_applies_and_has_nothing_to_do_the_second_time(swf, registering):
    code, lines, made = registering("--create-domain", "--retention-days", "7")
    assert (code, made) == (0, [1, 2])
    assert [line for line in lines if line.startswith("regist")] == [
        "register   domain deploys: closed workflows are kept 7 days",
        "register   activity type Archive/1.0: heartbeat_timeout=30, start_to_close_timeout=NONE, "
        "default_task_list=files",
        "register   activity type Bare/2: no defaults",
        "registered domain deploys",
        "registered activity type Archive/1.0",
        "registered activity type Bare/2",
    ]
    defaults, info = configuration(swf)
    assert defaults == {
        "defaultTaskHeartbeatTimeout": "30",
        "defaultTaskStartToCloseTimeout": "NONE",
        "defaultTaskList": {"name": "files"},
    }
    assert info["description"] == "puts folders away"
    assert configuration(swf, "Bare", "2")[0] == {}
    domain = swf.client().describe_domain(name="deploys")
    assert domain["configuration"]["workflowExecutionRetentionPeriodInDays"] == "7"

    code, lines, made = registering("--create-domain")
    assert (code, made) == (0, [0, 0])
    assert "nothing to register" in lines


def test_a_dry_run_registers_nothing(registering, monkeypatch):
    monkeypatch.setenv("SWF_WORKER_DRY_RUN", "true")
    code, lines, made = registering("--create-domain")
    assert (code, made) == (0, [0, 0])
    assert "nothing was registered (--dry-run)" in lines


def test_a_domain_is_created_only_when_told(registering):
    code, lines, made = registering()
    assert (code, made) == (1, [0, 0])
    assert any(line.startswith("missing    domain deploys: ") for line in lines)
    assert any("--create-domain" in line for line in lines)
    assert "nothing to register" not in lines


def test_drift_is_told_and_the_others_are_registered(swf, registering):
    swf.register([before_deploy.archive], domain="deploys")
    code, lines, made = registering(targets=[f"{HERE}:drifted"])
    assert (code, made) == (1, [0, 1])
    (drifted,) = [line for line in lines if line.startswith("drifted")]
    assert "heartbeat_timeout is registered as 30, the code says 60" in drifted
    assert "a new version" in drifted
    assert "registered activity type Bare/2" in lines
    assert registering("--dry-run", targets=[f"{HERE}:drifted"])[0] == 1


def test_a_deprecated_type_stays_so(swf, registering):
    swf.register(before_deploy.worker())
    bare = {"name": "Bare", "version": "2"}
    swf.client().deprecate_activity_type(domain="deploys", activityType=bare)
    code, lines, made = registering()
    assert (code, made) == (0, [0, 0])
    (said,) = [line for line in lines if line.startswith("deprecated")]
    assert "aws swf undeprecate-activity-type --domain deploys --activity-type '{" in said
    assert configuration(swf, "Bare", "2")[1]["status"] == "DEPRECATED"


def test_nothing_is_registered_in_a_deprecated_domain(swf, registering):
    swf.register([before_deploy.archive], domain="deploys")
    swf.client().deprecate_domain(name="deploys")
    code, lines, made = registering()
    assert (code, made) == (1, [0, 0])
    assert "nothing was registered in domain deploys: it is deprecated" in lines


def test_several_workers_of_a_domain_are_registered_together(swf, registering):
    code, lines, made = registering("--create-domain", targets=[WORKER, f"{HERE}:hosts_own"])
    assert (code, made) == (0, [1, 2])
    assert len([line for line in lines if line.startswith("register ")]) == 3


def test_one_type_with_two_registrations_is_refused(registering):
    code, lines, made = registering("--create-domain", targets=[WORKER, f"{HERE}:drifted"])
    assert (code, made) == (1, [0, 0])
    assert "Archive/1.0 has other registration defaults in another worker" in lines[-1]
    both = [*before_deploy.worker().definitions, *before_deploy.drifted().definitions]
    with pytest.raises(ConfigurationError, match="is registered once"):
        wanted(both)


def test_a_worker_of_no_types_registers_none(registering):
    code, _, made = registering("--create-domain", targets=[f"{HERE}:CatchAll"])
    assert (code, made) == (0, [1, 0])


def test_throttling_is_waited_out(swf, registering):
    names = ("DescribeDomain", "DescribeActivityType", *REGISTER)
    swf.set_faults([Fault(name, FaultKind.THROTTLED, calls=[1, 2]) for name in names])
    code, _, made = registering("--create-domain")
    assert code == 0
    assert made == [3, 4]  # two of each were refused


def test_a_lost_answer_is_no_second_registration(swf, registering):
    """Made again, it meets what it has registered itself."""
    swf.set_faults([Fault(name, FaultKind.LOST, calls=[1]) for name in REGISTER])
    code, lines, made = registering("--create-domain")
    assert (code, made) == (0, [2, 3])
    assert not [line for line in lines if "drifted" in line]


def race(described):
    """Somebody else registers Archive and Bare, after they were looked up."""
    unknown = wire.fault("UnknownResourceFault", "Unknown type")
    return {
        "DescribeDomain": [wire.http(200, {"domainInfo": {"name": "d", "status": "REGISTERED"}})],
        "RegisterActivityType": [wire.fault("TypeAlreadyExistsFault")],
        "DescribeActivityType": [unknown, unknown, described],
    }


ANOTHERS = wire.http(
    200,
    {
        "typeInfo": {"status": "REGISTERED"},
        "configuration": {"defaultTaskHeartbeatTimeout": "5"},
    },
)


@pytest.mark.parametrize(
    ("described", "code", "says"),
    [
        (ANOTHERS, 1, "heartbeat_timeout is registered as 5, the code says 30"),
        (wire.fault("UnknownResourceFault"), 0, "Bare/2 has just been registered by somebody else"),
    ],
)
def test_who_registers_it_meanwhile_is_no_error_but_for_drift(described, code, says, capsys):
    with wire.Wire(**race(described)) as service:
        assert main(["register", WORKER, "--endpoint-url", service.url]) == code
    assert says in capsys.readouterr().out


def test_a_domain_that_was_just_created_may_not_be_known_yet(capsys):
    unknown = wire.fault("UnknownResourceFault", "Unknown domain: deploys")
    script = {
        "DescribeDomain": [unknown],
        "RegisterDomain": [wire.OK],
        "RegisterActivityType": [unknown, unknown, wire.OK],
    }
    with wire.Wire(**script) as service:
        arguments = [WORKER, "--create-domain", "--endpoint-url", service.url]
        assert main(["register", *arguments]) == 0
        assert len(service.named("RegisterActivityType")) == 4
        assert service.named("RegisterDomain") == [
            {"name": "deploys", "workflowExecutionRetentionPeriodInDays": "30"}
        ]


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (wire.fault("AccessDeniedException", "not you"), "allow swf:DescribeDomain"),
        (wire.fault("UnrecognizedClientException", "who?"), "UnrecognizedClientException"),
        (wire.fault("ValidationException", "bad"), "ValidationException bad (region 'us-east-1')"),
    ],
)
def test_what_swf_refuses_is_one_line_and_exit_1(answer, says, capsys):
    with wire.Wire(DescribeDomain=[answer]) as service:
        assert main(["register", WORKER, "--endpoint-url", service.url]) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("swf-worker: DescribeDomain: ")
    assert says in last


def test_who_can_not_be_reached_is_told(monkeypatch, capsys):
    monkeypatch.setattr(register, "FIRST", 0.2)
    assert main(["register", WORKER, "--endpoint-url", "http://127.0.0.1:9"]) == 1
    assert "swf-worker dev" in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "env", "says"),
    [
        (["--retention-days", "91"], {}, "--retention-days is 91"),
        ([], {"SWF_WORKER_DRY_RUN": "perhaps"}, "SWF_WORKER_DRY_RUN is 'perhaps'"),
        (["--dry-rum"], {}, "did you mean --dry-run?"),
    ],
)
def test_what_the_command_line_gets_wrong_is_exit_2(arguments, env, says, monkeypatch, capsys):
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    assert main(["register", WORKER, *arguments]) == 2
    assert says in capsys.readouterr().err
