"""A TCP proxy between a worker and a local SWF, whose network can be made bad at will."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import urlsplit

Behaviour = Callable[["Connection"], None]


@dataclass(eq=False)
class Connection:
    """One client's connection, and ours to the service."""

    client: socket.socket
    service: socket.socket
    proxy: Proxy
    ended: threading.Event = field(default_factory=threading.Event)

    def upward(self) -> None:
        """What the client sends."""
        self._pump(self.client, self.service)
        with suppress(OSError):
            self.service.shutdown(socket.SHUT_WR)  # the client has gone: so ends the other side

    def downward(self, limit: int | None = None, gap: float = 0.0, size: int = 65_536) -> None:
        """What the service answers: ``limit`` bytes of it, ``size`` at a time, with a gap."""
        self._pump(self.service, self.client, limit, gap, size)

    def _pump(
        self,
        source: socket.socket,
        sink: socket.socket,
        limit: int | None = None,
        gap: float = 0.0,
        size: int = 65_536,
    ) -> None:
        sent = 0
        with suppress(OSError):
            while data := source.recv(size if limit is None else min(size, limit - sent)):
                if gap and self.ended.wait(gap):
                    return
                sink.sendall(data)
                sent += len(data)
                if limit is not None and sent >= limit:
                    return

    def reset(self) -> None:
        """End it with a reset."""
        with suppress(OSError):
            self.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
            self.client.close()

    def close(self) -> None:
        """End both sides."""
        self.ended.set()
        for each in (self.client, self.service):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()


def healthy(connection: Connection) -> None:
    """Pass everything on."""
    connection.proxy.start(connection.upward)
    connection.downward()


def resets(connection: Connection) -> None:
    """Take the request, and reset."""
    connection.client.recv(65_536)
    connection.reset()


def half_closes(connection: Connection) -> None:
    """Take the request, and say no more, politely."""
    connection.client.recv(65_536)
    connection.client.shutdown(socket.SHUT_WR)
    connection.ended.wait(30)


def black_hole(connection: Connection) -> None:
    """Take everything, say nothing."""
    connection.ended.wait(60)


def trickles(gap: float) -> Behaviour:
    """Answer a byte at a time."""

    def behave(connection: Connection) -> None:
        connection.proxy.start(connection.upward)
        connection.downward(gap=gap, size=1)

    return behave


def cuts_at(count: int) -> Behaviour:
    """End after so many bytes of the answer."""

    def behave(connection: Connection) -> None:
        connection.proxy.start(connection.upward)
        connection.downward(limit=count)

    return behave


def slow(seconds: float) -> Behaviour:
    """Latency, each way of each piece."""

    def behave(connection: Connection) -> None:
        connection.proxy.start(connection.upward)
        connection.downward(gap=seconds)

    return behave


def loses_the_answer(connection: Connection) -> None:
    """Pass the request on, wait for the answer, and end without it."""
    connection.proxy.start(connection.upward)
    with suppress(OSError):
        connection.service.recv(65_536)


class Proxy:
    """Listens on loopback; ``behaviour`` is that of the connections to come."""

    def __init__(self, endpoint_url: str) -> None:
        split = urlsplit(endpoint_url)
        self._service = (split.hostname, split.port)
        self.behaviour: Behaviour = healthy
        self.accepted = 0
        self._cuts = 0
        self._connections: set[Connection] = set()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._listener: socket.socket | None = None
        self._port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def listens(self) -> bool:
        return self._listener is not None

    def __enter__(self) -> Self:
        self.up()
        return self

    def __exit__(self, *_: object) -> None:
        self.down()
        for thread in self._threads:
            thread.join(10)

    def up(self) -> None:
        """Listen (again, on the same port)."""
        self._listener = socket.create_server(("127.0.0.1", self._port), backlog=64)
        self._port = self._listener.getsockname()[1]
        self.start(self._accept, self._listener)

    def down(self) -> None:
        """Refuse connections, and end those there are."""
        listener, self._listener = self._listener, None
        if listener is not None:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        self.cut()

    def cut(self) -> None:
        """End the connections there are."""
        with self._lock:
            self._cuts += 1
            connections, self._connections = self._connections, set()
        for connection in connections:
            connection.close()

    def become(self, behaviour: Behaviour) -> None:
        """From now on, for every connection: those there are end."""
        self.behaviour = behaviour
        self.cut()

    def start(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        with self._lock:
            self._threads = [each for each in self._threads if each.is_alive()]
            self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                self.accepted += 1
                self.start(self._serve, client, self.behaviour, self._cuts)

    def _serve(self, client: socket.socket, behaviour: Behaviour, cuts: int) -> None:
        try:
            service = socket.create_connection(self._service)
        except OSError:
            client.close()
            return
        connection = Connection(client, service, self)
        with self._lock:
            was_cut = cuts != self._cuts  # just before it was known
            self._connections.add(connection)
        try:
            with suppress(OSError):
                if not was_cut:
                    behaviour(connection)
        finally:
            with self._lock:
                self._connections.discard(connection)
            connection.close()
