"""Connections that attempts of calls can be followed on, and cut.

They are found through urllib3's documented pool classes: the direct way has its own. boto3's client
lets nobody set them from outside: two private attributes of its session are needed for it. Where
they are gone, the limits are off and ``install`` says so (a test of ours fails then).

To connect has a limit of its own, and its time isn't taken from the attempt's.
"""

from __future__ import annotations

import socket
import ssl
import sys
from contextlib import suppress
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

from . import addresses
from .attempts import Attempt, current

if TYPE_CHECKING:
    from types_boto3_swf import SWFClient

CONNECT_LIMIT = 10.0
"""Seconds to look a name up, to connect and to agree on TLS; each step has less."""
_BROKEN_OFF = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)
"""Nothing that certificates could mend."""


class FollowedConnection:
    """A connection that tells the thread's attempt that it is on it, and sends a request's head and
    body in one piece: one packet, one record of TLS."""

    _reached: tuple[addresses.Key, addresses.Address] | None = None
    _beneath: socket.socket | None = None
    """While TLS is agreed on, another handle of the socket: ssl takes the plain one's away."""
    _pieces: list[bytes] | None = None
    """Of the request that is being put together."""

    def connect(self) -> None:
        """As urllib3's. What fails here was never sent."""
        theirs: Any = super()
        attempt = current.attempt
        if attempt is None:
            theirs.connect()
            return
        attempt.connection, attempt.sent, self._reached = self, False, None
        current.attempts.give(attempt, max(CONNECT_LIMIT, attempt.seconds))
        try:
            self._while_there_is_time(attempt)
            theirs.connect()
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

    def cut(self) -> None:
        """End what is read from it and written to it."""
        for sock in (getattr(self, "sock", None), self._beneath):
            if isinstance(sock, socket.socket):
                with suppress(OSError):
                    # The plain socket's shutdown, also under TLS: no handshake with a slow peer.
                    socket.socket.shutdown(sock, socket.SHUT_RDWR)

    def _while_there_is_time(self, attempt: Attempt) -> None:
        if attempt.cut_short:
            self._not_connected(TimeoutError("the time to connect was over"))

    def request(self, *args: Any, **kwargs: Any) -> None:
        """As urllib3's; connects first where nothing is connected yet."""
        theirs: Any = super()
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
            theirs.request(*args, **kwargs)
        finally:
            self._pieces = None
        theirs.send(b"".join(pieces))

    def send(self, data: Any) -> None:
        """As http.client's, or when the request is whole."""
        theirs: Any = super()
        if self._pieces is None:
            theirs.send(data)
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


class _Connection(FollowedConnection, AWSHTTPConnection):  # type: ignore[misc]
    pass


class _TlsConnection(FollowedConnection, AWSHTTPSConnection):  # type: ignore[misc]
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
