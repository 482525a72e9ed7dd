"""After an outage the worker is back soon: its waits have a cap."""

from __future__ import annotations

import time

import pytest

from swf_worker import RetryPolicy
from swf_worker.local import Completed
from swf_worker.observations import TaskStarted
from tests import proxy


@pytest.mark.full
@pytest.mark.timeout(200)
@pytest.mark.parametrize("kind", ["refused", "resets"])
def test_from_the_end_of_a_minutes_outage_to_the_first_task(stage, recorder, kind, record_property):
    with stage(proxied=True, poll_hold=1.0, retry_policy=RetryPolicy()) as s:
        assert s.schedule().outcome() == Completed('"done"')
        if kind == "refused":
            s.proxy.down()
        else:
            s.proxy.become(proxy.resets)
        time.sleep(60)
        waiting = s.schedule()
        if kind == "refused":
            s.proxy.up()
        else:
            s.proxy.become(proxy.healthy)
        over = time.monotonic()
        recorder.wait_for(TaskStarted, 2, timeout=60)
        seconds = time.monotonic() - over
        assert waiting.outcome() == Completed('"done"')
    record_property("figure", f"60 s outage ({kind}): the first task {seconds:.1f} s after its end")
    assert seconds < 25
