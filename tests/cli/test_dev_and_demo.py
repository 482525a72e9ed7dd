"""``swf-worker dev`` and ``demo``, as processes."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
from botocore.exceptions import BotoCoreError

from swf_worker.cli.main import DEV_SETTINGS
from swf_worker.cli.settings import settled
from tests.conftest import eventually
from tests.local.plain import Plain, client

SWF_WORKER = [sys.executable, "-m", "swf_worker"]
DEV = [*SWF_WORKER, "dev", "--port", "0"]


def bare_environment():
    return {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "SWF_WORKER_"))}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_dev_needs_nothing_and_ends_in_time_with_polls_held(number):
    with subprocess.Popen(
        DEV,
        stdout=subprocess.PIPE,
        text=True,
        env=bare_environment(),
    ) as process:
        line = process.stdout.readline()
        assert line.startswith("local SWF listens at http://127.0.0.1:")
        swf = client(line.split()[-1])
        plain = Plain(swf)

        def poll() -> None:
            with suppress(BotoCoreError):  # on a busy machine it comes after the end
                plain.poll()

        poller = threading.Thread(target=poll)
        poller.start()
        time.sleep(0.2)  # the poll is on its way: nothing tells when it is held
        began = time.monotonic()
        process.send_signal(number)
        assert process.wait(5) == 0
        assert time.monotonic() - began < 5
        poller.join()
        swf.close()


KUBERNETES = {
    "SWF_WORKER_SERVICE_HOST": "10.0.0.7",
    "SWF_WORKER_SERVICE_PORT": "80",
    "SWF_WORKER_PORT": "tcp://10.0.0.7:80",
    "SWF_WORKER_PORT_80_TCP": "tcp://10.0.0.7:80",
    "SWF_WORKER_PORT_80_TCP_PROTO": "tcp",
    "SWF_WORKER_PORT_80_TCP_PORT": "80",
    "SWF_WORKER_PORT_80_TCP_ADDR": "10.0.0.7",
}


@pytest.mark.parametrize("proto", ["tcp", "udp", "sctp"])
def test_variables_that_kubernetes_makes_of_a_service_are_not_ours(proto, monkeypatch):
    """A Service that is called swf-worker sets them in every container of its namespace."""
    made = {name: value.replace("tcp:", f"{proto}:") for name, value in KUBERNETES.items()}
    for name, value in made.items():
        monkeypatch.setenv(name, value)
    given = argparse.Namespace(**{each.attribute: None for each in DEV_SETTINGS})
    settled(given, DEV_SETTINGS)
    assert given.port == 8765
    with subprocess.Popen(
        DEV, stdout=subprocess.PIPE, text=True, env=bare_environment() | made
    ) as process:
        assert process.stdout.readline().startswith("local SWF listens at http://127.0.0.1:")
        process.terminate()
        assert process.wait(5) == 0


def test_a_port_that_a_person_sets_in_the_environment_is_taken():
    done = subprocess.run(
        [*SWF_WORKER, "dev"],
        capture_output=True,
        text=True,
        check=False,
        env=bare_environment() | {"SWF_WORKER_PORT": "tcp"},
    )
    assert done.returncode == 2
    assert "SWF_WORKER_PORT is 'tcp': it must be a whole number" in done.stderr


def test_dev_says_that_a_port_is_taken():
    with subprocess.Popen(DEV, stdout=subprocess.PIPE, text=True) as first:
        port = first.stdout.readline().split()[-1].rpartition(":")[2]
        second = subprocess.run(
            [*SWF_WORKER, "dev", "--port", port], capture_output=True, text=True, check=False
        )
        first.terminate()
    assert second.returncode == 1
    assert second.stderr == (
        f"swf-worker: port {port} of 127.0.0.1 is taken: choose another, or 0 for any free one\n"
    )


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--port", "99999"], "0 to 65,535"),
        (["--port", "x"], "whole number"),
        (["--poll-hold", "-1"], "--poll-hold is -1"),
    ],
)
def test_dev_with_bad_flags_is_exit_2(flags, says):
    done = subprocess.run([*SWF_WORKER, "dev", *flags], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert says in done.stderr


def test_no_command_and_help():
    done = subprocess.run(SWF_WORKER, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "dev" in done.stderr
    done = subprocess.run(
        [*SWF_WORKER, "run", "--help"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    assert "[SWF_WORKER_TASK_LIST]" in done.stdout
    done = subprocess.run([*SWF_WORKER, "--version"], capture_output=True, text=True, check=False)
    assert done.stdout.startswith("swf_worker ")


def test_the_demo_completes_cancels_and_fails_and_shows_no_traceback(tmp_path):
    began = time.monotonic()
    done = subprocess.run(
        [*SWF_WORKER, "demo", "--into", str(tmp_path / "archives")],
        capture_output=True,
        text=True,
        check=False,
        env=bare_environment() | {"COLUMNS": "140"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert time.monotonic() - began < 30
    assert "Traceback" not in done.stdout + done.stderr
    for words in (
        "Completed",
        "Canceled after",
        "Failed FileNotFoundError",
        "CancelRequested",
        "its half-written file was removed",
    ):
        assert words in done.stdout
    archives = sorted((tmp_path / "archives").glob("*.tar.gz"))
    assert len(archives) >= 4
    assert not list((tmp_path / "archives").glob("*.part"))


def children_of(pid: int) -> list[int]:
    """From /proc: ``ps`` is not on every machine."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue  # it has ended meanwhile
        if parent == pid:
            found.append(int(stat.parent.name))
    return found


@pytest.mark.skipif(not Path("/proc").exists(), reason="needs /proc")
def test_ctrl_c_in_the_demo_leaves_nothing_behind(tmp_path):
    into = tmp_path / "archives"
    with subprocess.Popen(
        [*SWF_WORKER, "demo", "--into", str(into)], stdout=subprocess.PIPE, text=True
    ) as process:
        process.stdout.readline()
        process.stdout.readline()
        workers = children_of(process.pid)
        assert len(workers) == 1
        assert eventually(lambda: bool(list(into.glob("*.part"))), 15)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "interrupted" in out
    assert not into.exists()
    assert not Path(f"/proc/{workers[0]}").exists()


@pytest.mark.skipif(not Path("/proc").exists(), reason="needs /proc")
@pytest.mark.parametrize(
    "number", [signal.SIGTERM, pytest.param(signal.SIGHUP, marks=pytest.mark.full)]
)
def test_the_demo_cleans_up_after_other_signals_too_and_touches_nobodys_files(tmp_path, number):
    into = tmp_path / "archives"
    into.mkdir()
    (into / "json.tar.gz").write_text("precious")
    fresh = tmp_path / "archives-2"
    with subprocess.Popen(
        [*SWF_WORKER, "demo", "--into", str(into)], stdout=subprocess.PIPE, text=True
    ) as process:
        process.stdout.readline()
        process.stdout.readline()
        workers = children_of(process.pid)
        assert eventually(lambda: bool(list(fresh.glob("*.part"))), 15)
        process.send_signal(number)
        process.communicate(timeout=20)
    assert process.returncode == 130
    assert (into / "json.tar.gz").read_text() == "precious"
    assert not fresh.exists()
    assert not Path(f"/proc/{workers[0]}").exists()


def test_the_demo_names_a_folder_it_can_not_make():
    done = subprocess.run(
        [*SWF_WORKER, "demo", "--into", "/proc/nothing"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "--into" in done.stderr
