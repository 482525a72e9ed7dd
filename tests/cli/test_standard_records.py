"""What handlers log with the standard library is in the log of ``swf-worker run``: in its format,
at its level, with the task's ids, in all three modes."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from swf_worker.local import Completed, LocalSwf
from tests.cli import loggers
from tests.cli.test_run import running

MODES = ["thread", "async", "process"]
ONE_MODE = ["process", *(pytest.param(m, marks=pytest.mark.full) for m in ("thread", "async"))]
TARGET = "tests.cli.loggers:worker"


@pytest.fixture(scope="module")
def swf():
    with LocalSwf(poll_hold=0.2) as local:
        local.register(loggers.worker)
        yield local


def logged(swf, mode, *flags, **env):
    """The lines that a task of this mode has led to."""
    scheduled = swf.schedule("Logs", mode)
    with running(TARGET, *flags, swf=swf, **env) as process:
        assert scheduled.outcome() == Completed()
        process.terminate()
        _, err = process.communicate(timeout=20)
    assert process.returncode == 0
    return scheduled, err


def as_json(err):
    return {line["event"]: line for line in map(json.loads, filter(_is_json, err.splitlines()))}


def _is_json(line):
    return line.startswith("{")


@pytest.mark.parametrize("mode", MODES)
def test_each_record_is_a_line_with_the_tasks_ids(swf, mode):
    scheduled, err = logged(swf, mode)
    lines = as_json(err)
    order = lines["an order of 5"]
    assert (order["level"], order["logger"], order["order"]) == ("info", "app", 7)
    caught = lines["caught"]
    assert caught["level"] == "error"
    assert caught["exception"].endswith("ValueError: no money")
    assert (caught["exc_type"], caught["exc_message"]) == ("ValueError", "no money")
    warning = next(line for event, line in lines.items() if "UserWarning" in event)
    assert (warning["level"], warning["logger"]) == ("warning", "py.warnings")
    said = [order, caught, warning, lines["with structlog"]]
    if mode == "async":
        said.append(lines["from another thread"])
    for line in said:
        assert (line["activity_name"], line["activity_version"]) == ("Logs", mode)
        assert (line["domain"], line["task_list"]) == ("tests", "tasks")
        assert line["activity_id"] == "activity-1"
        assert line["workflow_id"] == scheduled.workflow_id
        assert line["run_id"]
    odd = lines["odd names"]
    assert (odd["level"], odd["logger"], odd["activity_name"]) == ("warning", "app", "Logs")
    for name in ("event", "level", "timestamp", "logger", "self", "run_id"):
        assert odd[f"{name}_"] == f"my {name}", "the fields of a record are anybody's"
    assert odd["exc"] == "my exc"
    assert "NoneType" not in err
    assert "taskName" not in err
    assert "in a fork" in err
    assert "a debug line" not in lines
    assert "1111-card" not in err
    assert "Logging error" in err, "what a handler's own call gets wrong is told, as ever"


@pytest.mark.parametrize("mode", ONE_MODE)
@pytest.mark.parametrize("level", ["debug", "error"])
def test_at_the_logs_level(swf, mode, level):
    _, err = logged(swf, mode, "--log-level", level)
    lines = as_json(err)
    assert ("a debug line" in lines) is (level == "debug")
    assert ("an order of 5" in lines) is (level == "debug")
    assert "caught" in lines
    assert "a-secret" not in err, "botocore's debug records hold requests whole"


@pytest.mark.parametrize("mode", ONE_MODE)
def test_for_a_person_too(swf, mode):
    _, err = logged(swf, mode, "--log-format", "console")
    (line,) = (line for line in err.splitlines() if "an order of 5" in line)
    assert "[info     ]" in line
    assert "[app]" in line
    assert f"activity_name=Logs activity_version={mode}" in line
    assert "1111-card" not in err


@pytest.mark.parametrize("mode", ONE_MODE)
def test_a_modules_basic_config_changes_nothing(swf, mode):
    _, err = logged(swf, mode, BASIC_CONFIG="1")
    assert "an order of 5" in as_json(err)
    assert "MINE" not in err


@pytest.mark.parametrize("mode", ONE_MODE)
def test_a_set_up_that_replaces_ours_is_the_programs(swf, mode):
    _, err = logged(swf, mode, OWN_HANDLERS="1")
    assert "MINE an order of 5" in err


@pytest.mark.parametrize("mode", ONE_MODE)
def test_structlog_that_goes_to_logging_comes_out_once(swf, mode):
    _, err = logged(swf, mode, STRUCTLOG_TO_LOGGING="1")
    assert len([line for line in err.splitlines() if "with structlog" in line]) == 1


@pytest.mark.parametrize("words", ["text", "json"])
def test_structlog_in_the_programs_own_words_is_json_all_the_same(swf, words):
    scheduled, err = logged(swf, "async", "--log-format", "json", STRUCTLOG_IN_OTHER_WORDS=words)
    said = [json.loads(line) for line in err.splitlines()]
    mine = next(line for line in said if "with structlog" in line["event"])
    assert mine["level"] == "info"
    if words == "text":
        assert (mine["logger"], mine["workflow_id"]) == ("other", scheduled.workflow_id)
        assert any("worker started" in line["event"] for line in said)
    else:
        assert mine == {"event": "with structlog", "level": "info"}, "theirs stays as it is"


def stderr_of(code):
    command = [sys.executable, "-W", "ignore", "-c", code]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, timeout=50, check=True)
    return done.stderr


FORKS = """
import logging, multiprocessing, threading
from swf_worker.cli.logging import configure_logging

configure_logging("json", "info")
log = logging.getLogger("app")
over = threading.Event()

def chat():
    while not over.is_set():
        log.info("x" * 100)

def say():
    for _ in range(20):
        log.info("in a fork")

threads = [threading.Thread(target=chat) for _ in range(2)]
for thread in threads:
    thread.start()
children = [multiprocessing.get_context("fork").Process(target=say) for _ in range(15)]
for child in children:
    child.start()
for child in children:
    child.join(5)
over.set()
for child in children:
    if child.is_alive():
        child.kill()
    child.join()
raise SystemExit(sum(child.exitcode != 0 for child in children))
"""


def test_what_handlers_fork_logs_too():
    """The lock of the thread that was about to write is held for good in the copy."""
    assert stderr_of(FORKS).count("in a fork") == 300, "15 processes"


AGAIN = """
import logging, os, signal, threading, time
from swf_worker.cli.logging import configure_logging

configure_logging("json", "info")
log = logging.getLogger("app")
signal.signal(signal.SIGALRM, lambda *_: log.info("of a signal"))
signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
for _ in range(3000):
    log.info("of the program")
signal.setitimer(signal.ITIMER_REAL, 0)

def fork():
    child = os.fork()
    if not child:
        os._exit(0)
    os.waitpid(child, 0)

os.register_at_fork(before=lambda: time.sleep(0.7))  # ours waits for a lock no longer than 0.5
threads = [threading.Thread(target=fork) for _ in range(2)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
log.info("at last")
"""


def test_whoever_logs_in_the_middle_of_a_line_waits_for_nobody():
    """A signal handler, or a finalizer; and two threads that fork at once."""
    err = stderr_of(AGAIN)
    assert err.count("of the program") == 3000
    assert "of a signal" in err
    assert "at last" in err
