"""A worker with room for hundreds of tasks."""

from __future__ import annotations

import asyncio
import os
import time

from swf_worker import ActivityWorker, activity


@activity(name="Work", version="async", heartbeat_interval=1)
async def on_the_loop() -> None:
    await asyncio.sleep(60)


@activity(name="Work", version="thread", heartbeat_interval=1)
def ends() -> None:
    time.sleep(3)


@activity(name="Work", version="process", heartbeat_interval=1, isolation="process")
def dies() -> None:
    time.sleep(3)
    os._exit(3)


worker = ActivityWorker(domain="tests", task_list="tasks", activities=[on_the_loop, ends, dies])
