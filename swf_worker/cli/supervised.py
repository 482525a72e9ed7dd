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
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

from ..core.lifecycle import LAST_ANSWERS, POLL_LIMIT
from ..observations import Observation, PollSucceeded
from ..runtime.signals import STOPS, Inbox, Order, SignalInbox, noted, signal_inbox
from ..worker import ActivityWorker, run_together

ORDERS = {b"s": Order.STOP, b"r": Order.REPORT}
LOADED, ACCEPTED = "loaded", "accepted"


class SupervisedInbox:
    """Orders from the channel; of the process's own signals only SIGUSR1 is one."""

    def __init__(self, signals: SignalInbox, channel: socket.socket) -> None:
        self._signals = signals
        self._channel = channel
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
        return orders

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


class _FirstPoll:
    """Tells the supervisor that the service has accepted this worker."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._told = False

    def observe(self, record: Observation) -> None:
        if isinstance(record, PollSucceeded) and not self._told:
            self._told = True
            tell(self._channel, ACCEPTED)


def run_supervised(descriptor: int, load: Callable[[], list[ActivityWorker]]) -> int:
    """Run workers on the orders that come through ``descriptor``."""
    for number in STOPS:
        signal.signal(number, noted)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)  # the supervisor started us with them held
    os.set_inheritable(descriptor, False)
    with socket.socket(fileno=descriptor) as channel:
        workers = load()
        for worker in workers:
            worker.configure({"observers": [*worker.observers, _FirstPoll(channel)]})
        tell(channel, f"{LOADED} {_longest_stop(workers)}")

        @contextmanager
        def orders() -> Iterator[Inbox]:
            with signal_inbox() as signals:
                inbox = SupervisedInbox(signals, channel)
                try:
                    yield inbox
                finally:
                    inbox.close()

        return run_together(workers, orders)


def tell(channel: socket.socket, message: str) -> None:
    """Say a line to the supervisor, who may be gone."""
    with suppress(OSError):
        channel.sendall(f"{message}\n".encode())


def _longest_stop(workers: Sequence[ActivityWorker]) -> float:
    drain = max(worker.drain_timeout for worker in workers)
    return max(POLL_LIMIT, drain) + max(w.cancel_grace for w in workers) + LAST_ANSWERS
