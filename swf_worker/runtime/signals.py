"""``run()``'s loop: the main thread waits for orders and for the worker's end.

Signals arrive through ``signal.set_wakeup_fd``: the interpreter's C handler writes their number
into a socket, and the main thread reads it there. A thread that waits for a lock or a queue can
miss a signal that comes just before it blocks, and would then sleep through a shutdown.
"""

from __future__ import annotations

import faulthandler
import math
import os
import select
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from enum import Enum
from types import FrameType
from typing import NoReturn, Protocol

from ..clock import now
from ..text import safe_str
from .engine import Engine
from .forks import at_fork

STOPS = (signal.SIGTERM, signal.SIGINT)
REPORT = signal.SIGUSR1
SAME_SIGNAL = 1.0
"""The same signal again within so many seconds counts once: terminals and supervisors both
signal the whole process group."""
ABANDONED = 3
"""The exit code of a stop that abandoned tasks or polls."""
_END = 0


class Order(Enum):
    """What a running worker is told from outside."""

    STOP = "stop"
    """One step down the ladder."""
    STOP_ONCE = "stop_once"
    """Begin to stop, unless it has begun."""
    REPORT = "report"
    """Log the running tasks and all stacks."""


class Inbox(Protocol):
    """Where orders arrive."""

    def waiting(self) -> list[Order]:
        """Those that have come already; never blocks."""

    def __iter__(self) -> Iterator[Order]:
        """Orders as they come, until ``end`` is called."""

    def end(self) -> None:
        """End the iteration; from any thread."""


Orders = Callable[[], AbstractContextManager[Inbox]]


class SignalInbox:
    """The orders that signals of this process are."""

    def __init__(self, reader: socket.socket, writer: socket.socket) -> None:
        self.ended = False
        self._reader = reader
        self._writer = writer
        self._counted: dict[int, float] = {}

    def __iter__(self) -> Iterator[Order]:
        while not self.ended:
            yield from self.take()

    def waiting(self) -> list[Order]:
        """What has come already."""
        return self.take() if select.select([self._reader], [], [], 0)[0] else []

    def take(self) -> list[Order]:
        """The next orders; blocks until there is something, which may be no order."""
        taken = self._reader.recv(64)
        self.ended = self.ended or _END in taken
        return [order for number in taken if (order := self._order(number)) is not None]

    def _order(self, number: int) -> Order | None:
        """The descriptor tells every signal that has a handler, the user's own, too."""
        moment = now()
        if (
            number not in (*STOPS, REPORT)
            or moment < self._counted.get(number, -math.inf) + SAME_SIGNAL
        ):
            return None
        self._counted[number] = moment
        return Order.REPORT if number == REPORT else Order.STOP

    def fileno(self) -> int:
        """Readable when ``take`` doesn't block."""
        return self._reader.fileno()

    def end(self) -> None:
        """End the iteration; from any thread."""
        with suppress(OSError):
            self._writer.send(bytes([_END]))


@contextmanager
def signal_inbox(*more: signal.Signals) -> Iterator[SignalInbox]:
    """Take SIGTERM and SIGINT in (and be woken by ``more``), and SIGUSR1 where the program has no
    use of its own for it, until the end of the block. In the main thread only."""
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    taken = (*STOPS, *more) if _has_a_use(REPORT) else (*STOPS, *more, REPORT)
    before = {number: signal.signal(number, noted) for number in taken}
    wakeup = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    ours = True

    def give_back() -> None:
        nonlocal ours
        if ours:
            ours = False
            signal.set_wakeup_fd(wakeup)
            for number, handler in before.items():
                signal.signal(number, signal.SIG_DFL if handler is None else handler)

    at_fork(taken, give_back)
    try:
        yield SignalInbox(reader, writer)
    finally:
        give_back()
        reader.close()
        writer.close()


def _has_a_use(number: int) -> bool:
    """Whether the program handles this signal itself, in Python or below it (faulthandler)."""
    handler = signal.getsignal(number)
    if handler in (report_stacks, noted):
        return False
    return handler is not signal.SIG_DFL or _caught_below_python(number)


def _caught_below_python(number: int) -> bool:
    try:
        with open("/proc/self/status") as status:
            caught = next(line for line in status if line.startswith("SigCgt:"))
    except (OSError, StopIteration):  # not on this system
        return False
    return bool(int(caught.split()[1], 16) >> (number - 1) & 1)


def report_stacks(number: int, frame: FrameType | None) -> None:
    """A handler for SIGUSR1 while a worker is only starting: where does it hang?"""
    with suppress(OSError, ValueError):
        faulthandler.dump_traceback(all_threads=True)


def noted(number: int, frame: FrameType | None) -> None:
    """A handler for signals that are read elsewhere, or not at all. (Not SIG_IGN: what a handler
    starts would inherit that.)"""


def run_until_stopped(engines: Sequence[Engine], orders: Orders = signal_inbox) -> int:
    """Open the polls and wait, turning orders into steps of the one ladder. 0, or 3."""
    ladder = engines[0].ladder
    with orders() as inbox:
        ladder.on_exit_now = lambda: _exit_now(engines)
        _when_all_are_finished(engines, inbox.end)
        for order in inbox.waiting():  # a stop that came during the start opens no polls
            _obey(order, engines)
        if not ladder.state.stopping:
            for engine in engines:
                engine.announce()
            ladder.open()
        for order in inbox:
            _obey(order, engines)
        for engine in engines:
            engine.wait(None)
    return ABANDONED if any(engine.finished.result() for engine in engines) else 0


def _obey(order: Order, engines: Sequence[Engine]) -> None:
    match order:
        case Order.STOP:
            engines[0].ladder.signaled()
        case Order.STOP_ONCE:
            engines[0].ladder.request_stop()
        case Order.REPORT:
            for engine in engines:
                engine.report(threads=engine is engines[0])


def _when_all_are_finished(engines: Sequence[Engine], then: Callable[[], None]) -> None:
    def finished(_: object) -> None:
        if all(engine.finished.done() for engine in engines):
            then()

    for engine in engines:
        engine.finished.add_done_callback(finished)


def check_main_thread() -> None:
    """Signals are handled in the main thread only."""
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError(
            "run() handles signals and must be called in the main thread; to embed a worker in "
            "another thread use start(), stop() and wait(), which touch no signals"
        )


def _exit_now(engines: Sequence[Engine]) -> NoReturn:
    unfinished = [engine.unfinished() for engine in engines]
    polls = sum(open_polls for open_polls, _ in unfinished)
    with suppress(OSError, ValueError):
        for task in (task for _, tasks in unfinished for task in tasks):
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
