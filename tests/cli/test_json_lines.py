"""With ``--log-format json`` every line of stdout and stderr is a flat JSON record, from the first
moment to the last; each of a task, whoever writes it, says whose it is; none has a payload."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from swf_worker.local import Completed, LocalSwf
from tests.cli import printers
from tests.cli import test_run as run
from tests.conftest import eventually
from tests.wire import Wire, fault, http, silence, task

TARGET = "tests.cli.printers:worker"
JSON = ("--log-format", "json")
MODES = ["thread", "async", "process"]
WHOSE = ("activity_name", "activity_version", "activity_id", "workflow_id", "run_id")
SECRET = "planted-secret"


@pytest.fixture(scope="module")
def swf():
    with LocalSwf(poll_hold=0.2) as local:
        local.register(printers.worker)
        yield local


def running(*arguments, url=None, **options):
    there = ["--endpoint-url", url] if url else []
    return run.running(*arguments, *there, **options)


def records(text):
    """All lines, each of which must be a record as it is promised."""
    found = [json.loads(line, parse_constant=pytest.fail) for line in text.splitlines()]
    for each in found:
        assert {"event", "level", "timestamp", "logger"} <= each.keys(), each
        assert not [v for v in each.values() if isinstance(v, (list, dict))], each
        assert each["level"] in ("debug", "info", "warning", "error", "critical")
        moment = datetime.fromisoformat(each["timestamp"])
        assert moment.utcoffset() == timedelta(0)
        assert abs(datetime.now(UTC) - moment) < timedelta(minutes=5)
    return found


def ended(process, timeout=30):
    out, err = process.communicate(timeout=timeout)
    return process.returncode, records(out), records(err)


def test_whatever_handlers_say_in_all_three_modes(swf):
    given = {"secret": SECRET}
    with running(TARGET, *JSON, "--log-level", "debug", swf=swf) as process:
        tasks = {mode: swf.schedule("Says", mode, given) for mode in MODES}
        for task in tasks.values():
            assert task.outcome() == Completed(f'"{SECRET}-result"')
        turns = [swf.schedule("Turns", "1", number) for number in range(3)]
        assert [task.outcome() for task in turns] == [Completed()] * 3
        process.terminate()
        code, out, err = ended(process)
    assert code == 0
    assert SECRET not in json.dumps([out, err])
    assert sorted(r["event"] for r in out if r["activity_name"] == "Turns") == [
        f"{number}a {number}b {number}c " for number in range(3)
    ], "what several tasks begin on one loop doesn't mix"
    for mode, task in tasks.items():
        mine = [r for r in out + err if r.get("activity_version") == mode]
        for each in mine:
            assert each["domain"], each["task_list"] == ("tests", "tasks")
            if each["logger"] != "swf_worker" or "workflow_id" in each:
                assert each["workflow_id"] == task.workflow_id
                assert all(each[name] for name in WHOSE)
        said = {(r["logger"], r["event"]): r for r in mine}
        for line in ("printed in pieces", "two", "lines"):
            assert ("stdout", line) in said, mode
        ending = next(
            event for _, event in said if event.startswith("no end of the line: \N{SNOWMAN}")
        )
        assert "and its end" in ending
        assert any(event.endswith("bytes \\xff") for _, event in said)
        assert ("stderr", "to stderr") in said
        assert any("UserWarning" in event for logger, event in said if logger == "py.warnings")
        plain = said["app", "with logging"]
        assert (plain["order"], plain["pages"], plain["domain_"]) == (7, "[1, 2]", "my own")
        structured = said["other", "with structlog"]
        assert json.loads(structured["pages"]) == [1, {"a": 2}]
        assert structured["ratio"] == "nan"
        assert said["swf_worker", "with the context's"]["task_list_"] == "my own"
        for logger in ("app", "other"):
            caught = said[logger, "caught"]
            assert (caught["exc_type"], caught["exc_message"]) == ("ValueError", "no money")
            assert caught["exception"].startswith("Traceback")
        finalizer = said["swf_worker", "an exception that could not be raised"]
        assert finalizer["exc_message"] == "in a finalizer"
    programs = [r["event"] for r in out + err if r.get("activity_version") == "process"]
    assert {"of a program", "its error"} <= {*programs}, "what a handler process starts writes here"
    threads = [r for r in err if r["event"] == "unhandled exception in a thread"]
    assert [(r["exc_type"], r["thread_name"]) for r in threads] == [("KeyError", "mine")] * 3


def test_no_record_has_a_payload_or_a_token():
    """Of what fails, and of what SWF refuses and quotes, too; at every level."""
    quoted = f"1 validation error detected: Value '{SECRET}' at 'details' failed to satisfy"
    kinds = [("1", "1"), ("typed", "2"), ("unexpected", "3")]
    tasks = [
        task(
            f"{SECRET}-token-{number}",
            activityType={"name": "Fails", "version": version},
            input=json.dumps({"secret": SECRET}),
        )
        for version, number in kinds
    ]
    refused = [fault("ValidationException", quoted), fault("Throttling", quoted), http(200)]
    service = Wire(
        PollForActivityTask=[*tasks, silence],
        RespondActivityTaskFailed=refused,
        RecordActivityTaskHeartbeat=[fault("ValidationException", quoted)],
    )
    with service, running(TARGET, *JSON, "--log-level", "debug", url=service.url) as process:
        service.wait_for("RespondActivityTaskFailed", 4)
        assert SECRET in json.dumps(service.named("RespondActivityTaskFailed"))
        for _ in range(3):
            process.terminate()
            eventually(lambda: process.poll() is not None, 1.2)
        _, out, err = ended(process)
    said = json.dumps([out, err])
    assert SECRET not in said
    assert "failed to satisfy" in said
    assert {"AReason", "InputDecodeError", "RuntimeError"} <= {r.get("reason") for r in err}
    (unexpected,) = (r for r in err if r.get("exc_message") == "unexpected")
    assert unexpected["activity_version"] == "unexpected"


@pytest.mark.parametrize(
    ("arguments", "event", "code"),
    [
        (["--slots", "3"], "unrecognized arguments: --slots", 2),
        ([TARGET, "--log-format"], "expected one argument", 2),
        (["tests.cli.printers:nobody"], "has no 'nobody'", 2),
        ([TARGET, "--drain-timeout", "soon"], "must be a number", 2),
        ([TARGET, "--endpoint-url", "http://127.0.0.1:9", "--processes", "0"], "--processes", 2),
    ],
)
def test_its_last_word_is_a_record(arguments, event, code):
    with running(*arguments, SWF_WORKER_LOG_FORMAT="json") as process:
        ending, out, err = ended(process)
    assert ending == code
    assert out == []
    assert event in err[-1]["event"]
    assert err[-1]["level"] in ("error", "critical")


@pytest.mark.parametrize("flags", [[], ["--processes", "1"]])
def test_what_the_service_refuses_is_one_too(flags):
    unknown = fault("UnknownResourceFault", "Unknown domain: tests")
    with Wire(PollForActivityTask=[unknown], DescribeActivityType=[unknown]) as service:
        with running(TARGET, *JSON, *flags, url=service.url) as process:
            code, _, err = ended(process)
    assert code == 1
    assert err[-1]["exit_code"] == 1
    assert "Unknown domain: tests" in err[-1]["event"]


@pytest.mark.parametrize("flags", [[], ["--processes", "2"]])
def test_what_is_abandoned_at_the_third_signal(swf, flags):
    scheduled = swf.schedule("Deaf", "1", heartbeat_timeout=30)
    with running(TARGET, *JSON, *flags, swf=swf) as process:
        scheduled.wait_for_heartbeats()
        for _ in range(3):
            process.terminate()
            eventually(lambda: process.poll() is not None, 1.2)
        code, _, err = ended(process)
    assert code == 3
    (line,) = (r for r in err if r["event"] == "abandoned")
    assert line["workflow_id"] == scheduled.workflow_id
    assert (line["activity_name"], line["domain"]) == ("Deaf", "tests")
    assert line["level"] == "error"
    if flags:
        assert isinstance(line["pid"], int)


def test_a_record_of_a_handler_process_has_the_moment_when_it_was_made(swf):
    """Not the one when the worker had time for it."""
    scheduled = swf.schedule("Stamps", "1")
    with running(TARGET, *JSON, swf=swf) as process:
        told = json.loads(scheduled.outcome().result)
        process.terminate()
        _, _, err = ended(process)
    for logger, moment in told.items():
        line = next(r for r in err if r["event"] == f"stamped by {logger}")
        made = datetime.fromisoformat(line["timestamp"]).timestamp()
        assert moment - 0.005 <= made <= moment + 0.1, logger


UNCAUGHT = """
from swf_worker.cli.process import Process
raise SystemExit(Process(as_records=True).run(lambda: 1 // 0))
"""


def test_what_nobody_has_caught():
    command = [sys.executable, "-c", UNCAUGHT]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 1
    (line,) = records(done.stderr)
    assert (line["event"], line["exc_type"]) == ("unhandled exception", "ZeroDivisionError")
    assert line["level"] == "critical"


CROWD = """
import sys, threading
from swf_worker.cli.process import Process

Process(as_records=True)

def talk(number):
    for at in range(500):
        print(number, at, "x" * 50, end="")
        sys.stdout.write(" half")
        print(" of it", file=[sys.stdout, sys.stderr][at % 2])
        if at % 2:
            print()

threads = [threading.Thread(target=talk, args=(number,)) for number in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("the last, without an end", end="")
sys.stdout.flush()
"""


def test_lines_of_many_threads_are_whole():
    command = [sys.executable, "-c", CROWD]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    out, err = records(done.stdout), records(done.stderr)
    events = {each["event"] for each in out}
    for number in range(8):
        for at in range(500):
            assert f"{number} {at} {'x' * 50} half{'' if at % 2 else ' of it'}" in events
    assert [each["event"] for each in err] == [" of it"] * 2_000
    assert out[-1]["event"] == "the last, without an end"


def test_help_is_for_a_person():
    with running("--help", SWF_WORKER_LOG_FORMAT="json") as process:
        out, _ = process.communicate(timeout=20)
    assert out.startswith("usage: swf-worker run")
