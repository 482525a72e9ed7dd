"""Targets for ``swf-worker run`` in tests."""

from __future__ import annotations

import os
import sys
import time

from swf_worker import ActivityContext, ActivityWorker, activity


@activity(name="Quick", version="1")
def quick(page: int) -> dict:
    return {"page": page, "pid": os.getpid()}


@activity(name="UntilStop", version="1", heartbeat_interval=0.2)
def until_stop(context: ActivityContext) -> str:
    while not context.worker_stopping:
        context.wait_for_stop(0.01)
    return "drained"


@activity(name="Polite", version="1", heartbeat_interval=0.2)
def polite(context: ActivityContext) -> str:
    context.wait_for_stop(60)
    return f"asked: {context.cancel_reason}"


@activity(name="Deaf", version="1", heartbeat_interval=0.2)
def deaf() -> None:
    time.sleep(60)  # what can't be asked to stop


ACTIVITIES = [quick, until_stop, polite, deaf]
worker = ActivityWorker(domain="tests", task_list="tasks", activities=ACTIVITIES, cancel_grace=0.3)

patient = ActivityWorker(domain="tests", task_list="tasks", activities=ACTIVITIES, cancel_grace=60)


class Subclass(ActivityWorker):
    domain = "tests"
    task_list = "tasks"

    @activity(name="Quick", version="1")
    def quick(self, page: int) -> dict:
        return {"page": page, "pid": os.getpid()}


def make_worker() -> ActivityWorker:
    return ActivityWorker(domain="tests", task_list="tasks", activities=ACTIVITIES)


def make_nothing():
    return 5


def run_one():
    return make_worker().run()


def exit_with_one():
    sys.exit(make_worker().run())


def start_one():
    started = make_worker()
    started.start()
    return started


def make_trouble():
    raise KeyError("QUEUE")


NOT_A_WORKER = 5


@activity(name="Pid", version="1", heartbeat_interval=0.2)
def pid(context: ActivityContext, seconds: float = 0) -> int:
    context.wait_for_stop(seconds)
    return os.getpid()


fleet = ActivityWorker(
    domain="tests",
    task_list="tasks",
    activities=[*ACTIVITIES, pid],
    max_concurrent_activities=2,
    cancel_grace=0.3,
)
other = ActivityWorker(domain="tests", task_list="others", activities=[pid], cancel_grace=0.3)
rival = ActivityWorker(domain="tests", task_list="tasks", activities=[pid])
