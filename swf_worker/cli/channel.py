"""The channel between a supervisor and its worker processes: requests down, news up.

A worker process doesn't stop at SIGTERM, SIGINT or SIGHUP: terminals and systemd signal the whole
process group, so each signal comes to the supervisor as well, which passes one step
on to all. Where the channel ends, the supervisor is gone: the worker then drains as after SIGTERM.
"""

from __future__ import annotations

import os
import selectors
import socket
from collections.abc import Iterator, Mapping
from contextlib import suppress

from ..clock import now
from ..runtime.stopping.signals import REPORT, SAME_SIGNAL, STOPS, ControlRequest, SignalInbox

CHANNEL = "_SWF_WORKER_CHANNEL"
"""The environment variable that names the channel's descriptor. Not a flag: whoever has it must
never take itself for a supervisor, whatever its arguments say."""
STATUS_LINE = "_SWF_WORKER_STATUS"
"""The same of the status line's (``status_line.py``)."""
HELD = (*STOPS, REPORT)
"""Signals that are held while a worker process starts, until it has handlers of its own."""
REQUESTS = {b"s": ControlRequest.STOP, b"r": ControlRequest.REPORT}
LOADED, POLLING, SERVED, ACCEPTED = "loaded", "polling", "served", "accepted"
FATAL, HEALTH = "fatal", "health"


def is_supervised() -> bool:
    """Whether this process has a supervisor, before it has taken the channel."""
    return CHANNEL in os.environ


def channel_to_supervisor() -> socket.socket | None:
    """The channel to this process's supervisor, if it has one. What it starts has none."""
    return _taken(CHANNEL)


def line_to_supervisor() -> socket.socket | None:
    """The line by which the supervisor asks what this process does."""
    return _taken(STATUS_LINE)


def _taken(variable: str) -> socket.socket | None:
    descriptor = os.environ.pop(variable, None)
    if descriptor is None:
        return None
    os.set_inheritable(int(descriptor), False)
    return socket.socket(fileno=int(descriptor))


def tell(channel: socket.socket, message: str) -> None:
    """Say a line to the supervisor, who may be gone."""
    with suppress(OSError):
        channel.sendall(f"{message}\n".encode())


class SupervisorAsManager:
    """The supervisor, to whom a worker process tells what it would tell a service manager: that SWF
    takes its polls. The supervisor alone speaks for the service."""

    watchdog = None

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel

    def tell(self, said: Mapping[str, str]) -> None:
        """Pass on that it is ready."""
        if "READY" in said:
            tell(self._channel, SERVED)


class SupervisedInbox:
    """Requests from the channel. Of the process's own signals SIGUSR1 alone, once it polls."""

    def __init__(self, signals: SignalInbox, channel: socket.socket) -> None:
        self._signals = signals
        self._channel = channel
        self._reported_at = -SAME_SIGNAL
        self._selector = selectors.DefaultSelector()
        self._selector.register(signals, selectors.EVENT_READ)
        self._selector.register(channel, selectors.EVENT_READ)

    @property
    def starting(self) -> bool:
        """As the signals'."""
        return self._signals.starting

    @starting.setter
    def starting(self, value: bool) -> None:
        self._signals.starting = value

    @property
    def stopped(self) -> bool:
        """Before the first poll a signal counts, whoever else gets it."""
        return self._signals.early

    @property
    def early(self) -> bool:
        """As the signals'."""
        return self._signals.early

    def take_signals(self) -> None:
        """The start is over: polls are about to be opened."""
        self._signals.take_signals()
        tell(self._channel, POLLING)

    def __iter__(self) -> Iterator[ControlRequest]:
        while not self._signals.ended:
            yield from self._ready()

    def _ready(self) -> list[ControlRequest]:
        requests: list[ControlRequest] = []
        for key, _ in self._selector.select():
            if key.fileobj is self._signals:
                starting = self._signals.starting
                requests += [
                    o for o in self._signals.take() if starting or o is ControlRequest.REPORT
                ]
            else:
                requests += self._from_channel()
        return [
            request
            for request in requests
            if request is not ControlRequest.REPORT or self._is_new_report()
        ]

    def _is_new_report(self) -> bool:
        """A SIGUSR1 to the whole group comes here, and through the supervisor once more."""
        before, self._reported_at = self._reported_at, now()
        return self._reported_at - before >= SAME_SIGNAL

    def _from_channel(self) -> list[ControlRequest]:
        try:
            said = self._channel.recv(64)
        except OSError:
            said = b""
        if said:
            return [REQUESTS[bytes([byte])] for byte in said]
        self._selector.unregister(self._channel)
        return [ControlRequest.STOP_ONCE]

    def end(self) -> None:
        """End the iteration; from any thread."""
        self._signals.end()
