"""What a task costs in Python function calls: a figure that a slow or busy machine doesn't change.

One task after the other, from the poll to the answer, in a thread and on the loop: all calls of
all threads, and those of our own code.

    python -m benchmarks.cost
"""

from __future__ import annotations

import itertools
import json
import logging
import threading
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import structlog
from opentelemetry.sdk.trace import TracerProvider

import swf_worker
from benchmarks.contestants import Counts, in_thread, on_loop
from benchmarks.field import endpoint, figures
from swf_worker import ActivityWorker
from swf_worker.instrumentation.traces import OpenTelemetryObserver
from swf_worker.observer import Observer

TASKS = 100
_OURS = str(Path(swf_worker.__file__).parent)


class Profile:
    """Counts the calls of Python functions."""

    def __init__(self) -> None:
        self._all, self._ours = itertools.count(), itertools.count()
        self._read = 0

    def __call__(self, frame: FrameType, event: str, _: Any) -> None:
        if event == "call":
            next(self._all)  # in one piece, whatever thread it is
            if frame.f_code.co_filename.startswith(_OURS):
                next(self._ours)

    def read(self) -> tuple[int, int]:
        """So far, but for earlier readings."""
        self._read += 1
        return next(self._all) - self._read, next(self._ours) - self._read


def calls_per_task(
    handler: Any, calls: Any = None, observers: Sequence[Observer] = ()
) -> dict[str, float]:
    """All calls, and ours, on the direct way or boto3's."""
    profile = Profile()
    threading.setprofile(profile)
    try:
        with endpoint("--hold", "1") as url:
            worker = ActivityWorker(
                domain="d",
                task_list="t",
                activities=[handler],
                endpoint_url=url,
                region_name="us-east-1",
                observers=[Counts(), *observers],
                max_concurrent_activities=1,
                calls=calls,
            )
            with worker:
                figures(f"{url}/feed?tasks=30")
                before = profile.read()
                figures(f"{url}/feed?tasks={TASKS}")
                after = profile.read()
    finally:
        threading.setprofile(None)
    every, ours = ((b - a) / TASKS for a, b in zip(before, after, strict=True))
    return {"all": every, "ours": ours}


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.INFO))
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    handlers = {"thread": in_thread, "async": on_loop}
    found = {
        f"{name}{way and ', boto3'}": calls_per_task(handler, way or None)
        for name, handler in handlers.items()
        for way in ("", "boto3")
    }
    traces = OpenTelemetryObserver(TracerProvider())
    found["thread, traces"] = calls_per_task(in_thread, observers=[traces])
    print(json.dumps(found))
