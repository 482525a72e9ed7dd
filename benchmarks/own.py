"""What the worker's own parts cost: CPU a task on a service that answers at once and costs nothing,
with the log in a file and an observer, one task after the other.

    python -m benchmarks.own
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
import time
from typing import Any

from benchmarks.contestants import HANDLERS, Counts
from benchmarks.field import ENVIRONMENT
from swf_worker import ActivityWorker
from swf_worker.cli.logging import configure_logging
from swf_worker.outcome import Outcome
from swf_worker.runtime.platform import Platform
from swf_worker.service.api import Polled, RegisteredTimeouts
from swf_worker.task import ActivityTask, ActivityType, WorkflowExecution

TASKS, WARM = 20_000, 2_000


class Free:
    """SWF, as an object: so many tasks, each accepted at once."""

    why_boto3 = None
    place = "free"

    def __init__(self) -> None:
        self.given = self.answered = 0
        self.began = self.ended = 0.0
        self.over = threading.Event()

    def poll(self) -> Polled:
        if self.given == TASKS:
            self.over.wait(1)
            return Polled(None)
        self.given += 1
        if self.given == WARM:
            self.began = time.process_time()
        kind, run = ActivityType("Work", "1"), WorkflowExecution("workflow", "run")
        return Polled(ActivityTask(f"token-{self.given}", "activity", kind, run, 5, "1.0"))

    def respond(self, task_token: str, outcome: Outcome) -> None:
        self.answered += 1
        if self.answered == TASKS:
            self.ended = time.process_time()
            self.over.set()

    def heartbeat(self, *_: Any) -> bool:
        return False

    def describe(self, activity_type: ActivityType) -> RegisteredTimeouts:
        return RegisteredTimeouts(None, None)

    def fatal_at_start(self, error: Exception) -> None:
        return None

    def close(self) -> None: ...


class WithFree(Platform):
    """The worker's parts, on that service."""

    def service(self, *_: Any) -> Any:
        return FREE


FREE = Free()


def measure(kind: str) -> float:
    """Milliseconds of CPU a task, in this process."""
    configure_logging("json", "info")
    worker = ActivityWorker(
        domain="d",
        task_list="t",
        activities=[HANDLERS[kind]],
        observers=[Counts()],
        max_concurrent_activities=1,
        drain_timeout=0,
    )
    worker._platform = WithFree()
    with worker:
        FREE.over.wait()
    return (FREE.ended - FREE.began) / (TASKS - WARM) * 1000


def told(kind: str) -> float:
    """The same, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.own", kind]
    with tempfile.TemporaryFile() as log:
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=log, env=ENVIRONMENT, check=True
        )
    return float(done.stdout)


if __name__ == "__main__":
    if sys.argv[1:]:
        print(measure(sys.argv[1]))
    else:
        print(
            json.dumps(
                {kind: [round(told(kind), 3) for _ in range(5)] for kind in ("thread", "async")}
            )
        )
