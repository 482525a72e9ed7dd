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

from swf_worker import ActivityWorker
from swf_worker.local import LocalSwf
from swf_worker.observations import HealthServed
from tests.cli import workers
from tests.conftest import MakeWorker, Recorder
from tests.operating.workers import later, work


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


@pytest.fixture
def swf() -> Iterator[LocalSwf]:
    """For ``swf-worker run``."""
    with LocalSwf(poll_hold=0.3) as local:
        local.register(workers.fleet)
        yield local
