"""The catalogue's stage: a worker, a local SWF with scripted faults, a bad network between them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import structlog

from swf_worker import ActivityWorker, RetryPolicy, activity
from swf_worker.local import LocalSwf
from tests.conftest import Recorder, eventually
from tests.proxy import Proxy

QUICK = RetryPolicy(initial_wait=0.05, max_wait=0.1, denied_wait=0.1)


@activity(name="Work", version="1", heartbeat_interval=30)
def work() -> str:
    return "done"


class Log:
    """What an operator reads."""

    def __init__(self, entries: list[dict[str, Any]]) -> None:
        self.entries = entries

    def says(self, level: str, *words: str) -> bool:
        """Whether there is such a line, now or shortly (it is told by another thread)."""
        return eventually(
            lambda: any(
                entry["log_level"] == level and all(word in str(entry) for word in words)
                for entry in list(self.entries)
            )
        )


@pytest.fixture
def log() -> Iterator[Log]:
    with structlog.testing.capture_logs() as entries:
        yield Log(entries)


@dataclass
class Stage:
    """Everything of one test."""

    swf: LocalSwf
    worker: ActivityWorker
    proxy: Proxy | None

    def schedule(self, name: str = "Work", **options: Any) -> Any:
        return self.swf.schedule(name, "1", **options)


@pytest.fixture
def stage(recorder: Recorder, log: Log) -> Any:
    """Sets the stage; the worker runs inside unless ``start=False``."""

    @contextmanager
    def make(
        *activities: Any,
        faults: Any = (),
        proxied: bool = False,
        poll_hold: float = 0.2,
        start: bool = True,
        **options: Any,
    ) -> Iterator[Stage]:
        with ExitStack() as stack:
            swf = stack.enter_context(LocalSwf(poll_hold=poll_hold))
            proxy = stack.enter_context(Proxy(swf.endpoint_url)) if proxied else None
            settings = {"domain": "faults", "task_list": "tasks", "retry_policy": QUICK} | options
            worker = ActivityWorker(
                activities=activities or (work,),
                endpoint_url=proxy.url if proxy else swf.endpoint_url,
                observers=[recorder],
                **settings,
            )
            swf.register(worker)
            swf.set_faults(faults)
            if start:
                stack.enter_context(worker)
            yield Stage(swf, worker, proxy)

    return make


def wired(
    endpoint_url: str, recorder: Recorder, *activities: Any, **options: Any
) -> ActivityWorker:
    """A worker on an endpoint of the test's own."""
    settings = {"domain": "d", "task_list": "t", "retry_policy": QUICK} | options
    return ActivityWorker(
        activities=activities or (work,),
        endpoint_url=endpoint_url,
        observers=[recorder],
        **settings,
    )
