"""The service manager's socket: systemd's, or that of one that does as it does.

The protocol is a datagram of ``NAME=value`` lines. It is promised to stay so, and small enough to
be spoken here: libsystemd's own client is no pure Python.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Mapping, MutableMapping
from typing import Protocol

NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID = "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"


class Manager(Protocol):
    """Whoever started the process and wants to hear of it."""

    @property
    def watchdog(self) -> float | None:
        """Seconds in which it wants to hear that the process is alive; None: it doesn't ask."""

    def tell(self, said: Mapping[str, str], /) -> None:
        """Say it. Never blocks. OSError where it can't be said."""


class ServiceManager:
    """The one behind ``NOTIFY_SOCKET``."""

    def __init__(self, address: str, watchdog: float | None = None) -> None:
        self.watchdog = watchdog
        self._address = address
        self._socket: socket.socket | None = None
        """Kept: a process that runs out of descriptors goes on giving signs of life."""

    def tell(self, said: Mapping[str, str]) -> None:
        """Say it. Never blocks. OSError where it can't be said; VM sockets (``vsock:``) are not
        spoken."""
        if self._address[:1] not in ("/", "@"):
            raise OSError(errno.EAFNOSUPPORT, "only Unix sockets are spoken", self._address)
        if self._socket is None:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._socket.setblocking(False)
        message = "".join(f"{name}={' '.join(value.split())}\n" for name, value in said.items())
        address = self._address
        if address.startswith("@"):  # in the kernel's own namespace
            address = f"\0{address[1:]}"
        self._socket.sendto(message.encode(), address)


def taken_from(environ: MutableMapping[str, str]) -> ServiceManager | None:
    """The one that the environment names, if it does. The variables are taken away: this process
    speaks for the service, and no handler, child or program of a handler's is to."""
    address = environ.pop(NOTIFY_SOCKET, None)
    microseconds, pid = environ.pop(WATCHDOG_USEC, ""), environ.pop(WATCHDOG_PID, "")
    if not address:
        return None
    ours = not pid or pid == str(os.getpid())
    asked = ours and microseconds.isascii() and microseconds.isdigit() and int(microseconds) > 0
    return ServiceManager(address, int(microseconds) / 1e6 if asked else None)
