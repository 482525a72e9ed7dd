"""``swf-worker run`` as a process: targets, flags, environment, signals, exit codes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from contextlib import contextmanager

import pytest

from swf_worker.local import Completed, Failed, LocalSwf, TimedOut
from tests.cli import workers
from tests.commands import environment, swf_worker
from tests.conftest import eventually
from tests.wire import Wire, fault, silence

TARGET = "tests.cli.workers:worker"


@pytest.fixture
def swf():
    with LocalSwf(poll_hold=0.3) as local:
        local.register(workers.worker)
        yield local


@contextmanager
def running(*arguments, swf=None, **env):
    endpoint = ["--endpoint-url", swf.endpoint_url] if swf else []
    process = subprocess.Popen(
        [sys.executable, "-m", "swf_worker", "run", *arguments, *endpoint],
        env=environment(**env),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def ended(process, timeout=30):
    out, err = process.communicate(timeout=timeout)
    assert not any(line.startswith("Traceback") for line in err.splitlines())
    return process.returncode, out, err


def once(*arguments, swf=None, **env):
    """One that ends by itself."""
    endpoint = ["--endpoint-url", swf.endpoint_url] if swf else []
    said = swf_worker("run", *arguments, *endpoint, **env)
    return said.code, said.out, said.err


@pytest.mark.parametrize(
    ("target", "flags"),
    [
        (TARGET, []),
        ("tests.cli.workers:Subclass", []),
        ("tests.cli.workers:make_worker", []),
        ("tests.cli.workers:ACTIVITIES", ["--domain", "tests", "--task-list", "tasks"]),
    ],
)
def test_every_kind_of_target_runs_and_drains_on_sigterm(swf, target, flags):
    scheduled = swf.schedule("Quick", "1", 1)
    with running(target, *flags, swf=swf) as process:
        assert json.loads(scheduled.outcome().result) == {"page": 1, "pid": process.pid}
        process.send_signal(signal.SIGTERM)
        code, _, err = ended(process)
    assert code == 0
    assert "worker stopping" in err
    assert all(json.loads(line)["level"] for line in err.splitlines()), "JSON where no terminal is"


def test_the_current_directory_is_first_on_the_path(swf, tmp_path):
    (tmp_path / "mine.py").write_text(
        "from swf_worker import ActivityWorker, activity\n"
        "@activity(name='Quick', version='1')\n"
        "def quick(page: int) -> str:\n    return 'mine'\n"
        "worker = ActivityWorker(domain='tests', task_list='tasks', activities=[quick])\n"
    )
    scheduled = swf.schedule("Quick", "1", 1)
    command = [sys.executable, "-m", "swf_worker", "run", "mine:worker"]
    with subprocess.Popen(
        [*command, "--endpoint-url", swf.endpoint_url],
        cwd=tmp_path,
        env=environment(),
        stderr=subprocess.DEVNULL,
    ) as process:
        assert scheduled.outcome() == Completed('"mine"')
        process.terminate()
        assert process.wait(20) == 0


def test_flag_beats_environment_beats_code(swf):
    with running(
        TARGET,
        "--identity",
        "flag",
        "--log-format",
        "console",
        swf=swf,
        SWF_WORKER_IDENTITY="environment",
        SWF_WORKER_TASK_LIST="other",
    ) as process:
        scheduled = swf.schedule("Quick", "1", 1, task_list="other")
        scheduled.outcome()
        started = next(e for e in scheduled.history() if e["eventType"] == "ActivityTaskStarted")
        assert started["activityTaskStartedEventAttributes"]["identity"] == "flag"
        process.terminate()
        assert ended(process)[0] == 0


WRONG = {
    "nowhere:worker": ["no module 'nowhere'"],
    "tests.cli.workers": ["MODULE:ATTRIBUTE"],
    "tests.cli.workers:wroker": [
        "did you mean worker?",
        "Subclass (a worker class)",
        "ACTIVITIES (4 activities)",
        "make_worker (makes a worker)",
    ],
    "tests.cli.workers:NOT_A_WORKER": ["is a int"],
    "tests.cli.workers:make_nothing": ["returned a int: it must return a worker"],
    "tests.cli.workers:quick": ["is a function"],
    f"{TARGET} --cancel-grace -1": ["0 to 86,400"],
    f"{TARGET} --on-drain-timeout wait": ["allowed are fail, abandon"],
    "json:dumps": ["offers no worker"],
    f"{TARGET} --drain-timeout soon": ["--drain-timeout is 'soon': it must be a number"],
    f"{TARGET} --log-level loud": ["allowed are debug"],
    f"{TARGET} --max-concurrent-activities 1.5": ["whole number"],
    f"{TARGET} --max-concurrent-activities 0": ["1 to 100,000"],
    f"{TARGET} --drain-timeout -3": ["0 to 31,536,000"],
    f"{TARGET} --task-list a:b": ["must not contain"],
    f"{TARGET} --endpoint-url nonsense": ["http://"],
    "tests.cli.workers:ACTIVITIES": ["--domain and --task-list must be given"],
    ".workers:worker": ["name the module in full"],
    "workers.py:worker": ["did you mean 'workers'?"],
    f"{TARGET} --frobnicate": ["unrecognized arguments"],
    "": ["MODULE:ATTRIBUTE"],
}


@pytest.mark.parametrize("arguments", WRONG)
def test_what_the_command_line_gets_wrong_is_exit_2(arguments):
    code, _, err = once(*arguments.split())
    assert code == 2
    for says in WRONG[arguments]:
        assert says in err


def test_a_bad_value_in_the_environment_is_named(swf):
    code, _, err = once(TARGET, SWF_WORKER_DRAIN_TIMEOUT="soon")
    assert code == 2
    assert "SWF_WORKER_DRAIN_TIMEOUT is 'soon'" in err


def test_a_function_that_fails_to_make_a_worker_is_named_with_its_line():
    code, _, err = once("tests.cli.workers:make_trouble")
    assert code == 1
    assert "tests.cli.workers:make_trouble made no worker: KeyError: 'QUEUE'" in err
    assert "workers.py, line" in err


@pytest.mark.parametrize(
    ("function", "call"), [("run_one", "run"), ("exit_with_one", "run"), ("start_one", "start")]
)
def test_a_function_that_runs_the_worker_itself_is_refused(swf, function, call):
    """A `main`, say: flags and signals would mean nothing to what runs inside of it."""
    flags = ["--task-list", "other", *(["--processes", "2"] if function == "run_one" else [])]
    code, _, err = once(f"tests.cli.workers:{function}", *flags, swf=swf)
    assert code == 1
    last = err.splitlines()[-1]
    assert f"{call}() was called while `swf-worker` loads tests.cli.workers:{function}" in last
    assert not swf.calls.get("PollForActivityTask")


def test_the_drains_end_can_be_set_from_outside(swf):
    scheduled = swf.schedule("Deaf", "1", heartbeat_timeout=1)
    flags = ["--drain-timeout", "0", "--on-drain-timeout", "abandon"]
    with running(TARGET, *flags, swf=swf, SWF_WORKER_CANCEL_GRACE="0.1") as process:
        scheduled.wait_for_heartbeats()  # the handler runs
        process.terminate()
        code, _, err = ended(process)
    assert code == 3
    stopping = next(line for line in map(json.loads, err.splitlines()) if "at_most" in line)
    assert stopping["at_most"] == 95.1
    assert stopping["to_leave_now"] == "another signal ends the drain, a third the process"
    assert scheduled.outcome() == TimedOut("HEARTBEAT")


def test_a_module_that_breaks_is_named_with_its_line(tmp_path, monkeypatch):
    (tmp_path / "broken.py").write_text("x = 1\ny = x / 0\n")
    code, _, err = once("broken:worker", PYTHONPATH=str(tmp_path))
    assert code == 2
    assert "ZeroDivisionError" in err
    assert "broken.py, line 2" in err


CREDENTIALS = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y"}


@pytest.mark.parametrize(
    ("flags", "env", "says"),
    [
        ([], CREDENTIALS, "no AWS region"),
        (["--region", "us-esat-1"], CREDENTIALS, "did you mean us-"),
        (["--region", "us-east-1"], {"HOME": "/nonexistent"}, "no usable AWS credentials"),
        ([], {"AWS_PROFILE": "nobody", "AWS_DEFAULT_REGION": "us-east-1"}, "nobody"),
    ],
    ids=lambda value: str(value)[:30],
)
@pytest.mark.timeout(30)
def test_what_can_not_work_is_one_readable_line_and_exit_1(flags, env, says):
    """Within 10 s."""
    code, _, err = once(TARGET, *flags, "--log-level", "error", **env)
    assert code == 1, err
    last = err.strip().splitlines()[-1]
    assert says in last, err
    assert last.startswith("swf-worker: ")


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (fault("UnknownResourceFault", "Unknown domain: tests"), "register the domain"),
        (fault("OperationNotPermittedFault", "not you"), "allow swf:PollForActivityTask"),
        (fault("AccessDeniedException", "not you"), "allow swf:PollForActivityTask"),
        (fault("UnrecognizedClientException", "bad token"), "credentials"),
    ],
)
def test_what_swf_refuses_at_start_is_exit_1(answer, says):
    """Names the operation, the domain, the task list and the fix."""
    with Wire(PollForActivityTask=[answer], DescribeActivityType=[answer]) as service:
        code, _, err = once(TARGET, "--endpoint-url", service.url, "--log-level", "error")
    assert code == 1
    last = err.strip().splitlines()[-1]
    for part in (says, "PollForActivityTask", "'tests'", "'tasks'"):
        assert part in last


def test_running_tasks_are_drained(swf):
    scheduled = swf.schedule("UntilStop", "1")
    with running(TARGET, swf=swf) as process:
        scheduled.wait_for_heartbeats()  # the handler runs
        process.terminate()
        assert ended(process)[0] == 0
    assert scheduled.outcome() == Completed('"drained"')


def test_a_second_signal_ends_the_drain(swf):
    scheduled = swf.schedule("Polite", "1")
    with running(TARGET, swf=swf) as process:
        scheduled.wait_for_heartbeats()  # the handler runs
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGTERM)  # the same again within a second counts once
        process.send_signal(signal.SIGINT)
        assert ended(process)[0] == 0
    assert scheduled.outcome() == Completed('"asked: worker_shutdown"')


def test_what_never_ends_is_answered_where_the_process_exits(swf):
    scheduled = swf.schedule("Deaf", "1")
    with running(TARGET, "--drain-timeout", "0", swf=swf) as process:
        scheduled.wait_for_heartbeats()  # the handler runs
        process.terminate()
        assert ended(process)[0] == 0
    outcome = scheduled.outcome()
    assert isinstance(outcome, Failed)
    assert outcome.reason == "WorkerShutdown"


def test_a_third_signal_exits_at_once_naming_what_it_abandons(swf):
    scheduled = swf.schedule("Deaf", "1", heartbeat_timeout=1)
    with running("tests.cli.workers:patient", swf=swf) as process:
        scheduled.wait_for_heartbeats()  # the handler runs
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGINT)
        assert eventually(lambda: process.poll() is not None, 1.2) is False
        process.send_signal(signal.SIGTERM)
        code, _, err = ended(process, 5)
    assert code == 3
    assert f"abandoned: Deaf/1 activity activity-1 of workflow {scheduled.workflow_id}" in err
    assert scheduled.outcome() == TimedOut("HEARTBEAT")


def test_an_open_poll_that_is_abandoned_is_named():
    with Wire(PollForActivityTask=[silence]) as service:
        with running(TARGET, "--endpoint-url", service.url) as process:
            service.wait_for("PollForActivityTask")
            process.send_signal(signal.SIGINT)
            process.send_signal(signal.SIGTERM)
            assert eventually(lambda: process.poll() is not None, 1.2) is False
            process.send_signal(signal.SIGINT)
            code, _, err = ended(process, 5)
    assert code == 3
    assert "abandoned: 1 open poll(s)" in err


def test_a_closed_stderr_harms_no_task(swf):
    scheduled = swf.schedule("Quick", "1", 1)
    command = (
        f'exec "{sys.executable}" -m swf_worker run {TARGET} --endpoint-url {swf.endpoint_url}'
    )
    with subprocess.Popen(["sh", "-c", command + " 2>&-"], env=environment()) as process:
        assert isinstance(scheduled.outcome(), Completed)
        process.terminate()
        assert process.wait(20) == 0
