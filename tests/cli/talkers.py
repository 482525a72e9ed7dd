"""Handlers that use the standard streams in every way."""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
import warnings

from swf_worker import ActivityWorker, activity


def talk(times: int) -> str:
    for _ in range(times):
        print("a line", "x" * 500, flush=True)
        print("unflushed " * 20)
        print("to stderr", file=sys.stderr)
        sys.stdout.buffer.write(b"bytes\n" * 100)
        sys.__stdout__.write("the other name\n")
        logging.getLogger("talkers").warning("logged")
        warnings.warn("warned", stacklevel=1)
    return "said"


@activity(name="Talk", version="thread", heartbeat_interval=0.2)
def plain(times: int) -> str:
    return talk(times)


@activity(name="Talk", version="async", heartbeat_interval=0.2)
async def coroutine(times: int) -> str:
    return talk(times)


@activity(name="Talk", version="process", heartbeat_interval=0.2, isolation="process")
def in_process(times: int) -> str:
    return talk(times)


@activity(name="Odd", version="1", heartbeat_interval=0.2)
def odd(text: str, times: int) -> str:
    print(text * times, "\udcff\ud800", "\N{SNOWMAN}", flush=True)
    sys.stderr.write("\ud800\n")
    return "said"


@activity(name="Echoes", version="1", heartbeat_interval=0.2)
def echoes() -> int:
    print("a line", flush=True)
    print("another", flush=True)
    os.write(1, b"below Python")
    return subprocess.run(["sh", "-c", "echo of a program"], check=False).returncode


@activity(name="Closes", version="1", heartbeat_interval=0.2)
def closes() -> str:
    sys.stdout.close()
    sys.stderr.close()
    with open(sys.stdout.fileno(), "w", closefd=False) as again:
        again.write("")
    return "closed"


@activity(name="Quiet", version="1", heartbeat_interval=0.2)
def quiet() -> str:
    return "done"


def close_the_descriptor() -> bool:
    """As an old idiom does. The number goes to whatever is opened next."""
    with os.fdopen(1, "w") as stream:
        stream.write("raw\n")
    taken, other = socket.socketpair()
    with taken, other:
        print("a line", flush=True)
        other.setblocking(False)
        try:
            return taken.fileno() == 1 and not other.recv(100)
        except BlockingIOError:
            return taken.fileno() == 1
        finally:
            sys.stdout.flush()


@activity(name="ClosesTheDescriptor", version="thread", heartbeat_interval=0.2)
def closes_the_descriptor() -> bool:
    return close_the_descriptor()


@activity(
    name="ClosesTheDescriptor", version="process", heartbeat_interval=0.2, isolation="process"
)
def closes_the_descriptor_there() -> bool:
    return close_the_descriptor()


worker = ActivityWorker(
    domain="tests",
    task_list="tasks",
    activities=[
        plain,
        coroutine,
        in_process,
        odd,
        closes,
        echoes,
        quiet,
        closes_the_descriptor,
        closes_the_descriptor_there,
    ],
)
