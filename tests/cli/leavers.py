"""Handlers that leave something behind which doesn't end by itself, or that print for ever."""

from __future__ import annotations

import atexit
import gzip
import logging
import logging.handlers
import multiprocessing
import os
import sys
import tempfile
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

from swf_worker import ActivityContext, ActivityWorker, activity

FOLDER = Path(os.environ.get("LEAVERS_FOLDER", "."))
KEPT: list[object] = []


def noted(word: str) -> None:
    with open(FOLDER / "said", "a") as told:
        told.write(f"{word}\n")


if "LEAVERS_FOLDER" in os.environ:  # in a worker's process, not in the tests'
    atexit.register(noted, "registered first")
    buffered = logging.handlers.MemoryHandler(1000, target=logging.FileHandler(FOLDER / "log"))
    logging.getLogger("leavers").addHandler(buffered)


def for_ever() -> None:
    while True:
        time.sleep(60)


def print_for_ever() -> None:
    while True:
        print("x" * 1000)


def print_now_and_then() -> None:
    while True:
        print("x" * 1000)
        time.sleep(0.01)


def leave(what: str) -> None:
    match what:
        case "thread":
            threading.Thread(target=for_ever, name="a-left-thread", daemon=False).start()
        case "executor":
            executor = ThreadPoolExecutor()
            KEPT.append(executor.submit(for_ever))
        case "process":
            multiprocessing.get_context("spawn").Process(target=for_ever).start()
        case "process pool":
            pool = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))
            KEPT.append(pool.submit(for_ever))
        case "printer":
            threading.Thread(target=print_now_and_then, daemon=True).start()
        case "files":
            text, packed = open(FOLDER / "text", "w"), gzip.open(FOLDER / "packed", "wb")
            both = open(FOLDER / "bytes", "w+b")
            text.write("rows")
            packed.write(b"rows")
            both.write(b"rows")
            named = tempfile.NamedTemporaryFile(dir=FOLDER, prefix="temporary-")
            folder = tempfile.TemporaryDirectory(dir=FOLDER, prefix="temporary-")
            KEPT.extend((text, packed, both, named, folder))
        case "atexit":
            atexit.register(for_ever)
        case "nothing":
            pass


@activity(name="Leaves", version="1", heartbeat_interval=0.2)
def leaves(what: list[str]) -> str:
    sys.stdout.write("in the buffer")
    for each in what:
        leave(each)
    atexit.register(noted, "registered last")
    logging.getLogger("leavers").warning("in memory")
    return "left"


@activity(name="LeavesInChild", version="1", heartbeat_interval=0.2, isolation="process")
def leaves_in_child(what: list[str]) -> str:
    return leaves(what)


@activity(name="Prints", version="1", heartbeat_interval=0.2)
def prints(context: ActivityContext) -> None:
    print_for_ever()


class Hanging(ActivityWorker):
    domain, task_list = "tests", "tasks"
    activities = (leaves, prints)
    cancel_grace = 0.1

    def on_stop(self):
        noted("on_stop")
        for_ever()


worker = ActivityWorker(
    domain="tests",
    task_list="tasks",
    activities=[leaves, prints],
    cancel_grace=0.1,
    drain_timeout=0.5,
)
with_child = ActivityWorker(
    domain="tests", task_list="tasks", activities=[leaves_in_child], drain_timeout=0.5
)
