"""The worker of the journal's tests, and where it kills itself.

python -m tests.journal.victim URL JOURNAL [STEP]
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from swf_worker import ActivityContext, ActivityFailed, ActivityWorker, RetryPolicy, activity
from swf_worker.runtime.journal.keeper import Journal

STEPS = ("before the write", "after the write", "accepted")


def runs(context: ActivityContext) -> None:
    """Tell that it runs."""
    with Path(os.environ["RUNS"]).open("a") as told:
        told.write(f"{context.task.workflow_execution.workflow_id}\n")


def ended_as(context: ActivityContext, outcome: str) -> str:
    """End as is wanted."""
    if outcome == "Failed":
        raise ActivityFailed("AsTold", {"pid": os.getpid()})
    if outcome == "Canceled":
        context.wait_for_stop(30)
        context.raise_if_canceled()
    return f"by {os.getpid()}"


@activity(name="Work", version="thread", heartbeat_interval=0.1)
def in_thread(context: ActivityContext, outcome: str) -> str:
    runs(context)
    return ended_as(context, outcome)


@activity(name="Work", version="async", heartbeat_interval=0.1)
async def on_loop(context: ActivityContext, outcome: str) -> str:
    runs(context)
    if outcome == "Canceled":
        await context.wait_for_stop_async()
    return ended_as(context, outcome)


@activity(name="Work", version="process", heartbeat_interval=0.1, isolation="process")
def in_process(context: ActivityContext, outcome: str) -> str:
    runs(context)
    return ended_as(context, outcome)


ACTIVITIES = [in_thread, on_loop, in_process]


def task_list_of(mode: str) -> str:
    """A handler process takes long to start: such tasks have a list, and a worker, apart."""
    return "processes" if mode == "process" else "tasks"


def worker(url: str, journal: str, modes: Sequence[str]) -> ActivityWorker:
    """Of these alone: a handler process is no small part of a start."""
    by_mode = dict(zip(("thread", "async", "process"), ACTIVITIES, strict=True))
    return ActivityWorker(
        domain="tests",
        task_list=task_list_of(modes[0]),
        activities=[by_mode[mode] for mode in modes],
        endpoint_url=url,
        journal=journal,
        retry_policy=RetryPolicy(max_wait=0.5),
    )


def die(*_: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def dies_at(step: str) -> None:
    """Have it die there, the first time."""
    write = Journal.before_attempt
    if step == "before the write":
        Journal.before_attempt = die
    elif step == "after the write":
        Journal.before_attempt = lambda *given: (write(*given), die())
    elif step == "accepted":
        Journal.drop = die


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    logging.getLogger("swf_worker").setLevel(logging.INFO)
    dies_at("".join(sys.argv[4:]))
    raise SystemExit(worker(sys.argv[1], sys.argv[2], [sys.argv[3]]).run())
