"""Handlers that say whatever can be said, in all three modes."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import subprocess
import sys
import threading
import time
import warnings

import structlog

from swf_worker import ActivityContext, ActivityFailed, ActivityWorker, activity
from swf_worker.runtime.children import role

APP = logging.getLogger("app")


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise ValueError("no words")


class Breaks:
    def __del__(self) -> None:
        raise ValueError("in a finalizer")


def breaks() -> None:
    raise KeyError("in a thread")


def say(context: ActivityContext) -> None:
    print("printed", "in", "pieces")
    print("two\nlines")
    print("no end of the line: \N{SNOWMAN}", end="")
    print(" and its end", end="", flush=True)
    print("to stderr", file=sys.stderr)
    sys.stdout.buffer.write(b"bytes \xff\n")
    sys.stdout.flush()
    warnings.warn(f"in {context.task.activity_type}", UserWarning, stacklevel=1)
    APP.info("with logging", extra={"order": 7, "pages": [1, 2], "domain": "my own"})
    log = structlog.get_logger("other")
    log.info("with structlog", pages=[1, {"a": 2}], ratio=float("nan"), odd=Unspeakable())
    context.logger.info("with the context's", task_list="my own")
    for told in (APP, log):
        try:
            raise ValueError("no money")
        except ValueError:
            told.exception("caught")
    inside = contextvars.copy_context()
    thread = threading.Thread(target=inside.run, args=(breaks,), name="mine")
    thread.start()
    thread.join()
    broken: Breaks | None = Breaks()
    del broken


@activity(name="Says", version="thread", heartbeat_interval=1, input="whole")
def plain(context: ActivityContext, request: dict[str, str]) -> str:
    say(context)
    return request["secret"] + "-result"


@activity(name="Says", version="async", heartbeat_interval=1, input="whole")
async def coroutine(context: ActivityContext, request: dict[str, str]) -> str:
    say(context)
    return request["secret"] + "-result"


@activity(name="Says", version="process", heartbeat_interval=1, input="whole", isolation="process")
def in_process(context: ActivityContext, request: dict[str, str]) -> str:
    say(context)
    subprocess.run(["sh", "-c", "echo of a program; echo its error >&2"], check=True)
    return request["secret"] + "-result"


@activity(name="Turns", version="1", heartbeat_interval=1)
async def turns(number: int) -> None:
    """What several tasks begin in one thread doesn't mix."""
    for part in ("a", "b", "c"):
        print(f"{number}{part}", end=" ")
        await asyncio.sleep(0.01)
    print()


@activity(name="Fails", version="1", heartbeat_interval=1, input="whole")
def fails(context: ActivityContext, request: dict[str, str]) -> None:
    context.heartbeat(request["secret"] + "-progress")
    raise ActivityFailed("AReason", details=request["secret"] + "-details")


@activity(name="Fails", version="typed", heartbeat_interval=1)
def typed(number: int) -> None:
    """Whose input is none."""


@activity(name="Fails", version="unexpected", heartbeat_interval=1, input="whole")
def unexpected(request: dict[str, str]) -> None:
    del request
    raise RuntimeError("unexpected")


@activity(name="Deaf", version="1", heartbeat_interval=1)
def deaf(context: ActivityContext) -> None:
    threading.Event().wait(60)


@activity(name="Stamps", version="1", heartbeat_interval=1, isolation="process")
def stamps() -> dict[str, float]:
    """Logs in two ways; returns when."""
    made = {}
    for name, log in (("app", APP), ("other", structlog.get_logger("other"))):
        made[name] = time.time()
        log.info(f"stamped by {name}")
    return made


class Late(logging.Handler):
    """Keeps the worker from writing at once what a handler process has logged."""

    def emit(self, record: logging.LogRecord) -> None:
        if record.getMessage().startswith("stamped"):
            time.sleep(0.3)


if not role.is_child:
    logging.getLogger("app").addHandler(Late())


worker = ActivityWorker(
    domain="tests",
    task_list="tasks",
    activities=[plain, coroutine, in_process, turns, fails, typed, unexpected, deaf, stamps],
)
