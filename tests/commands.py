"""Commands that say something and end: each in a process of its own, forked from one that has
imported everything, which takes a tenth of the time. How a real one starts, what it has open and
how it takes signals is other tests' matter.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path

LIMIT = 60
"""Seconds that a command may take."""
WHAT_EACH_WOULD_IMPORT = (
    "boto3",
    "swf_worker.worker",
    "swf_worker.codecs.encryption",
    "swf_worker.codecs.s3",
)
LOOK = 2.0
"""Seconds between two looks whether the tests are still there."""


@dataclass(frozen=True)
class Said:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str


def environment(**extra: str) -> dict[str, str]:
    """This process's, without what is set there for AWS or for us."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "SWF_WORKER_"))}
    return kept | {"AWS_EC2_METADATA_DISABLED": "true"} | extra


def swf_worker(*arguments: object, stdin: bytes = b"", **variables: str) -> Said:
    """``swf-worker`` with these arguments and variables, in this folder."""
    command = [str(each) for each in arguments]
    run = _anew if any(name.startswith("PYTHON") for name in variables) else _forked
    said = run(command, stdin, environment(**variables))
    assert not any(line.startswith("Traceback") for line in said.err.splitlines()), said.err
    return said


def _anew(command: list[str], stdin: bytes, variables: dict[str, str]) -> Said:
    done = subprocess.run(
        [sys.executable, "-m", "swf_worker", *command],
        input=stdin,
        env=variables,
        capture_output=True,
        timeout=LIMIT,
    )
    return Said(done.returncode, done.stdout.decode(), done.stderr.decode())


def _forked(command: list[str], stdin: bytes, variables: dict[str, str]) -> Said:
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as origin:
        files = [str(Path(folder, name)) for name in ("stdin", "stdout", "stderr")]
        Path(files[0]).write_bytes(stdin)
        asked = {"arguments": command, "environment": variables, "folder": os.getcwd()}
        origin.connect(_origin())
        origin.sendall(json.dumps(asked | {"files": files}).encode())
        origin.shutdown(socket.SHUT_WR)
        code = int(origin.recv(16))
        out, err = (Path(each).read_bytes().decode() for each in files[1:])
    return Said(code, out, err)


@cache
def _origin() -> str:
    """The address of the process that they are forked from. It is nobody's child, and ends with
    this process."""
    folder = tempfile.TemporaryDirectory()
    address = str(Path(folder.name, "origin"))
    subprocess.run(
        [sys.executable, "-m", __name__, address, str(os.getpid())], env=environment(), check=True
    )
    atexit.register(folder.cleanup)
    return address


def _serve(address: str, owner: int) -> None:
    for each in WHAT_EACH_WOULD_IMPORT:
        import_module(each)
    main = import_module("swf_worker.cli.main").main
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(address)
        listening.listen()
        listening.settimeout(LOOK)
        if os.fork():
            os._exit(0)  # whoever started it may connect now
        with suppress(ProcessLookupError):
            while True:
                os.kill(owner, 0)
                with suppress(TimeoutError):
                    client, _ = listening.accept()
                    _answer(client, main)


def _answer(client: socket.socket, main) -> None:
    with client:
        client.settimeout(LIMIT)
        asked = json.loads(b"".join(iter(lambda: client.recv(65_536), b"")))
        if not (pid := os.fork()):
            client.close()
            _become(asked)
            sys.exit(main(sys.argv[1:]))
        _, status = os.waitpid(pid, 0)
        client.sendall(str(os.waitstatus_to_exitcode(status)).encode())


def _become(asked: dict) -> None:
    """In the forked process: what its parent would have set before it began."""
    os.environ.clear()
    os.environ.update(asked["environment"])
    os.chdir(asked["folder"])
    modes = (os.O_RDONLY, os.O_WRONLY | os.O_CREAT, os.O_WRONLY | os.O_CREAT)
    for number, (name, mode) in enumerate(zip(asked["files"], modes, strict=True)):
        opened = os.open(name, mode)
        os.dup2(opened, number)
        os.close(opened)
    sys.argv = ["swf-worker", *asked["arguments"]]
    signal.alarm(LIMIT)


if __name__ == "__main__":
    _serve(sys.argv[1], int(sys.argv[2]))
