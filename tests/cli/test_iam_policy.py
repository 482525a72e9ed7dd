"""``swf-worker iam-policy``: what a worker calls is in it, and nothing else."""

from __future__ import annotations

import ast
import json
import re

import pytest
from botocore.loaders import Loader

from swf_worker import ActivityCanceled, ActivityContext, ActivityFailed, activity
from swf_worker.cli.main import main
from swf_worker.cli.policy import Scope, policy
from swf_worker.local import Canceled, Completed, Failed
from tests.cli import before_deploy
from tests.test_house import imports, modules

HERE = "tests.cli.before_deploy"
WORKER = f"{HERE}:worker"


@pytest.fixture(autouse=True)
def no_set_up(monkeypatch):
    for name in ("AWS_PROFILE", "AWS_DEFAULT_REGION", "AWS_REGION", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")


@pytest.fixture
def printed(capsys):
    """Runs it in this process: the statements by Sid."""

    def run(*arguments):
        assert main(["iam-policy", *arguments]) == 0
        document = json.loads(capsys.readouterr().out)
        assert well_formed(document)
        return {statement["Sid"]: statement for statement in document["Statement"]}

    return run


def well_formed(document):
    """As IAM's grammar has it, of the elements that are used here."""
    assert set(document) == {"Version", "Statement"}
    assert document["Version"] == "2012-10-17"
    sids = [statement["Sid"] for statement in document["Statement"]]
    assert len(set(sids)) == len(sids)
    operations = Loader().load_service_model("swf", "service-2")["operations"]
    for statement in document["Statement"]:
        assert {"Sid", "Effect", "Action", "Resource"} <= set(statement)
        assert set(statement) <= {"Sid", "Effect", "Action", "Resource", "Condition"}
        assert re.fullmatch("[A-Za-z0-9]+", statement["Sid"])
        assert statement["Effect"] == "Allow"
        assert all(each.removeprefix("swf:") in operations for each in statement["Action"])
        assert re.fullmatch(r"arn:aws[a-z-]*:swf:[^:]+:[^:]+:/domain/.+", statement["Resource"])
        for equals in statement.get("Condition", {}).values():
            assert all(values and isinstance(values, list) for values in equals.values())
    return True


def actions(statements):
    return [each.removeprefix("swf:") for s in statements.values() for each in s["Action"]]


def test_the_policy_of_a_worker(printed):
    told = printed(WORKER, "--region", "eu-west-1", "--account", "123456789012")
    domain = "arn:aws:swf:eu-west-1:123456789012:/domain/deploys"
    assert list(told.values()) == [
        {
            "Sid": "TakeTasks",
            "Effect": "Allow",
            "Action": ["swf:PollForActivityTask", "swf:CountPendingActivityTasks"],
            "Resource": domain,
            "Condition": {"StringEquals": {"swf:taskList.name": ["files"]}},
        },
        {
            "Sid": "KeepAndAnswerTasks",
            "Effect": "Allow",
            "Action": [
                "swf:RecordActivityTaskHeartbeat",
                "swf:RespondActivityTaskCanceled",
                "swf:RespondActivityTaskCompleted",
                "swf:RespondActivityTaskFailed",
            ],
            "Resource": domain,
        },
        {
            "Sid": "LookUpTypes",
            "Effect": "Allow",
            "Action": ["swf:DescribeActivityType"],
            "Resource": domain,
            "Condition": {
                "StringEquals": {
                    "swf:activityType.name": ["Archive", "Bare"],
                    "swf:activityType.version": ["1.0", "2"],
                }
            },
        },
    ]


def test_register_adds_what_registering_calls(printed):
    without, with_it = printed(WORKER), printed(WORKER, "--register")
    assert set(actions(with_it)) - set(actions(without)) == {
        "DescribeDomain",
        "RegisterActivityType",
    }
    assert with_it["RegisterTypes"]["Condition"] == {
        "StringEquals": {"swf:name": ["Archive", "Bare"], "swf:version": ["1.0", "2"]}
    }


@pytest.mark.parametrize(
    ("region", "partition"),
    [("us-east-1", "aws"), ("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov")],
)
def test_the_partition_is_the_regions(printed, region, partition):
    arn = printed(WORKER, "--region", region)["TakeTasks"]["Resource"]
    assert arn == f"arn:{partition}:swf:{region}:*:/domain/deploys"


def test_any_region_and_account_where_none_is_given(capsys):
    assert main(["iam-policy", WORKER]) == 0
    told = capsys.readouterr()
    assert "arn:aws:swf:*:*:/domain/deploys" in told.out
    assert "--region and --account" in told.err


def test_a_policy_that_is_too_long_for_iam_says_so(capsys):
    assert main(["iam-policy", f"{HERE}:of_many_types", "--register"]) == 0
    told = capsys.readouterr()
    assert well_formed(json.loads(told.out))
    assert "6,144" in told.err
    assert main(["iam-policy", WORKER, "--register"]) == 0
    assert "6,144" not in capsys.readouterr().err


def test_workers_of_one_domain_share_statements(printed):
    told = printed(WORKER, f"{HERE}:hosts_own")
    assert list(told) == ["TakeTasks", "KeepAndAnswerTasks", "LookUpTypes"]
    lists = told["TakeTasks"]["Condition"]["StringEquals"]["swf:taskList.name"]
    assert lists == ["files", "host-7"]


def test_workers_of_several_domains_have_their_own(printed):
    told = printed(WORKER, f"{HERE}:elsewhere")
    assert len(told) == 6
    assert {told["TakeTasks1"]["Resource"], told["TakeTasks2"]["Resource"]} == {
        "arn:aws:swf:*:*:/domain/deploys",
        "arn:aws:swf:*:*:/domain/media${*}",  # no wildcard, and no variable
    }
    condition = told["TakeTasks2"]["Condition"]["StringEquals"]
    assert condition == {"swf:taskList.name": ["${$}{x}"]}


def test_a_worker_of_no_types_looks_none_up(printed):
    assert list(printed(f"{HERE}:CatchAll")) == ["TakeTasks", "KeepAndAnswerTasks"]


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--account", "1234"], 2, "12 digits"),
        (["--region", "us-esat-1"], 1, "did you mean us-"),
        (["--acount", "1"], 2, "did you mean --account?"),
    ],
)
def test_what_is_wrong_is_one_line(arguments, code, says, capsys):
    assert main(["iam-policy", WORKER, *arguments]) == code
    assert says in capsys.readouterr().err.splitlines()[-1]


