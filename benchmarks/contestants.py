"""What is measured, each in a process of its own: the loop that people write, and this worker with
logs, an observer and heartbeats on. All end on SIGTERM.

    python -m benchmarks.contestants loop|thread|async|process URL CONCURRENCY
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from typing import Any

import boto3
from botocore.config import Config

from swf_worker import ActivityWorker, Observation, activity


def loop(url: str, concurrency: int) -> None:
    """Threads that poll, work and respond, with boto3's defaults but for the read timeout; each
    with a client of its own, which is faster than a shared one."""

    def run() -> None:
        session = boto3.Session("x", "y", region_name="us-east-1")
        swf = session.client("swf", endpoint_url=url, config=Config(read_timeout=90))
        while True:
            task = swf.poll_for_activity_task(domain="d", taskList={"name": "t"})
            if task.get("taskToken"):
                result = by_hand(json.loads(task["input"]))
                swf.respond_activity_task_completed(
                    taskToken=task["taskToken"], result=json.dumps(result)
                )

    threads = [threading.Thread(target=run, daemon=True) for _ in range(concurrency)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def by_hand(polled: float) -> float:
    return time.monotonic() - polled


@activity(name="Work", version="1", heartbeat_timeout=60)
def in_thread(polled: float) -> float:
    return time.monotonic() - polled


@activity(name="Work", version="1", heartbeat_timeout=60)
async def on_loop(polled: float) -> float:
    return time.monotonic() - polled


@activity(name="Work", version="1", heartbeat_timeout=60, isolation="process")
def in_process(polled: float) -> float:
    return time.monotonic() - polled


class Counts:
    """An observer as a metrics library would be."""

    def __init__(self) -> None:
        self.seen: dict[str, int] = {}

    def observe(self, record: Observation) -> None:
        name = type(record).__name__
        self.seen[name] = self.seen.get(name, 0) + 1


def worker(handler: Any, url: str, concurrency: int) -> None:
    """This worker; its log goes to stderr as ``swf-worker run`` has it."""
    ActivityWorker(
        domain="d",
        task_list="t",
        activities=[handler],
        endpoint_url=url,
        observers=[Counts()],
        max_concurrent_activities=concurrency,
        max_concurrent_polls=concurrency,
        drain_timeout=0,
    ).run()


HANDLERS = {"thread": in_thread, "async": on_loop, "process": in_process}


def main(name: str, url: str, concurrency: int) -> None:
    os.environ.update(AWS_EC2_METADATA_DISABLED="true")
    if name == "loop":
        loop(url, concurrency)
    else:
        from swf_worker.cli.logging import configure_logging

        configure_logging("json", "info")
        worker(HANDLERS[name], url, concurrency)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
