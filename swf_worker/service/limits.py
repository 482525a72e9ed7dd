"""An overall limit for each attempt.

botocore's read timeout starts anew with every byte, so an answer that trickles outlasts it.
Here the attempt's connection is cut instead: the blocked read ends at once, with an error.
The connection is found through urllib3's documented pool classes: the direct way has its own.
boto3's client lets nobody set them from outside: two private attributes of its session are needed
for it. Where they are gone, the limits are off and ``install`` says so (a test of ours fails then).

To connect has a limit of its own, and its time isn't taken from the attempt's.
"""

from __future__ import annotations

import socket
import ssl
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from math import inf
from typing import TYPE_CHECKING, Any, NoReturn

from botocore import awsrequest
from botocore.awsrequest import (
    AWSHTTPConnection,
    AWSHTTPConnectionPool,
    AWSHTTPSConnection,
    AWSHTTPSConnectionPool,
)
from urllib3.connection import HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError

from ..clock import now
from . import addresses
from .api import Overtime, Timers

if TYPE_CHECKING:
    from types_boto3_swf import SWFClient

CONNECT_LIMIT = 10.0
"""Seconds to look a name up, to connect and to agree on TLS; each step has less."""


_BROKEN_OFF = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)
"""Nothing that certificates could mend."""


class _Current(threading.local):
    """What this thread is at."""

    attempt: Attempt | None = None
    attempts: Attempts


current = _Current()


class Attempt:
    """One attempt of a call, on one thread."""

    seconds: float
    until: float
    overtime: Overtime | None = None
    close_idle: Callable[[], None] | None = None
    connection: Any = None
    cut_short = False
    sent: bool | None = None
    """Whether its request may have left; None where nobody can tell."""

    def goes_on(self) -> bool:
        """Its time is over: whether it is given more. What goes out beside it takes a fresh
        connection: what died in silence on the way may have taken all that were kept."""
        if self.overtime is None or not self.sent:
            return False
        if self.close_idle is not None:
            self.blame()
            self.close_idle()
            self.close_idle = None
        more = self.overtime()
        self.until += more
        self.seconds += more
        return more > 0

    def blame(self) -> None:
        """Nobody answered on this connection: the next one is to another address of the host."""
        blame = getattr(self.connection, "blame", None)
        if blame is not None:
            blame()

    def cut(self) -> None:
        """The time is over: end whatever the attempt is blocked in."""
        self.cut_short = True
        self.blame()
        connection = self.connection
        for name in ("sock", "_beneath"):
            sock = getattr(connection, name, None)
            if isinstance(sock, socket.socket):
                with suppress(OSError):
                    # The plain socket's shutdown, also under TLS: no handshake with a slow peer.
                    socket.socket.shutdown(sock, socket.SHUT_RDWR)


class Attempts:
    """Those that run now. One timer watches the one whose time is over first."""

    def __init__(self, timers: Timers) -> None:
        self._timers = timers
        self._running: set[Attempt] = set()
        self._watched = inf
        """When the timer looks; inf for no timer."""
        self._lock = threading.Lock()
        self._closed = False

    def begin(
        self,
        seconds: float,
        overtime: Overtime | None = None,
        close_idle: Callable[[], None] | None = None,
    ) -> Attempt:
        """One of this thread, of ``seconds`` at most, or more where it is given overtime."""
        attempt = Attempt()
        attempt.seconds, attempt.until = seconds, now() + seconds
        if overtime is not None:
            attempt.overtime, attempt.close_idle = overtime, close_idle
        self._running.add(attempt)
        current.attempts, current.attempt = self, attempt
        if attempt.until < self._watched:
            self._watch(attempt.until)
        if self._closed:
            attempt.cut()
        return attempt

    def end(self, attempt: Attempt) -> None:
        """It is over."""
        current.attempt = None
        self._running.discard(attempt)
        attempt.connection = None  # an error that is kept must not keep its socket open

    def give(self, attempt: Attempt, seconds: float) -> None:
        """It has so many seconds from now."""
        attempt.until = now() + seconds
        if attempt.until < self._watched:
            self._watch(attempt.until)

    def close(self) -> None:
        """Cut those that run, and those that are about to."""
        self._closed = True
        for attempt in list(self._running):
            attempt.cut()

    def _watch(self, until: float) -> None:
        with self._lock:
            if until < self._watched:
                self._watched = until
                self._timers.call_later(until - now(), self._look)

    def _look(self) -> None:
        with self._lock:
            self._watched = inf  # before the look: who begins now is seen by it, or sees this
        moment, following = now(), inf
        for attempt in list(self._running):
            if attempt.cut_short:
                continue
            if attempt.until > moment or _goes_on(attempt):
                following = min(following, attempt.until)
            else:
                attempt.cut()
        if following < inf:
            self._watch(following)


