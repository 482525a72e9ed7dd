"""What process isolation costs: tasks a second of the same no-op in threads and in warm child
processes, interleaved, and the time until a child serves.

    python -m benchmarks.isolation [TASKS] [CONCURRENCY] [ROUNDS]
"""

from __future__ import annotations

import json
import logging
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import structlog

from benchmarks.scale import figures
from swf_worker import ActivityWorker, activity


@activity(name="Work", version="1", heartbeat_interval=30)
def in_thread(number: int) -> int:
    return number


@activity(name="Work", version="1", heartbeat_interval=30, isolation="process")
def in_process(number: int) -> int:
    return number


def round_of(
    handler: Callable[..., Any], tasks: int, concurrency: int
) -> tuple[float, float, float]:
    """Tasks a second, the parent's CPU in ms a task, and seconds until the worker had started."""
    command = [sys.executable, "-m", "benchmarks.endpoint", "--tasks", str(tasks), "--hold", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as endpoint:
        try:
            assert endpoint.stdout is not None
            url = endpoint.stdout.readline().strip()
            worker = ActivityWorker(
                domain="d",
                task_list="t",
                activities=[handler],
                endpoint_url=url,
                max_concurrent_activities=concurrency,
                max_concurrent_polls=concurrency,
            )
            began = time.monotonic()
            worker.start()
            started = time.monotonic() - began
            cpu = time.process_time()
            seen = figures(f"{url}/answered")
            cpu = time.process_time() - cpu
            worker.stop()
            return tasks / seen["seconds_to_answer"], cpu / tasks * 1000, started
        finally:
            endpoint.kill()


def main() -> None:
    tasks, concurrency, rounds = (*map(int, sys.argv[1:]), 1500, 4, 5)[:3]
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    seen: dict[str, list[tuple[float, float, float]]] = {"thread": [], "process": []}
    for _ in range(rounds):
        seen["thread"].append(round_of(in_thread, tasks, concurrency))
        seen["process"].append(round_of(in_process, tasks, concurrency))
    medians = {}
    for mode, results in seen.items():
        rate, cpu, start = (statistics.median(column) for column in zip(*results, strict=True))
        medians[mode] = {"tasks_per_s": rate, "parent_cpu_ms": cpu, "start_s": start}
    ratios = [p[0] / t[0] for t, p in zip(seen["thread"], seen["process"], strict=True)]
    medians["ratio"] = {"median": statistics.median(ratios)}
    print(json.dumps(medians | {"cores": os.cpu_count()}))


if __name__ == "__main__":
    main()
