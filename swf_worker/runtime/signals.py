"""``run()``'s loop: the main thread waits for signals and for the worker's end.

Signal handlers only put into a SimpleQueue (which is safe in them); everything else happens in
the loop, where no lock is held by the code that was interrupted.
"""

from __future__ import annotations

import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import NoReturn

from ..text import safe_str
from .engine import Engine

SIGNALS = (signal.SIGTERM, signal.SIGINT)
SAME_SIGNAL = 1.0
"""The same signal again within so many seconds counts once: terminals and supervisors both
signal the whole process group."""
ABANDONED = 3
"""The exit code of a stop that abandoned tasks or polls."""

_Inbox = queue.SimpleQueue[int | None]


def run_until_stopped(engine: Engine) -> int:
    """Open the polls and wait, turning signals into steps of the stop. 0, or 3."""
    inbox: _Inbox = queue.SimpleQueue()
    with _handlers(inbox):
        engine.on_exit_now = lambda: _exit_now(engine)
        engine.finished.add_done_callback(lambda _: inbox.put(None))
        engine.open()
        last: dict[int, float] = {}
        while (number := inbox.get()) is not None:
            before, last[number] = last.get(number), time.monotonic()
            if before is None or last[number] - before > SAME_SIGNAL:
                engine.signaled()
        engine.wait(None)
    return ABANDONED if engine.finished.result() else 0


def check_main_thread() -> None:
    """Signals are handled in the main thread only."""
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError(
            "run() handles signals and must be called in the main thread; to embed a worker in "
            "another thread use start(), stop() and wait(), which touch no signals"
        )


@contextmanager
def _handlers(inbox: _Inbox) -> Iterator[None]:
    def note(number: int, frame: FrameType | None) -> None:
        inbox.put(number)

    before = {number: signal.signal(number, note) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _exit_now(engine: Engine) -> NoReturn:
    polls, tasks = engine.unfinished()
    with suppress(OSError, ValueError):
        for task in tasks:
            execution = task.workflow_execution
            print(
                f"abandoned: {task.activity_type} activity {safe_str(task.activity_id)} of "
                f"workflow {execution.workflow_id} (run {execution.run_id})",
                file=sys.stderr,
            )
        if polls:
            print(
                f"abandoned: {polls} open poll(s); a task that SWF gives to one will time out",
                file=sys.stderr,
            )
        sys.stderr.flush()
    os._exit(ABANDONED)
