"""The fleet of the soak: handlers of all modes, each with an end that is known beforehand."""

from __future__ import annotations

import asyncio
import os
import time

from swf_worker import (
    ActivityCanceled,
    ActivityContext,
    ActivityFailed,
    ActivityWorker,
    RetryPolicy,
    activity,
)

DEFAULTS = {"version": "1", "heartbeat_timeout": 3, "start_to_close_timeout": 20}


@activity(name="Thread", **DEFAULTS)
def in_thread(context: ActivityContext, number: int, seconds: float) -> int:
    context.heartbeat({"number": number})
    context.wait_for_stop(seconds)
    context.raise_if_canceled()
    return number * 2


@activity(name="Async", **DEFAULTS)
async def in_loop(number: int, seconds: float) -> int:
    await asyncio.sleep(seconds)
    return number * 2


@activity(name="Process", isolation="process", **DEFAULTS)
def in_process(context: ActivityContext, number: int, seconds: float) -> int:
    until = time.monotonic() + seconds
    while time.monotonic() < until:  # holds its GIL mostly
        context.raise_if_canceled()
    return number * 2


@activity(name="Fails", **DEFAULTS)
def fails(number: int, seconds: float) -> None:
    time.sleep(seconds)
    raise ActivityFailed("Expected", {"number": number}, retryable=False)


@activity(name="Cancels", **DEFAULTS)
async def cancels(context: ActivityContext, number: int, seconds: float) -> None:
    try:
        await asyncio.sleep(600)
    except asyncio.CancelledError:
        raise ActivityCanceled({"number": number}) from None


@activity(name="Dies", isolation="process", **DEFAULTS)
def dies(number: int, seconds: float) -> None:
    time.sleep(seconds)
    os._exit(7)


worker = ActivityWorker(
    domain="soak",
    task_list="soak",
    activities=[in_thread, in_loop, in_process, fails, cancels, dies],
    max_concurrent_activities=8,
    drain_timeout=10,
    cancel_grace=1,
    max_tasks_per_child=20,
    retry_policy=RetryPolicy(initial_wait=0.1, max_wait=2, denied_wait=2),
)
