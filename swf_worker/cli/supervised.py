"""A worker process under a supervisor: it takes its orders from the supervisor's channel.

It does not stop at SIGTERM or SIGINT: terminals and systemd signal the whole process group, so
each signal comes to the supervisor as well, which orders one step for all. Where the channel
ends, the supervisor is gone: the worker then drains as after SIGTERM.
"""

from __future__ import annotations

import os
import selectors
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from ..clock import now
from ..core.lifecycle import longest_stop
from ..errors import SwfWorkerError
from ..observations import Observation, PollSucceeded, WorkerStopping
from ..runtime.signals import (
    REPORT,
    SAME_SIGNAL,
    STOPS,
    Inbox,
    Order,
    SignalInbox,
    noted,
    signal_inbox,
)
from ..text import safe_str
from ..worker import ActivityWorker, run_together
from .settings import UsageError

CHANNEL = "_SWF_WORKER_CHANNEL"
"""The environment variable that names the channel's descriptor. Not a flag: whoever has it must
never take itself for a supervisor, whatever its arguments say."""
HELD = (*STOPS, REPORT)
"""Signals that are held while a worker process starts, until it has handlers of its own."""
ORDERS = {b"s": Order.STOP, b"r": Order.REPORT}
LOADED, POLLING, ACCEPTED, FATAL = "loaded", "polling", "accepted", "fatal"


class SupervisedInbox:
    """Orders from the channel; of the process's own signals only SIGUSR1 is one."""

    def __init__(self, signals: SignalInbox, channel: socket.socket) -> None:
        self._signals = signals
        self._channel = channel
        self._reported_at = -SAME_SIGNAL
        self._selector = selectors.DefaultSelector()
        self._selector.register(signals, selectors.EVENT_READ)
        self._selector.register(channel, selectors.EVENT_READ)

    def __iter__(self) -> Iterator[Order]:
        while not self._signals.ended:
            yield from self._ready(None)

    def waiting(self) -> list[Order]:
        """What has come already."""
        return self._ready(0)

    def _ready(self, timeout: float | None) -> list[Order]:
        orders: list[Order] = []
        for key, _ in self._selector.select(timeout):
            if key.fileobj is self._signals:
                orders.extend(o for o in self._signals.take() if o is Order.REPORT)
            else:
                orders.extend(self._ordered())
        return [order for order in orders if order is not Order.REPORT or self._is_new_report()]

    def _is_new_report(self) -> bool:
        """A SIGUSR1 to the whole group comes here, and through the supervisor once more."""
        before, self._reported_at = self._reported_at, now()
        return self._reported_at - before >= SAME_SIGNAL

    def _ordered(self) -> list[Order]:
        try:
            said = self._channel.recv(64)
        except OSError:
            said = b""
        if said:
            return [ORDERS[bytes([byte])] for byte in said]
        self._selector.unregister(self._channel)
        return [Order.STOP_ONCE]

    def end(self) -> None:
        """End the iteration; from any thread."""
        self._signals.end()

    def close(self) -> None:
        """Give the selector back."""
        self._selector.close()


class _FirstPolls:
    """Tells the supervisor when the service has accepted every worker of this process: from then on
    nothing is fatal any more."""

    def __init__(self, channel: socket.socket, workers: int) -> None:
        self._channel = channel
        self._missing = workers

    def of_one_worker(self) -> _FirstPoll:
        """An observer for one of them."""
        return _FirstPoll(self)

    def accepted(self) -> None:
        """One of them was."""
        self._missing -= 1
        if self._missing == 0:
            tell(self._channel, ACCEPTED)


class _FirstPoll:
    def __init__(self, polls: _FirstPolls) -> None:
        self._polls: _FirstPolls | None = polls

    def observe(self, record: Observation) -> None:
        if isinstance(record, WorkerStopping):
            self._polls = None  # what an open poll brings now tells nothing
        elif isinstance(record, PollSucceeded) and self._polls is not None:
            polls, self._polls = self._polls, None
            polls.accepted()


def channel_descriptor() -> int | None:
    """The channel to this process's supervisor, if it has one. What it starts has none."""
    text = os.environ.pop(CHANNEL, None)
    return None if text is None else int(text)


def run_supervised(descriptor: int, load: Callable[[], list[ActivityWorker]]) -> int:
    """Run workers on the orders that come through ``descriptor``."""
    signal.signal(signal.SIGINT, noted)
    # Until polls are opened nothing is lost: a supervisor's SIGTERM may end us at once.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD)
    os.set_inheritable(descriptor, False)
    with socket.socket(fileno=descriptor) as channel:
        try:
            return _run(channel, load)
        except (UsageError, SwfWorkerError) as error:
            # The supervisor says it, once for all of us.
            tell(channel, f"{FATAL} {' '.join(safe_str(error).split())}")
            return 2 if isinstance(error, UsageError) else 1


def _run(channel: socket.socket, load: Callable[[], list[ActivityWorker]]) -> int:
    workers = load()
    polls = _FirstPolls(channel, len(workers))
    for worker in workers:
        worker.configure({"observers": [*worker.observers, polls.of_one_worker()]})
    bound = longest_stop((w.drain_timeout for w in workers), (w.cancel_grace for w in workers))
    tell(channel, f"{LOADED} {bound}")

    @contextmanager
    def orders() -> Iterator[Inbox]:
        with signal_inbox() as signals:
            inbox = SupervisedInbox(signals, channel)
            tell(channel, POLLING)
            try:
                yield inbox
            finally:
                inbox.close()

    return run_together(workers, orders)


def tell(channel: socket.socket, message: str) -> None:
    """Say a line to the supervisor, who may be gone."""
    with suppress(OSError):
        channel.sendall(f"{message}\n".encode())
