"""Standard streams never touch a task, nor an exit code."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
from contextlib import contextmanager, suppress

import pytest

from swf_worker.local import Completed, LocalSwf
from tests.cli import talkers
from tests.commands import environment

RUN = [sys.executable, "-m", "swf_worker", "run", "tests.cli.talkers:worker"]
CODE = "from tests.cli.talkers import worker; raise SystemExit(worker.run())"
SCRIPT = [sys.executable, "-c", CODE]
WAYS = {"run": RUN, "processes": [*RUN, "--processes", "1"], "script": SCRIPT}


@pytest.fixture
def swf():
    with LocalSwf(poll_hold=0.3) as local:
        local.register(talkers.worker)
        yield local


@contextmanager
def broken(kind):
    """A descriptor to write into that goes wrong."""
    if kind == "full disk":
        descriptor = os.open("/dev/full", os.O_WRONLY)
        yield descriptor, lambda: None
        os.close(descriptor)
        return
    ours, theirs = os.openpty() if kind == "terminal" else os.pipe()
    if kind == "unread":
        os.set_blocking(theirs, False)
    closed = kind == "unread"

    def breaks():
        nonlocal closed
        if not closed:
            closed = True
            os.close(ours)

    try:
        yield theirs, breaks
    finally:
        breaks()
        if kind == "unread":
            os.close(ours)
        os.close(theirs)


@contextmanager
def running(command, swf, **options):
    env = environment(**options.pop("env", {}))
    env.pop("PYTHONUNBUFFERED", None)  # it hides what a buffer does
    env["AWS_ENDPOINT_URL_SWF"] = swf.endpoint_url
    with subprocess.Popen(command, env=env, start_new_session=True, **options) as process:
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


EITHER = ["run", pytest.param("script", marks=pytest.mark.full)]
KINDS = ["no reader", "full disk", "terminal"]
ALL = list(itertools.product(WAYS, KINDS, ["stdout", "both"]))
SOME = [
    ("run", "no reader", "both"),
    ("run", "full disk", "stdout"),
    ("processes", "terminal", "both"),
    ("script", "full disk", "both"),
]
REST = [pytest.param(*case, marks=pytest.mark.full) for case in ALL if case not in SOME]


@pytest.mark.parametrize(("way", "kind", "which"), [*SOME, *REST])
def test_while_handlers_print(swf, way, kind, which):
    with broken(kind) as (descriptor, breaks):
        streams = {"stdout": descriptor, "stderr": descriptor}
        if which == "stdout":
            streams["stderr"] = subprocess.DEVNULL
        with running(WAYS[way], swf, **streams) as process:
            first = swf.schedule("Talk", "thread", 1)
            assert first.outcome() == Completed('"said"')
            breaks()
            for mode in ("thread", "async", "process"):
                assert swf.schedule("Talk", mode, 20).outcome() == Completed('"said"'), mode
            process.terminate()
            assert process.wait(20) == 0


@pytest.mark.parametrize("kind", ["no reader", pytest.param("terminal", marks=pytest.mark.full)])
def test_programs_that_handlers_start_write_to_nowhere_then(swf, kind):
    with broken(kind) as (descriptor, breaks):
        with running(RUN, swf, stdout=descriptor, stderr=subprocess.DEVNULL) as process:
            breaks()
            assert swf.schedule("Echoes", "1").outcome() == Completed("0")
            process.terminate()
            assert process.wait(20) == 0


@pytest.mark.parametrize("way", EITHER)
def test_where_it_was_closed_from_the_start(swf, way):
    command = ["sh", "-c", 'exec "$@" >&- 2>&- <&-', "sh", *WAYS[way]]
    with running(command, swf) as process:
        for mode in ("thread", "async", "process"):
            assert swf.schedule("Talk", mode, 2).outcome() == Completed('"said"'), mode
        process.terminate()
        assert process.wait(20) == 0


@pytest.mark.parametrize(
    ("way", "encoding"),
    [
        ("run", "utf-8"),
        ("script", "latin-1"),
        pytest.param("run", "ascii", marks=pytest.mark.full),
        pytest.param("run", "latin-1", marks=pytest.mark.full),
        pytest.param("script", "ascii", marks=pytest.mark.full),
        pytest.param("script", "utf-8", marks=pytest.mark.full),
    ],
)
def test_characters_that_it_can_not_take(swf, way, encoding):
    env = {"PYTHONIOENCODING": encoding}
    with running(
        WAYS[way], swf, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert swf.schedule("Odd", "1", {"text": "\N{SNOWMAN}", "times": 1}).outcome() == Completed(
            '"said"'
        )
        process.terminate()
        out, _ = process.communicate(timeout=20)
        assert process.returncode == 0
        assert b"\\udcff\\ud800" in out


@pytest.mark.parametrize("way", EITHER)
def test_a_handler_that_closes_them_closes_them_for_nobody_else(swf, way):
    with running(WAYS[way], swf, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert swf.schedule("Closes", "1").outcome() == Completed('"closed"')
        assert swf.schedule("Talk", "thread", 1).outcome() == Completed('"said"')
        process.terminate()
        out, _ = process.communicate(timeout=20)
        assert process.returncode == 0
        assert b"a line" in out


@pytest.mark.parametrize("version", ["thread", "process"])
def test_a_descriptor_that_a_handler_closes(swf, version):
    """Its number goes to the next socket, and what is printed must not go there."""
    with running(RUN, swf, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert swf.schedule("ClosesTheDescriptor", version).outcome() == Completed("true")
        assert swf.schedule("Talk", "thread", 1).outcome() == Completed('"said"')
        process.terminate()
        out, _ = process.communicate(timeout=20)
        assert process.returncode == 0
        assert out.count(b"raw\n") == 1
        assert out.count(b"a line") == 2


def test_one_that_does_not_block_and_is_not_read(swf):
    """A shell's job shares its terminal's or pipe's flags with others. Print waits for a while,
    then drops."""
    with broken("unread") as (descriptor, _):
        with running(RUN, swf, stdout=descriptor, stderr=subprocess.DEVNULL) as process:
            talked = swf.schedule("Odd", "1", {"text": "x" * 1000, "times": 1000})
            assert talked.outcome() == Completed('"said"')
            process.terminate()
            assert process.wait(20) == 0


def test_what_is_read_arrives_whole_and_in_order(swf):
    with running(RUN, swf, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert swf.schedule("Talk", "thread", 3).outcome() == Completed('"said"')
        process.terminate()
        out, _ = process.communicate(timeout=20)
    assert out.decode().count("a line") == 3
    assert out.decode().count("bytes\n") == 300
    assert out.decode().count("unflushed") == 60


@pytest.fixture
def stuck():
    """A pipe that is full, and that nobody reads."""
    ours, theirs = os.pipe()
    os.set_blocking(theirs, False)
    with suppress(BlockingIOError):
        while True:
            os.write(theirs, b"x" * 4096)
    with suppress(BlockingIOError):
        while True:
            os.write(theirs, b"x")
    os.set_blocking(theirs, True)
    yield theirs
    os.close(ours)
    os.close(theirs)


@pytest.mark.parametrize("way", ["processes", pytest.param("run", marks=pytest.mark.full)])
def test_a_log_that_nobody_reads_holds_up_no_stop(swf, stuck, way):
    with running(WAYS[way], swf, stdout=subprocess.DEVNULL, stderr=stuck) as process:
        assert swf.schedule("Quiet", "1").outcome() == Completed('"done"')
        process.terminate()
        assert process.wait(20) == 0


def test_nor_the_end_of_what_can_not_work(swf, stuck):
    command = [sys.executable, "-m", "swf_worker", "run", "tests.cli.talkers:nobody"]
    with running(command, swf, stdout=subprocess.DEVNULL, stderr=stuck) as process:
        assert process.wait(20) == 2
