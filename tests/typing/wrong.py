"""A user's file with mistakes: each line that says so is a type checker's error."""

from __future__ import annotations

from swf_worker import (
    ActivityCanceled,
    ActivityContext,
    ActivityFailed,
    ActivityTaskHandle,
    ActivityWorker,
    Completed,
    RetryPolicy,
    activity,
    run_workers,
)
from swf_worker.local import LocalSwf
from swf_worker.testing import ActivityEnvironment


@activity  # wrong: a version is needed
def bare() -> None: ...


@activity(name="Copy")  # wrong: a version is needed
def without_version() -> None: ...


@activity(version="1", heartbeat_timeot=3)  # wrong: misspelled
def misspelled() -> None: ...


@activity(version="1", isolation="fork")  # wrong: no such value
def isolated() -> None: ...


@activity(version="1", start_to_close_timeout="never")  # wrong: no such value
def timed() -> None: ...


worker = ActivityWorker(domain="d", task_list="t", drain_timout=3)  # wrong: misspelled
other = ActivityWorker(domain="d", task_list="t", max_concurrent_activities="3")  # wrong: text
third = ActivityWorker(domain="d", task_list="t", on_drain_timeout="kill")  # wrong: no such value


@worker.activity(name="Copy")  # wrong: a version is needed
def registered() -> None: ...


def handler(context: ActivityContext) -> None:
    context.heartbeat(1, 2)  # wrong: one value
    context.should_stop = True  # wrong: read only
    context.cancel_reason = None  # wrong: read only
    raise ActivityFailed(details={})  # wrong: a reason is needed


def other_handler() -> None:
    raise ActivityCanceled("why", "where")  # wrong: one value


class Files(ActivityWorker):
    max_concurrent_activities = "3"  # wrong: text

    def on_start(self, more: int) -> None: ...  # wrong: called with nothing


def use(swf: LocalSwf) -> None:
    ActivityTaskHandle(token="t")  # wrong: it is called task_token
    RetryPolicy(initial_wait="1")  # wrong: text
    Completed(3)  # wrong: encoded text
    swf.schedule("Copy")  # wrong: a version is needed
    ActivityEnvironment().outcome()  # wrong: of which handler?
    run_workers(worker)  # wrong: a list
