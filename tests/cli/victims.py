"""The worker of the kill matrix: its handlers stop at a gate that the test opens."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

from swf_worker import ActivityContext, ActivityWorker, JsonConverter, activity
from tests.worker.children import hold_the_gil


def stop_at_the_gate() -> None:
    """Tell the test, and wait for it: opening a FIFO blocks until the other side does."""
    gate = Path(os.environ["KILL_MATRIX_GATE"])
    (gate / "arrived").write_bytes(b"x")
    (gate / "go").read_bytes()


class SlowConverter(JsonConverter):
    """Stops while it decodes, where the input says so."""

    def decode(self, text: str, wanted: Any) -> Any:
        if text == '"decoding"':
            stop_at_the_gate()
        return super().decode(text, wanted)


@activity(name="Work", version="thread", heartbeat_interval=0.2)
def plain(context: ActivityContext, stage: str) -> str:
    if stage in ("running", "beating"):
        stop_at_the_gate()
    context.raise_if_canceled()
    return "done"


@activity(name="Work", version="async", heartbeat_interval=0.2)
async def coroutine(context: ActivityContext, stage: str) -> str:
    if stage in ("running", "beating"):
        await asyncio.to_thread(stop_at_the_gate)
    context.raise_if_canceled()
    return "done"


@activity(name="Work", version="process", heartbeat_interval=0.2, isolation="process")
def in_process(context: ActivityContext, stage: str) -> str:
    if stage == "gil":
        (Path(os.environ["KILL_MATRIX_GATE"]) / "arrived").write_bytes(b"x")
        hold_the_gil(60)
    return plain(context, stage)


MODES = {"thread": plain, "async": coroutine, "process": in_process}
"""One alone is served: a handler process is no small part of a start."""

worker = ActivityWorker(
    domain="d",
    task_list="t",
    activities=[MODES[os.environ["KILL_MATRIX_MODE"]]],
    converter=SlowConverter(),
    max_concurrent_activities=2,
    max_concurrent_polls=2,
    cancel_grace=0.3,
)
