"""The worker of the rolling restart: handlers of all modes, each of which notes that it ran."""

from __future__ import annotations

import asyncio
import os
import time

from swf_worker import ActivityWorker, activity

# Generous: what is tested are the restarts, and not how busy the machine is.
DEFAULTS = {"version": "1", "heartbeat_timeout": 60, "start_to_close_timeout": 120}


def note(number: int, seconds: float) -> None:
    """A line, whole: each process appends it by itself."""
    with open(os.environ["RAN"], "ab", buffering=0) as ran:
        ran.write(f"{number} {os.environ['WORKER']} {seconds}\n".encode())


@activity(name="Thread", **DEFAULTS)
def in_thread(number: int, seconds: float) -> int:
    note(number, seconds)
    time.sleep(seconds)
    return number


@activity(name="Async", **DEFAULTS)
async def in_loop(number: int, seconds: float) -> int:
    note(number, seconds)
    await asyncio.sleep(seconds)
    return number


@activity(name="Process", isolation="process", max_concurrent=1, **DEFAULTS)
def in_process(number: int, seconds: float) -> int:
    note(number, seconds)
    time.sleep(seconds)
    return number


worker = ActivityWorker(
    domain="tests",
    task_list="rolling",
    activities=[in_thread, in_loop, in_process],
    max_concurrent_activities=6,
)