def _goes_on(attempt: Attempt) -> bool:
    try:
        return attempt.goes_on()
    except Exception:  # others' time is watched here, too
        return False


class Followed:
    """A connection that tells the thread's attempt that it is on it, and sends a request's head and
    body in one piece: one packet, one record of TLS."""

    _reached: tuple[addresses.Key, addresses.Address] | None = None
    _beneath: socket.socket | None = None
    """While TLS is agreed on, another handle of the socket: ssl takes the plain one's away."""
    _pieces: list[bytes] | None = None
    """Of the request that is being put together."""

    def connect(self) -> None:
        """As urllib3's. What fails here was never sent."""
        attempt = current.attempt
        if attempt is None:
            super().connect()  # type: ignore[misc]
            return
        attempt.connection, attempt.sent, self._reached = self, False, None
        current.attempts.give(attempt, max(CONNECT_LIMIT, attempt.seconds))
        try:
            self._while_there_is_time(attempt)
            super().connect()  # type: ignore[misc]
            self._while_there_is_time(attempt)
        except BaseException as error:
            self.blame()  # it took the connection, and no more
            broken_off = not isinstance(error, ssl.SSLError) or isinstance(error, _BROKEN_OFF)
            if isinstance(error, HTTPError) or not isinstance(error, OSError) or not broken_off:
                raise
            self._not_connected(OSError(f"TLS handshake: {error or type(error).__name__}"))
        finally:
            if self._beneath is not None:
                self._beneath.close()
                self._beneath = None
        attempt.sent = True
        current.attempts.give(attempt, attempt.seconds)

    def blame(self) -> None:
        """Its address comes last from now on."""
        if self._reached is not None:
            addresses.NAMES.was_bad(*self._reached)

    def _while_there_is_time(self, attempt: Attempt) -> None:
        if attempt.cut_short:
            self._not_connected(TimeoutError("the time to connect was over"))

    def request(self, *args: Any, **kwargs: Any) -> None:
        """As urllib3's; connects first where nothing is connected yet."""
        attempt = current.attempt
        if attempt is not None:
            attempt.connection = self
            if attempt.cut_short:
                attempt.sent = False
                raise TimeoutError("the attempt's time was over before its request left")
            attempt.sent = True
        pieces: list[bytes] = []
        self._pieces = pieces
        try:
            super().request(*args, **kwargs)  # type: ignore[misc]
        finally:
            self._pieces = None
        super().send(b"".join(pieces))  # type: ignore[misc]

    def send(self, data: Any) -> None:
        """As http.client's, or when the request is whole."""
        if self._pieces is None:
            super().send(data)  # type: ignore[misc]
        else:
            self._pieces.append(data)

    def _not_connected(self, error: OSError) -> NoReturn:
        here: Any = self
        kind = ConnectTimeoutError if isinstance(error, TimeoutError) else NewConnectionError
        raise kind(here, f"{here.host}: {error}") from error

    def _new_conn(self) -> socket.socket:
        """As urllib3's, with addresses tried beside each other and look-ups that may hang."""
        here: Any = self
        self._reached = None
        host = getattr(here, "_dns_host", here.host).strip("[]")
        try:
            seconds = here.timeout if isinstance(here.timeout, (int, float)) else None
            sock, self._reached = addresses.connect(
                (host, here.port), seconds, here.socket_options or (), here.source_address
            )
        except OSError as error:
            self._not_connected(error)
        if isinstance(self, HTTPSConnection) and current.attempt is not None:
            self._beneath = sock.dup()
            if current.attempt.cut_short:
                sock.close()
                self._while_there_is_time(current.attempt)
        sys.audit("http.client.connect", self, here.host, here.port)
        return sock


class _Connection(Followed, AWSHTTPConnection):  # type: ignore[misc]
    pass


class _TlsConnection(Followed, AWSHTTPSConnection):  # type: ignore[misc]
    pass


class _Pool(AWSHTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(AWSHTTPSConnectionPool):
    ConnectionCls = _TlsConnection


def install(client: SWFClient) -> bool:
    """Let attempts on ``client`` be cut; False where this botocore doesn't allow it."""
    session = getattr(getattr(client, "_endpoint", None), "http_session", None)
    pools = getattr(session, "_pool_classes_by_scheme", None)
    manager = getattr(session, "_manager", None)
    if not isinstance(pools, dict) or manager is None:
        return False
    kinds = (awsrequest.AWSHTTPConnection, AWSHTTPConnectionPool.ConnectionCls, AWSHTTPConnection)
    if any(kind.__module__ != awsrequest.__name__ for kind in kinds):
        return False  # a recorder is in its place
    pools.update(http=_Pool, https=_TlsPool)  # also what its proxy managers take theirs from
    manager.pool_classes_by_scheme = pools
    return True
