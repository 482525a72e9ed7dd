"""The process ends in time and with its own exit code, whatever handlers left behind."""

from __future__ import annotations

import gzip
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress

import pytest

from swf_worker.local import Completed, Failed, LocalSwf
from tests.cli import leavers
from tests.commands import environment
from tests.conftest import eventually

RUN = [sys.executable, "-m", "swf_worker", "run"]
KINDS = ["thread", "executor", "process", "process pool", "printer", "atexit"]
CODE = "from tests.cli.leavers import worker; raise SystemExit(worker.run())"
WAYS = {
    "run": [*RUN, "tests.cli.leavers:worker"],
    "script": [sys.executable, "-c", CODE],
}


@pytest.fixture
def swf():
    with LocalSwf(poll_hold=0.3) as local:
        local.register(leavers.worker)
        local.register(leavers.with_child)
        yield local


@contextmanager
def running(command, folder, swf):
    """In a group of its own, which is gone afterwards; what it prints is in a file."""
    unbuffered = {k: v for k, v in environment().items() if k != "PYTHONUNBUFFERED"}
    env = unbuffered | {"LEAVERS_FOLDER": str(folder), "AWS_ENDPOINT_URL_SWF": swf.endpoint_url}
    with open(folder / "out", "w") as out, open(folder / "err", "w") as err:
        with subprocess.Popen(
            command, env=env, stdout=out, stderr=err, start_new_session=True
        ) as process:
            try:
                yield process
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)


def stopped(process, within):
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    code = process.wait(within)
    return code, time.monotonic() - began


def check_last_words(folder, hanging=False):
    said = (folder / "said").read_text().split("\n")
    assert said[0] == "registered last"
    assert ("registered first" in said) is not hanging
    assert "in memory" in (folder / "log").read_text()
    assert "in the buffer" in (folder / "out").read_text()
    err = (folder / "err").read_text()
    assert "Traceback" not in err
    assert "Fatal Python error" not in err


def check_left(swf, tmp_path, command, what):
    scheduled = swf.schedule("Leaves", "1", what)
    with running(command, tmp_path, swf) as process:
        assert scheduled.outcome() == Completed('"left"')
        code, _ = stopped(process, 15)
    assert code == 0
    check_last_words(tmp_path, hanging="atexit" in what)


@pytest.mark.parametrize("way", WAYS)
def test_all_of_it_at_once(swf, tmp_path, way):
    check_left(swf, tmp_path, WAYS[way], [each for each in KINDS if each != "atexit"])
    assert "a-left-thread" in (tmp_path / "err").read_text(), "what is waited for is named"


def check_files(folder):
    assert (folder / "text").read_text() == (folder / "bytes").read_text() == "rows"
    assert gzip.decompress((folder / "packed").read_bytes()) == b"rows"
    assert not list(folder.glob("temporary-*"))


@pytest.mark.parametrize(
    ("way", "what"),
    [
        ("run", ["files"]),
        ("script", ["files", "thread"]),
        pytest.param("script", ["files"], marks=pytest.mark.full),
        pytest.param("run", ["files", "thread"], marks=pytest.mark.full),
    ],
)
def test_files_that_are_open_are_written(swf, tmp_path, way, what):
    """As where the interpreter ends by itself."""
    check_left(swf, tmp_path, WAYS[way], what)
    check_files(tmp_path)


PROGRAM = """
import sys
from tests.cli.leavers import worker
worker.run()
{}
"""


@pytest.mark.parametrize(
    ("then", "expected"),
    [
        ("sys.exit(7)", 7),
        ("raise RuntimeError('cleanup failed')", 1),
        pytest.param("sys.exit('words')", 1, marks=pytest.mark.full),
        pytest.param("sys.exit()", 0, marks=pytest.mark.full),
    ],
)
def test_a_programs_own_code_after_run(swf, tmp_path, then, expected):
    scheduled = swf.schedule("Leaves", "1", ["thread"])
    command = [sys.executable, "-c", PROGRAM.format(then)]
    with running(command, tmp_path, swf) as process:
        assert scheduled.outcome() == Completed('"left"')
        code, _ = stopped(process, 30)
    assert code == expected


@pytest.mark.full
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("what", KINDS)
def test_each_thing_that_is_left_behind_lets_the_process_end(swf, tmp_path, what, way):
    check_left(swf, tmp_path, WAYS[way], [what])


def test_a_registered_function_that_hangs(swf, tmp_path):
    check_left(swf, tmp_path, WAYS["run"], ["atexit"])


def test_nothing_is_waited_for_where_nothing_was_left(swf, tmp_path):
    scheduled = swf.schedule("Leaves", "1", ["nothing"])
    with running(WAYS["run"], tmp_path, swf) as process:
        assert scheduled.outcome() == Completed('"left"')
        code, seconds = stopped(process, 15)
    assert code == 0
    assert seconds < 4
    check_last_words(tmp_path)


