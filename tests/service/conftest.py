"""Timers for limits, and both ways of a request."""

from __future__ import annotations

import pytest

from swf_worker.runtime.clock import MonotonicClock, start_daemon
from swf_worker.runtime.scheduler import Scheduler
from swf_worker.service import transport


@pytest.fixture
def timers():
    scheduler = Scheduler(MonotonicClock(), start_daemon, lambda error: None)
    yield scheduler
    thread = scheduler.close()
    if thread:
        thread.join()


@pytest.fixture(params=["our transport", "botocore's own way"])
def either(request, monkeypatch):
    if request.param == "botocore's own way":
        monkeypatch.setattr(transport, "install", lambda client, ca_bundle: None)
    return request.param