# --- each operation that the worker can call, and none more -----------------------------------


def policy_actions():
    types = tuple(each.type for each in before_deploy.worker().definitions)
    document = policy([Scope("aws", "us-east-1", "*", "d", ("t",), types)])
    return {each.removeprefix("swf:") for s in document["Statement"] for each in s["Action"]}


def needed_by(name, found=None):
    """The modules that one imports, and those that they do."""
    found = set() if found is None else found
    if name not in found:
        found.add(name)
        for each in imports(name) & modules().keys():
            needed_by(each, found)
    return found


def test_the_policy_is_what_the_workers_code_names():
    """Of all that a worker's process imports, the command line's own parts aside."""
    operations = set(Loader().load_service_model("swf", "service-2")["operations"])
    named = set()
    for name in needed_by("swf_worker.worker") | needed_by("swf_worker.handle"):
        for node in ast.walk(ast.parse(modules()[name].read_text())):
            if isinstance(node, ast.Constant) and node.value in operations:
                named.add(node.value)
    assert named >= {"PollForActivityTask", "RespondActivityTaskCompleted"}
    assert policy_actions() == named


@activity(name="Ends", version="1", heartbeat_interval=0.1)
def ends(context: ActivityContext, how: str) -> None:
    if how == "canceled":
        context.wait_for_stop(20)
        raise ActivityCanceled
    if how == "failed":
        raise ActivityFailed("Wanted")


@activity(name="LooksUp", version="1")
def looks_up() -> None: ...


def test_the_policy_is_what_a_worker_calls(quick_swf, make_worker, recorder):
    views = []
    recorder.watch = views.append
    with make_worker(ends, looks_up):
        views[0].backlog()  # for /scale
        canceled = quick_swf.schedule("Ends", "1", "canceled")
        canceled.wait_for_heartbeats()
        canceled.request_cancel()
        assert isinstance(canceled.outcome(), Canceled)
        assert isinstance(quick_swf.schedule("Ends", "1", "failed").outcome(), Failed)
        assert isinstance(quick_swf.schedule("Ends", "1", "well").outcome(), Completed)
    assert set(quick_swf.calls) == policy_actions()