def test_a_further_signal_waits_for_nothing_more(swf, tmp_path):
    scheduled = swf.schedule("Leaves", "1", ["thread"])
    flags = ["--drain-timeout", "60"]
    with running([*RUN, "tests.cli.leavers:worker", *flags], tmp_path, swf) as process:
        assert scheduled.outcome() == Completed('"left"')
        process.send_signal(signal.SIGTERM)
        assert eventually(lambda: "a-left-thread" in (tmp_path / "err").read_text(), 20)
        process.send_signal(signal.SIGINT)
        assert process.wait(5) == 0
    check_last_words(tmp_path)


@pytest.mark.parametrize("way", ["run", pytest.param("script", marks=pytest.mark.full)])
def test_a_handler_that_prints_at_the_end(swf, tmp_path, way):
    """cpython#129536: the interpreter aborts where a thread holds stdout as it ends."""
    scheduled = swf.schedule("Prints", "1")
    with running(WAYS[way], tmp_path, swf) as process:
        scheduled.wait_for_heartbeats()
        code, _ = stopped(process, 15)
    assert code == 0
    outcome = scheduled.outcome()
    assert isinstance(outcome, Failed)
    assert outcome.reason == "WorkerShutdown"
    assert "Fatal Python error" not in (tmp_path / "err").read_text()


@pytest.mark.full
@pytest.mark.parametrize("number", range(30))
def test_thirty_of_them(swf, tmp_path, number):
    test_a_handler_that_prints_at_the_end(swf, tmp_path, "run")


def test_under_a_supervisor(swf, tmp_path):
    scheduled = swf.schedule("Leaves", "1", ["thread", "printer"])
    flags = ["--processes", "1"]
    with running([*RUN, "tests.cli.leavers:worker", *flags], tmp_path, swf) as process:
        assert scheduled.outcome() == Completed('"left"')
        code, _ = stopped(process, 20)
    assert code == 0
    check_last_words(tmp_path)


def test_in_a_handler_process_what_is_registered_runs(swf, tmp_path):
    scheduled = swf.schedule("LeavesInChild", "1", ["thread", "executor", "printer", "files"])
    with running([*RUN, "tests.cli.leavers:with_child"], tmp_path, swf) as process:
        assert scheduled.outcome() == Completed('"left"')
        code, seconds = stopped(process, 15)
    assert code == 0
    assert seconds < 6
    check_last_words(tmp_path)
    check_files(tmp_path)


SHORT = """
from swf_worker.core import lifecycle
lifecycle.POLL_LIMIT = lifecycle.LAST_ANSWERS = 1.5  # a bound of three seconds
from tests.cli.leavers import Hanging
raise SystemExit(Hanging(drain_timeout=1).run())
"""


def test_an_on_stop_that_hangs(swf, tmp_path):
    scheduled = swf.schedule("Leaves", "1", ["nothing"])
    with running([sys.executable, "-c", SHORT], tmp_path, swf) as process:
        assert scheduled.outcome() == Completed('"left"')
        code, seconds = stopped(process, 15)
    assert code == 0
    assert seconds < 5, "the bound, and what a busy machine adds"
    said = (tmp_path / "said").read_text().splitlines()
    assert said == ["on_stop", "registered last", "registered first"]


EMBEDDED = """
from tests.cli.leavers import noted, worker
worker.start()
input()
worker.stop()
noted("the host goes on")
input()
raise SystemExit(7)
"""


def test_an_embedded_worker_never_ends_its_host(swf, tmp_path):
    scheduled = swf.schedule("Leaves", "1", ["nothing"])
    with subprocess.Popen(
        [sys.executable, "-c", EMBEDDED],
        env=environment(LEAVERS_FOLDER=str(tmp_path), AWS_ENDPOINT_URL_SWF=swf.endpoint_url),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    ) as host:
        assert scheduled.outcome() == Completed('"left"')
        host.stdin.write("\n")
        host.stdin.flush()
        assert eventually(lambda: (tmp_path / "said").exists(), 10)
        assert not eventually(lambda: host.poll() is not None, 1)
        host.stdin.write("\n")
        host.stdin.flush()
        assert host.wait(10) == 7, "its own code"


OWN = """
import threading, time
from tests.cli.leavers import noted, worker

def own():
    done.wait()
    time.sleep(7)
    noted("own work is done")

done = threading.Event()
threading.Thread(target=own).start()
code = worker.run()
done.set()
raise SystemExit(code)
"""


@pytest.mark.full
def test_a_programs_own_threads_are_waited_for_after_run(swf, tmp_path):
    """It has started them before ``run()``: they are nothing that a handler left."""
    scheduled = swf.schedule("Leaves", "1", ["thread"])
    with running([sys.executable, "-c", OWN], tmp_path, swf) as process:
        assert scheduled.outcome() == Completed('"left"')
        code, _ = stopped(process, 30)
    assert code == 0
    assert "own work is done" in (tmp_path / "said").read_text()
