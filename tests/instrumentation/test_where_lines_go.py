"""As a library we are silent on stdout: lines go to structlog where the program has configured it,
else to logging's ``swf_worker``."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import textwrap

import pytest
import structlog

from swf_worker import ActivityContext, activity
from swf_worker.instrumentation.logs import LogObserver
from swf_worker.local import Completed, Failed, LocalSwf
from swf_worker.log import Log
from swf_worker.observations import ThreadReported
from tests.commands import environment
from tests.worker import children as handlers

SECRET = "4111-1111-1111-1111"

PROGRAM = """
    import logging, sys
    {setup}
    from swf_worker import ActivityContext, ActivityWorker, activity

    @activity(name="Fails", version="1", heartbeat_interval=0.1)
    def fails(context: ActivityContext, card: str) -> None:
        context.wait_for_stop(0.3)
        context.logger.info("charging %s", "it", amount=5)
        context.logger.debug("not to be seen")
        raise ValueError("no money")

    worker = ActivityWorker(domain="tests", task_list="tasks", activities=[fails],
                            max_concurrent_activities=1)
    with worker:
        sys.stdin.read()
"""
FULL = pytest.mark.full
SETUPS = {
    "nothing": "",
    "logging": "logging.basicConfig(level=logging.INFO)",
    "logging at error": "logging.basicConfig(level=logging.ERROR)",
    "structlog": "import structlog; structlog.configure(processors=[structlog.processors."
    "JSONRenderer()], logger_factory=structlog.PrintLoggerFactory(sys.stderr))",
}


@activity(name="Fails", version="1", heartbeat_interval=0.1)
def fails(card: str) -> None: ...


def run(setup):
    """What a program with that set-up writes while a handler fails: stdout and stderr."""
    with LocalSwf(poll_hold=0.2) as swf:
        swf.register([fails], domain="tests")
        scheduled = swf.schedule("Fails", "1", SECRET, domain="tests", task_list="tasks")
        with subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(PROGRAM).format(setup=SETUPS[setup])],
            env=environment(AWS_ENDPOINT_URL_SWF=swf.endpoint_url),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as program:
            assert isinstance(scheduled.outcome(), Failed)
            return program.communicate(timeout=20)


@pytest.mark.parametrize(
    "setup", ["nothing", "logging", "structlog", pytest.param("logging at error", marks=FULL)]
)
def test_nothing_is_on_stdout_and_no_locals_anywhere(setup):
    out, err = run(setup)
    assert out == ""
    assert SECRET not in err, "rich shows locals, where structlog finds it"
    assert ("ValueError: no money" in err) is (setup != "logging at error")
    assert ("worker started" in err) is (setup in ("logging", "structlog"))
    assert ("heartbeat accepted" in err) is (setup == "structlog"), "debug lines"
    assert ("charging it" in err) is (setup in ("logging", "structlog"))
    assert "not to be seen" not in err or setup == "structlog"


def test_lines_hold_their_fields_for_readers_and_for_programs():
    _, err = run("logging")
    (ended,) = (line for line in err.splitlines() if "task ended" in line)
    assert ended.startswith("INFO:swf_worker:task ended ")
    for field in (
        "activity_name=Fails",
        "activity_version=1",
        "workflow_id=Fails-1",
        "outcome=Failed",
        "reason=ValueError",
    ):
        assert field in ended
    (charging,) = (line for line in err.splitlines() if "charging" in line)
    assert "amount=5" in charging
    assert "workflow_id=Fails-1" in charging


@pytest.fixture
def unconfigured():
    structlog.reset_defaults()
    yield
    structlog.reset_defaults()


@pytest.mark.usefixtures("unconfigured")
def test_records_have_their_fields_as_attributes(caplog):
    caplog.set_level("INFO", "swf_worker")
    Log(task_list="tasks").write("warning", "100% sure", {"seconds": 1.5, "name": "a name"})
    LogObserver().observe(ThreadReported("a thread", "its stack"))
    first, second = caplog.records
    assert (first.name, first.levelname, first.seconds, first.task_list) == (
        "swf_worker",
        "WARNING",
        1.5,
        "tasks",
    )
    assert first.name_ == "a name", "every record has a name of its own"
    assert first.getMessage() == "100% sure task_list=tasks seconds=1.5 name='a name'"
    assert first.msg == "100%% sure%s", "one for each event: some sort lines by it"
    assert second.stack == "its stack"


@pytest.mark.usefixtures("unconfigured")
def test_levels_are_obeyed(caplog):
    caplog.set_level("ERROR", "swf_worker")
    log = Log()
    assert not log.is_enabled("warning")
    assert log.is_enabled("error")
    log.write("warning", "unheard", {})
    assert not caplog.records


@pytest.mark.usefixtures("unconfigured")
def test_a_program_that_configures_structlog_later_gets_them_there(caplog):
    caplog.set_level("INFO", "swf_worker")
    log = Log()
    log.write("info", "before", {})
    with structlog.testing.capture_logs() as lines:
        log.write("info", "after", {"a": 1})
    assert [record.getMessage() for record in caplog.records] == ["before"]
    assert lines == [{"event": "after", "a": 1, "log_level": "info"}]


@pytest.mark.usefixtures("unconfigured")
def test_a_handlers_logger_writes_there_too(caplog, make_worker, quick_swf):
    caplog.set_level("INFO", "swf_worker")

    @activity(name="Logs", version="1", heartbeat_interval=1)
    def logs(context: ActivityContext) -> None:
        log = context.logger.bind(order=7)
        log.info("%d things", 5, exc="x")
        try:
            raise KeyError("k")
        except KeyError:
            log.exception("caught", message="is taken")

    with make_worker(logs):
        assert quick_swf.schedule("Logs", "1").outcome() == Completed()
    info, error = (record for record in caplog.records if getattr(record, "order", None) == 7)
    assert info.getMessage().startswith("5 things domain=tests task_list=tasks activity_name=Logs ")
    assert info.exc == "x"
    assert error.levelname == "ERROR"
    assert error.exc_info[0] is KeyError
    assert error.message_ == "is taken"


@pytest.mark.usefixtures("unconfigured")
def test_so_do_handler_processes(caplog, run_in_process):
    """Both libraries' lines come out in the host's logging, at its levels."""
    caplog.set_level("INFO")
    run_in_process(handlers.records)
    found = {r.getMessage().split(" domain=")[0]: r for r in caplog.records}
    assert found["from structlog"].name == "swf_worker"
    record = found["5 from logging"]
    assert (record.name, record.levelname, record.order) == ("app.part", "INFO", 7)
    assert record.workflow_id.startswith("Records")
    assert record.funcName == "records"
    assert "ZeroDivisionError" in found["caught by logging"].exc_text
    assert "debug from logging" not in found


@pytest.fixture
def run_in_process(make_worker, quick_swf):
    def run(handler):
        with make_worker(handler):
            assert quick_swf.schedule("Records", "1").outcome() == Completed()

    return run


def test_a_line_is_worded_only_where_somebody_wants_it(caplog):
    class Odd:
        def __str__(self):
            raise AssertionError("nobody wants it")

    caplog.set_level("ERROR", "swf_worker")
    Log().write("info", "unheard", {"odd": Odd()})
    assert json.dumps([record.getMessage() for record in caplog.records]) == "[]"
    assert logging.getLogger("swf_worker").handlers == []
