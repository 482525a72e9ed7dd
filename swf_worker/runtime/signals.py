"""``run()``'s loop: the main thread waits for signals and for the worker's end.

Signals arrive through ``signal.set_wakeup_fd``: the interpreter's C handler writes their number
into a socket, and the main thread reads it there. A thread that waits for a lock or a queue can
miss a signal that comes just before it blocks, and would then sleep through a shutdown.
"""

from __future__ import annotations

import os
import signal
import socket
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
_END = 0


class SignalInbox:
    """Where the signals of this process arrive, one number each."""

    def __init__(self, reader: socket.socket, writer: socket.socket) -> None:
        self._reader = reader
        self._writer = writer

    def __iter__(self) -> Iterator[int]:
        """Signals as they come, until ``end`` is called."""
        while True:
            for number in self._reader.recv(64):
                if number == _END:
                    return
                if number in SIGNALS:  # the descriptor tells every signal that has a handler
                    yield number

    def end(self) -> None:
        """End the iteration; from any thread."""
        with suppress(OSError):
            self._writer.send(bytes([_END]))


@contextmanager
def signal_inbox() -> Iterator[SignalInbox]:
    """Take SIGTERM and SIGINT in, until the end of the block. In the main thread only."""

    def noted(number: int, frame: FrameType | None) -> None:
        """The number is in the socket already."""

    reader, writer = socket.socketpair()
    writer.setblocking(False)
    before = {number: signal.signal(number, noted) for number in SIGNALS}
    wakeup = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    try:
        yield SignalInbox(reader, writer)
    finally:
        signal.set_wakeup_fd(wakeup)
        for number, handler in before.items():
            signal.signal(number, handler)
        reader.close()
        writer.close()


def run_until_stopped(engine: Engine) -> int:
    """Open the polls and wait, turning signals into steps of the stop. 0, or 3."""
    with signal_inbox() as inbox:
        engine.on_exit_now = lambda: _exit_now(engine)
        engine.finished.add_done_callback(lambda _: inbox.end())
        engine.open()
        counted: dict[int, float] = {}
        for number in inbox:
            now = time.monotonic()
            if now - counted.get(number, -SAME_SIGNAL) >= SAME_SIGNAL:
                counted[number] = now
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
