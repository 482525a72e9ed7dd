"""Ten thousand async activities at once in one process: are their beats on time, and what does it
cost? Lateness is what the service sees, between two beats of a task.

    python -m benchmarks.scale [--tasks 10000] [--interval 30] [--seconds 70]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import re
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import structlog

from swf_worker import ActivityWorker, activity


def measure(tasks: int, interval: float, seconds: float) -> dict[str, float]:
    """Hold ``tasks`` activities for ``seconds``, then let all of them end."""
    command = [sys.executable, "-m", "benchmarks.endpoint"]
    command += ["--tasks", str(tasks), "--interval", str(interval), "--hold", "5"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as endpoint:
        try:
            assert endpoint.stdout is not None
            return _measure(endpoint.stdout.readline().strip(), tasks, interval, seconds)
        finally:
            endpoint.kill()


def _measure(url: str, tasks: int, interval: float, seconds: float) -> dict[str, float]:
    over: asyncio.Event | None = None
    loop: asyncio.AbstractEventLoop | None = None

    @activity(name="Work", version="1", heartbeat_interval=interval)
    async def work(number: int) -> int:
        nonlocal over, loop
        if over is None:
            over, loop = asyncio.Event(), asyncio.get_running_loop()
        await over.wait()
        return number

    worker = ActivityWorker(
        domain="d",
        task_list="t",
        activities=[work],
        endpoint_url=url,
        max_concurrent_activities=tasks,
        max_concurrent_polls=10,
        drain_timeout=0,
    )
    cpu = time.process_time()
    worker.start()
    figures(f"{url}/given")
    ramp_cpu, held, held_cpu = time.process_time() - cpu, time.monotonic(), time.process_time()
    time.sleep(seconds)  # the measurement itself
    seen = figures(url)
    seen["cores"] = (time.process_time() - held_cpu) / (time.monotonic() - held)
    seen["megabytes"] = _megabytes()
    seen["threads"] = float(threading.active_count())
    seen["ramp_cpu"] = ramp_cpu
    assert loop is not None
    assert over is not None
    loop.call_soon_threadsafe(over.set)
    done = figures(f"{url}/answered")
    worker.stop()
    return seen | {k: done[k] for k in ("answered", "seconds_to_answer")}


def figures(url: str) -> dict[str, float]:
    """What the endpoint has seen; ``/given``, ``/answered``: when all tasks are."""
    with urllib.request.urlopen(url, timeout=300) as answer:
        seen: dict[str, float] = json.load(answer)
        return seen


def _megabytes() -> float:
    status = Path("/proc/self/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    return int(found[1]) / 1024 if found else float("nan")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--tasks", type=int, default=10_000)
    parser.add_argument("--interval", type=float, default=30.0)
    parser.add_argument("--seconds", type=float, default=70.0)
    given = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    print(json.dumps(measure(given.tasks, given.interval, given.seconds)))
