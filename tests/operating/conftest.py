"""What the tests of the health port share."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import pytest
from prometheus_client.parser import text_string_to_metric_families

from swf_worker import ActivityContext, ActivityWorker, activity
from swf_worker.observations import HealthServed
from tests.conftest import MakeWorker, Recorder


class Got(NamedTuple):
    status: int
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


def get(url: str, path: str, timeout: float = 10) -> Got:
    try:
        with urllib.request.urlopen(f"{url}{path}", timeout=timeout) as answer:
            return Got(answer.status, answer.read().decode())
    except urllib.error.HTTPError as error:
        with error:
            return Got(error.code, error.read().decode())


def samples(text: str) -> dict[str, float]:
    """Series as Prometheus writes them, by name and labels."""
    found = {}
    for family in text_string_to_metric_families(text):
        for each in family.samples:
            labels = ",".join(f"{k}={v}" for k, v in sorted(each.labels.items()))
            found[f"{each.name}{{{labels}}}" if labels else each.name] = each.value
    return found


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


Served = Callable[..., Any]


@pytest.fixture
def served(make_worker: MakeWorker, recorder: Recorder) -> Iterator[Served]:
    """Starts a worker with a health port; gives it and the port's address."""

    @contextmanager
    def serve(*activities: Any, **options: Any) -> Iterator[tuple[ActivityWorker, str]]:
        worker = make_worker(*(activities or (work, later)), health_port=0, **options)
        with worker:
            yield worker, recorder.wait_for(HealthServed)[-1].url

    return serve
