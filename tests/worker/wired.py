"""A worker on a scripted service."""

from __future__ import annotations

import time

from swf_worker import (
    ActivityWorker,
    RetryPolicy,
    activity,
)
from tests.wire import EMPTY_POLL, http

QUICK = RetryPolicy(initial_wait=0.05, max_wait=0.1, denied_wait=0.1)


BEAT = http(200, {"cancelRequested": False})


def hold(seconds=0.05):
    """An empty poll, held for a moment."""

    def reply(sock):
        time.sleep(seconds)
        sock.sendall(EMPTY_POLL)

    return reply


def wired(service, recorder, *activities, **options):
    settings = {"domain": "d", "task_list": "t", "retry_policy": QUICK} | options
    return ActivityWorker(
        activities=activities, endpoint_url=service.url, observers=[recorder], **settings
    )


@activity(name="Work", version="1", heartbeat_interval=30)
def work() -> str:
    return "done"
