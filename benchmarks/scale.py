"""How many activities one process holds: are their beats on time, and what does it cost? Lateness
is what the service sees, between two beats of a task.

    python -m benchmarks.scale [--tasks 10000] [--interval 30] [--seconds 45] [--kind async|thread]
    python -m benchmarks.scale --interval 10 --tasks 8000 --step 2000   # until beats are late
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog

from benchmarks.field import endpoint, figures
from swf_worker import ActivityWorker, activity

Figures = dict[str, float]
MOST = 40_000
ENOUGH = 120.0
"""Seconds after which no larger number is tried."""


class Held:
    """A worker whose activities wait until they are let go."""

    def __init__(self, kind: str, url: str, interval: float, slots: int) -> None:
        self.url = url
        self.over: Callable[[], object] = lambda: None
        self.worker = ActivityWorker(
            domain="d",
            task_list="t",
            activities=[self._async(interval) if kind == "async" else self._plain(interval)],
            endpoint_url=url,
            max_concurrent_activities=slots,
            max_concurrent_polls=10,
            drain_timeout=0,
        )
        self._cpu = time.process_time()
        self.worker.start()

    def _async(self, interval: float) -> Any:
        over: asyncio.Event | None = None

        @activity(name="Work", version="1", heartbeat_interval=interval)
        async def work(polled: float) -> None:
            nonlocal over
            if over is None:
                over, loop = asyncio.Event(), asyncio.get_running_loop()
                self.over = lambda: loop.call_soon_threadsafe(over.set)
            await over.wait()

        return work

    def _plain(self, interval: float) -> Any:
        over = threading.Event()
        self.over = over.set

        @activity(name="Work", version="1", heartbeat_interval=interval)
        def work(polled: float) -> None:
            over.wait()

        return work

    def given(self) -> None:
        """Wait until all tasks that were fed are running."""
        figures(f"{self.url}/given")

    def hold(self, seconds: float) -> Figures:
        """What the service and the machine see meanwhile."""
        figures(f"{self.url}/reset")
        began, cpu = time.monotonic(), time.process_time()
        time.sleep(seconds)  # the measurement itself
        return figures(self.url) | {
            "cores": (time.process_time() - cpu) / (time.monotonic() - began),
            "megabytes": megabytes(),
            "threads": float(threading.active_count()),
        }

    def end(self) -> Figures:
        """Let all end; until all are answered."""
        self.over()
        done = figures(f"{self.url}/answered")
        self.worker.stop()
        return {name: done[name] for name in ("answered", "seconds_to_answer")}


def measure(kind: str, tasks: int, interval: float, seconds: float) -> Figures:
    """Hold ``tasks`` activities for ``seconds``, then let all of them end."""
    arguments = ("--tasks", str(tasks), "--interval", str(interval), "--hold", "5")
    with endpoint(*arguments) as url:
        held = Held(kind, url, interval, tasks)
        held.given()
        seen = held.hold(seconds)
        return seen | held.end()


def largest(kind: str, interval: float, first: int, step: int) -> Figures:
    """The largest number, in steps, with which 99 of 100 beats are less than half an interval
    late, and the one that was too many."""
    with endpoint("--tasks", "0", "--interval", str(interval), "--hold", "5") as url:
        held = Held(kind, url, interval, MOST)
        best: Figures = {}
        began = time.monotonic()
        for tasks in range(first, MOST + 1, step):
            more = first if tasks == first else step
            threading.Thread(target=feed, args=(url, more), daemon=True).start()
            while figures(url)["given"] < tasks:
                time.sleep(0.5)  # the ramp's own speed is not what is measured here
            held.hold(interval / 2)  # the ramp's delays are made up for
            seen = held.hold(1.5 * interval)
            if seen["late_p99"] > interval / 2:
                best = best or seen | {"largest": 0}
                return best | {"too_many": tasks, "too_many_late_p99": seen["late_p99"]}
            best = seen | {"largest": tasks}
            if time.monotonic() - began > ENOUGH:
                break
    return best


def feed(url: str, tasks: int) -> None:
    """Feed tasks; the endpoint answers when all are answered, which is never."""
    try:
        figures(f"{url}/feed?tasks={tasks}")
    except OSError:
        pass


def megabytes() -> float:
    """This process's memory."""
    status = Path("/proc/self/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    return int(found[1]) / 1024 if found else float("nan")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--kind", default="async")
    parser.add_argument("--tasks", type=int, default=10_000)
    parser.add_argument("--interval", type=float, default=30.0)
    parser.add_argument("--seconds", type=float, default=45.0)
    parser.add_argument("--step", type=int)
    given = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    if given.step:
        told = largest(given.kind, given.interval, given.tasks, given.step)
    else:
        told = measure(given.kind, given.tasks, given.interval, given.seconds)
    print(json.dumps(told), flush=True)
    os._exit(0)  # what still runs here is of no use to anybody
