"""A user's tests freeze time: the worker's clocks, and its loop's, go on."""

from __future__ import annotations

import asyncio
import time

import freezegun
import pytest

from swf_worker import (
    ActivityContext,
    ActivityTaskHandle,
    RetryPolicy,
    ServiceUnavailableError,
    activity,
)
from swf_worker.local import Completed, TimedOut
from swf_worker.testing import ActivityEnvironment
from tests.wire import Wire, http

real_monotonic = time.monotonic


@activity(name="Long", version="1", heartbeat_interval=0.1)
def long(context: ActivityContext, seconds: float) -> str:
    context.wait_for_stop(seconds)
    return "done"


@activity(name="Sleeping", version="1", heartbeat_interval=0.1)
async def sleeping(seconds: float) -> str:
    async with asyncio.timeout(10):
        await asyncio.sleep(seconds)
    return "slept"


@pytest.mark.parametrize("ticking", [False, True], ids=["standing", "ticking"])
def test_beats_go_out_and_a_stop_is_quick_under_frozen_time(make_worker, quick_swf, ticking):
    with freezegun.freeze_time("2012-01-14", tick=ticking):
        worker = make_worker(long, sleeping)
        scheduled = quick_swf.schedule("Long", "1", 30, heartbeat_timeout=2)
        slept = quick_swf.schedule("Sleeping", "1", 0.2)
        with worker:
            scheduled.wait_for_heartbeats(3)
            scheduled.request_cancel()
            assert scheduled.outcome() == Completed('"done"')
            assert slept.outcome() == Completed('"slept"')
            began = real_monotonic()
        assert real_monotonic() - began < 5
    assert time.time() > 1_700_000_000


def test_time_that_freezes_under_way_changes_nothing(make_worker, quick_swf):
    worker = make_worker(long, sleeping)
    with worker:
        scheduled = quick_swf.schedule("Long", "1", 30, heartbeat_timeout=2)
        scheduled.wait_for_heartbeats(1)
        with freezegun.freeze_time("2100-01-14") as frozen:
            scheduled.wait_for_heartbeats(3)
            frozen.tick(86_400)
            slept = quick_swf.schedule("Sleeping", "1", 0.2)
            assert slept.outcome() == Completed('"slept"')
        scheduled.wait_for_heartbeats(6)
        scheduled.request_cancel()
        assert scheduled.outcome() == Completed('"done"')


def test_the_local_swfs_timeouts_pass_under_frozen_time(quick_swf, make_worker):
    make_worker(long)
    with freezegun.freeze_time("2012-01-14"):
        nobody = quick_swf.schedule("Long", "1", 1, schedule_to_start_timeout=1)
        assert nobody.outcome(10) == TimedOut("SCHEDULE_TO_START")
        with pytest.raises(TimeoutError):
            quick_swf.schedule("Long", "1", 1).outcome(timeout=0.2)


def test_a_handle_gives_up_after_its_time_under_frozen_time(monkeypatch):
    monkeypatch.setattr("swf_worker.handle.BEAT_RETRIES", 0.3)
    with (
        Wire(RecordActivityTaskHeartbeat=[http(503)]) as service,
        freezegun.freeze_time("2012-1-1"),
    ):
        handle = ActivityTaskHandle(
            "token", endpoint_url=service.url, retry_policy=RetryPolicy(initial_wait=0.01)
        )
        with pytest.raises(ServiceUnavailableError):
            handle.heartbeat()


def test_an_environments_loop_goes_on_under_frozen_time():
    with freezegun.freeze_time("2012-01-14"):
        assert ActivityEnvironment().outcome(sleeping, 0.01).result == '"slept"'
