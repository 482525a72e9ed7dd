"""What a user reads in the first hour: each message names the place and the fix."""

from __future__ import annotations

import textwrap

import pytest

from swf_worker import ActivityWorker, ConfigurationError, Failed, activity
from swf_worker.local import LocalSwf
from swf_worker.observations import WorkerStopping
from swf_worker.testing import ActivityEnvironment
from tests.test_silent_mistakes import command

MODULE = """
    from swf_worker import ActivityWorker, activity

    @activity(version="1")
    def fine() -> None: ...

    def forgotten() -> None: ...

    LIST = [fine, forgotten]
"""
BROKEN = """
    from swf_worker import ActivityWorker

    def helper():
        return ActivityWorker(domain="d", task_list="t",
                              drain_timeout="long")

    worker = helper()
"""
BARE = """
    from swf_worker import activity

    @activity
    def archive() -> None: ...
"""


@pytest.fixture
def run_module(tmp_path):
    def run(source, target, *arguments, **variables):
        (tmp_path / "mine.py").write_text(textwrap.dedent(source))
        done = command("run", target, *arguments, PYTHONPATH=str(tmp_path), **variables)
        *before, last = done.stderr.strip().splitlines()
        assert all(line.startswith("{") for line in before), "the log, and one line at last"
        return done.returncode, last

    return run


def test_a_configuration_error_of_an_imported_module_says_file_and_line(run_module, tmp_path):
    code, said = run_module(BROKEN, "mine:worker")
    assert code == 1
    assert "drain_timeout is 'long'" in said
    assert f"({tmp_path / 'mine.py'}, line 5)" in said


def test_a_missing_version_names_the_function_and_where_it_is(run_module, tmp_path):
    code, said = run_module(BARE, "mine:archive")
    assert code == 1
    assert "archive" in said
    assert f"{tmp_path / 'mine.py'}, line 4" in said
    for forgets in (activity(name="Archive"), activity()):
        with pytest.raises(ConfigurationError, match=r"test_words.py, line \d+.*needs a version"):

            @forgets
            def handler() -> None: ...


@pytest.mark.parametrize("given", ["archive", 3, None])
def test_what_is_no_function_is_told_as_that(given):
    with pytest.raises(ConfigurationError, match=rf"{given!r} is no function: .*greet, not greet"):
        ActivityWorker(domain="d", task_list="t", activities=[given])


def test_a_decorator_that_hides_the_parameters_is_told_how_not_to():
    def hides(function):
        return lambda *args: function(*args)

    with pytest.raises(ConfigurationError, match=r"functools\.wraps"):
        ActivityWorker(
            domain="d", task_list="t", activities=[activity(version="1")(hides(lambda x: x))]
        )


def test_the_one_of_a_list_that_is_not_marked_is_named(run_module):
    code, said = run_module(MODULE, "mine:LIST", "--domain", "d", "--task-list", "t")
    assert code == 2
    assert "forgotten is not marked" in said


@pytest.mark.parametrize(
    ("argument", "says"),
    [
        ("--task_list=files", "did you mean --task-list?"),
        ("--drain_timeout", "did you mean --drain-timeout?"),
        ("--endpoint", "did you mean --endpoint-url?"),
        ("--frobnicate", "--help lists them"),
    ],
)
def test_a_misspelled_flag_names_the_one_that_is_meant(argument, says):
    done = command("run", "mine:worker", argument)
    assert done.returncode == 2
    if argument != "--endpoint":  # argparse takes beginnings of flags
        assert f"unrecognized arguments: {argument}" in done.stderr
        assert says in done.stderr


def test_a_keyword_that_is_nearly_an_option_names_it():
    with pytest.raises(TypeError, match="'region'; did you mean 'region_name'"):
        ActivityWorker(domain="d", task_list="t", region="eu-west-1")


def test_text_that_is_no_json_names_the_converter_for_text():
    @activity(version="1")
    def handler(name: str) -> str:
        return name

    failed = ActivityEnvironment().outcome(handler, raw_input="Ada")
    assert isinstance(failed, Failed)
    assert failed.reason == "InputDecodeError"
    assert "converter=TextConverter()" in failed.details
    assert "Ada" not in failed.details


@pytest.mark.parametrize("missing", ["no region", "empty region", "credentials"])
def test_what_is_missing_of_aws_names_the_local_swf(run_module, tmp_path, missing):
    nowhere = str(tmp_path / "nothing")
    variables = {
        "AWS_CONFIG_FILE": nowhere,
        "AWS_SHARED_CREDENTIALS_FILE": nowhere,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ACCESS_KEY_ID": None,
        "AWS_SECRET_ACCESS_KEY": None,
        "AWS_DEFAULT_REGION": {"no region": None, "empty region": ""}.get(missing, "eu-west-1"),
        "AWS_REGION": None,
    }
    flags = ["--domain", "d", "--task-list", "t", "--log-level", "error"]
    source = MODULE.replace(", forgotten]", "]")
    if missing == "credentials":
        flags += ["--endpoint-url", "http://swf.invalid:9"]
    code, said = run_module(source, "mine:LIST", *flags, **variables)
    assert code == 1
    assert "swf-worker dev" in said
    assert ("no AWS region is set" if "region" in missing else "credentials") in said


def test_an_idle_worker_that_is_told_to_stop_says_what_it_waits_for_and_how_to_leave(recorder):
    with LocalSwf(poll_hold=0.2) as swf:

        @activity(version="1")
        def handler() -> None: ...

        worker = ActivityWorker(
            domain="d",
            task_list="t",
            activities=[handler],
            endpoint_url=swf.endpoint_url,
            observers=[recorder],
        )
        swf.register(worker)
        with worker:
            worker.request_stop()
            (stopping,) = recorder.wait_for(WorkerStopping)
    assert stopping.at_most == 100
    assert stopping.to_leave_now is None, "no signal stops an embedded one"


def test_outcome_says_when_nobody_polls_the_task_list():
    @activity(version="1")
    def handler() -> None: ...

    with LocalSwf() as swf:
        swf.register([handler], domain="d")
        scheduled = swf.schedule("handler", "1", task_list="files")
        with pytest.raises(TimeoutError, match="nobody has polled task list 'files' of domain 'd'"):
            scheduled.outcome(timeout=0.1)
