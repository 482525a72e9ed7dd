"""A stop that comes while a worker starts: no poll, exit 0, within two seconds."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest

from tests.commands import environment
from tests.conftest import children, eventually
from tests.wire import EMPTY_POLL, Wire, fault, silence

LEAD = [sys.executable, "-m", "tests.cli.lead"]
RUN = [sys.executable, "-m", "swf_worker", "run"]
PLACES = {
    "import": "Worker",
    "swallows": "Worker",
    "waits": "Worker",
    "make_worker": "make_worker",
    "construction": "Worker",
    "on_start": "Worker",
    "async on_start": "AsyncStart",
    "child": "Worker",
}
UNKNOWN = fault("UnknownResourceFault", "Unknown type")


def namespace():
    """The command that makes what follows PID 1 of a namespace of its own, or a skip that says why
    there is none."""
    command = ["unshare", "--pid", "--fork", "--mount-proc"]
    if os.geteuid() != 0:
        command += ["--user", "--map-root-user"]
    if not shutil.which("unshare") or subprocess.run([*command, "true"], check=False).returncode:
        pytest.skip("PID 1 needs unshare and the right to make a PID namespace, not there: UNTRIED")
    return command


@contextmanager
def starting(place, folder, *flags, target=None, init=()):
    """A worker that is in this place of its start; the service sees no poll until it ends."""
    os.mkfifo(folder / "there")
    with Wire(PollForActivityTask=[EMPTY_POLL], DescribeActivityType=[UNKNOWN]) as service:
        command = [*LEAD, "default", *RUN, f"tests.cli.slow_starts:{target or PLACES[place]}"]
        with subprocess.Popen(
            [*init, *command, "--endpoint-url", service.url, *flags],
            env=environment(SLOW_PLACE=place, SLOW_FOLDER=str(folder)),
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as process:
            try:
                (folder / "there").read_bytes()
                yield process, service
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)


def check(process, service, began):
    code = process.wait(20)
    seconds = time.monotonic() - began
    assert code == 0, process.stderr.read()
    assert not service.named("PollForActivityTask")
    assert seconds < 2.5, "two, and a busy machine's half"
    assert "Traceback" not in process.stderr.read()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("place", ["import", pytest.param("on_start", marks=pytest.mark.full)])
def test_each_signal_is_heard_while_it_starts(place, number, tmp_path):
    with starting(place, tmp_path) as (process, service):
        began = time.monotonic()
        process.send_signal(number)
        check(process, service, began)


@pytest.mark.parametrize("place", PLACES)
def test_a_stop_is_heard_in_every_place_of_the_start(place, tmp_path):
    with starting(place, tmp_path) as (process, service):
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        check(process, service, began)


@pytest.mark.parametrize(
    "place", ["import", pytest.param("waits", marks=pytest.mark.full), "on_start"]
)
def test_as_pid_1_the_kernel_drops_what_has_no_handler(place, tmp_path):
    with starting(place, tmp_path, init=namespace()) as (process, service):
        began = time.monotonic()
        (inside,) = children(process.pid)
        os.kill(inside, signal.SIGTERM)
        check(process, service, began)


@pytest.mark.parametrize(
    ("place", "group"),
    [
        ("import", False),
        ("swallows", True),
        ("on_start", False),
        pytest.param("import", True, marks=pytest.mark.full),
        pytest.param("swallows", False, marks=pytest.mark.full),
        pytest.param("on_start", True, marks=pytest.mark.full),
    ],
)
def test_under_a_supervisor_too(place, group, tmp_path):
    with starting(place, tmp_path, "--processes", "2") as (process, service):
        began = time.monotonic()
        (os.killpg if group else os.kill)(process.pid, signal.SIGTERM)
        check(process, service, began)


def test_what_on_start_began_on_stop_ends(tmp_path):
    """The stop comes behind it, while the type's timeout is looked up."""
    os.mkfifo(tmp_path / "there")
    with Wire(PollForActivityTask=[EMPTY_POLL], DescribeActivityType=[silence]) as service:
        with subprocess.Popen(
            [*RUN, "tests.cli.slow_starts:Worker", "--endpoint-url", service.url],
            env=environment(SLOW_FOLDER=str(tmp_path)),
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            service.wait_for("DescribeActivityType")
            began = time.monotonic()
            process.send_signal(signal.SIGTERM)
            check(process, service, began)
    assert (tmp_path / "said").read_text() == "on_start\non_stop\n"


SCRIPT = """
import atexit, sys
from tests.cli.slow_starts import Worker, said
atexit.register(said, "atexit")
raise SystemExit(Worker().run())
"""


def test_run_hears_it_as_well(tmp_path):
    os.mkfifo(tmp_path / "there")
    with Wire(PollForActivityTask=[EMPTY_POLL], DescribeActivityType=[UNKNOWN]) as service:
        with subprocess.Popen(
            [sys.executable, "-c", SCRIPT],
            env=environment(
                SLOW_PLACE="on_start", SLOW_FOLDER=str(tmp_path), AWS_ENDPOINT_URL_SWF=service.url
            ),
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            (tmp_path / "there").read_bytes()
            began = time.monotonic()
            process.send_signal(signal.SIGTERM)
            check(process, service, began)
    assert (tmp_path / "said").read_text() == "on_start\natexit\n"


def test_what_takes_the_signals_in_on_start_does_not_keep_them(tmp_path):
    """An event loop that has had handlers leaves no wakeup descriptor behind."""
    (tmp_path / "taking.py").write_text(TAKING)
    with Wire(PollForActivityTask=[EMPTY_POLL], DescribeActivityType=[UNKNOWN]) as service:
        with subprocess.Popen(
            [*RUN, "taking:Taking", "--endpoint-url", service.url],
            env=environment(PYTHONPATH=os.getcwd()),
            cwd=tmp_path,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            service.wait_for("PollForActivityTask")
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
            assert "worker stopping" in process.stderr.read()


TAKING = """
import asyncio, signal
from swf_worker import ActivityWorker, activity

@activity(name="Work", version="1")
def work() -> None: ...

class Taking(ActivityWorker):
    domain, task_list, activities = "d", "t", [work]

    def on_start(self):
        async def main():
            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, print)
        asyncio.run(main())
"""


def test_dev_hears_signals_as_pid_1():
    """Its own start takes a second."""
    command = [*namespace(), sys.executable, "-m", "swf_worker", "dev", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment()) as process:
        assert eventually(lambda: bool(children(process.pid)))
        (inside,) = children(process.pid)
        assert eventually(lambda: handles_sigterm(inside))
        os.kill(inside, signal.SIGTERM)
        assert process.wait(5) == 0


def handles_sigterm(pid):
    with open(f"/proc/{pid}/status") as status:
        caught = next(line for line in status if line.startswith("SigCgt:"))
    return int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1
