"""Targets whose start takes long, each in another place; imported by a worker process only."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

from swf_worker import ActivityContext, ActivityWorker, activity

PLACE = os.environ.get("SLOW_PLACE", "")
FOLDER = Path(os.environ.get("SLOW_FOLDER", "."))


def slow(place: str) -> None:
    if place == PLACE:
        (FOLDER / "there").write_bytes(b"x")  # a FIFO: the test waits here for us
        time.sleep(60)


def said(word: str) -> None:
    with open(FOLDER / "said", "a") as told:
        told.write(f"{word}\n")


slow("import")
if PLACE == "swallows":
    (FOLDER / "there").write_bytes(b"x")
    for _ in range(600):
        try:
            time.sleep(0.1)
        except BaseException:  # somebody's module does that
            pass
if PLACE == "waits":
    (FOLDER / "there").write_bytes(b"x")
    import threading

    threading.Event().wait()


@activity(name="Work", version="1")
def work(context: ActivityContext) -> None: ...


@activity(name="Work", version="process", isolation="process", heartbeat_interval=1)
def process_work(context: ActivityContext) -> None: ...


class Worker(ActivityWorker):
    domain = "d"
    task_list = "t"

    def __init__(self, **options):
        slow("construction")
        super().__init__(activities=[process_work if PLACE == "child" else work], **options)

    def on_start(self):
        said("on_start")
        slow("on_start")

    def on_stop(self):
        said("on_stop")
        slow("on_stop")

    def on_process_start(self):
        slow("child")


class AsyncStart(Worker):
    async def on_start(self):
        if PLACE == "async on_start":
            (FOLDER / "there").write_bytes(b"x")
            await asyncio.sleep(60)


def make_worker() -> Worker:
    slow("make_worker")
    return Worker()
