"""Targets for ``swf-worker run`` in tests of the health port."""

from __future__ import annotations

import os
from typing import Any

from prometheus_client import CollectorRegistry

from swf_worker import ActivityContext, ActivityWorker, activity
from swf_worker.instrumentation.metrics import PrometheusObserver


@activity(name="Work", version="1", heartbeat_interval=0.1)
def work(context: ActivityContext, what: str) -> str:
    """Does what it is told."""
    if what == "fail":
        raise ValueError("as told")
    if what == "wait":
        context.heartbeat({"page": 7})
        while not context.wait_for_stop(5):
            pass
        context.raise_if_canceled()
    return what


@activity(name="Later", version="2")
async def later(n: int) -> int:
    return n


worker = ActivityWorker(
    domain="tests",
    task_list="tasks",
    activities=[work],
    health_port=int(os.environ.get("THE_HEALTH_PORT", "0")),
)


class Broken:
    """A collector as programs have them."""

    def describe(self) -> list[Any]:
        return []

    def collect(self) -> list[Any]:
        raise RuntimeError("mine is broken")


registry = CollectorRegistry()
registry.register(Broken())
broken = ActivityWorker(
    domain="tests",
    task_list="tasks",
    activities=[work],
    health_port=0,
    observers=[PrometheusObserver(registry)],
)
