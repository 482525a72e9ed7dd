"""An overall limit for each attempt.

botocore's read timeout starts anew with every byte, so an answer that trickles outlasts it.
Here a timer cuts the attempt's connection instead: the blocked read ends at once, with an error.
The connection is found through urllib3's documented pool classes: our transport has its own.
Where botocore's own way is taken (see ``transport``) it lets nobody set them from outside: two
private attributes of its session are needed for it. Where they are gone, the limits are off and
``install`` says so (a test of ours fails then).
"""

from __future__ import annotations

import socket
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

from botocore import awsrequest
from botocore.awsrequest import (
    AWSHTTPConnection,
    AWSHTTPConnectionPool,
    AWSHTTPSConnection,
    AWSHTTPSConnectionPool,
)
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from . import addresses
from .api import Timers

if TYPE_CHECKING:
    from types_boto3_swf import SWFClient

_current = threading.local()


class Attempt:
    """One attempt of a call, on this thread, of ``seconds`` at most; in ``running`` meanwhile."""

    __slots__ = ("_connection", "_running", "_timer", "cut_short")

    def __init__(self, timers: Timers, seconds: float, running: set[Attempt]) -> None:
        self.cut_short = False
        self._connection: Any = None
        self._running = running
        self._timer = timers.call_later(seconds, self.cut)

    def __enter__(self) -> Self:
        self._running.add(self)
        _current.attempt = self
        return self

    def __exit__(self, *_: object) -> None:
        _current.attempt = None
        self._running.discard(self)
        self._connection = None  # an error that is kept must not keep its socket open
        self._timer.cancel()

    def uses(self, connection: Any) -> None:
        """The attempt is about to read and write on this connection."""
        self._connection = connection
        if self.cut_short:
            raise TimeoutError("the attempt's time was over before its request left")

    def leave(self) -> None:
        """It needs its connection no more."""
        self._connection = None

    def blame(self) -> None:
        """Nobody answered on this connection: the next one is to another address of the host."""
        reached = getattr(self._connection, "_reached", None)
        if reached is not None:
            addresses.NAMES.was_bad(*reached)

    def cut(self) -> None:
        """The time is over: end whatever the attempt is blocked in."""
        self.cut_short = True
        self.blame()
        sock = getattr(self._connection, "sock", None)
        if isinstance(sock, socket.socket):
            with suppress(OSError):
                # The plain socket's shutdown, also under TLS: no handshake with a slow peer.
                socket.socket.shutdown(sock, socket.SHUT_RDWR)


def leave_connection() -> None:
    """This thread's attempt has read its answer: the connection may be somebody else's now."""
    attempt = getattr(_current, "attempt", None)
    if attempt is not None:
        attempt.leave()


class Followed:
    """Tells the thread's attempt which connection it is on."""

    _reached: tuple[addresses.Key, addresses.Address] | None = None

    def connect(self) -> None:
        self._follow()
        super().connect()  # type: ignore[misc]

    def request(self, *args: Any, **kwargs: Any) -> Any:
        self._follow()
        return super().request(*args, **kwargs)  # type: ignore[misc]

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
        except TimeoutError as error:
            raise ConnectTimeoutError(here, f"{here.host}: {error}") from error
        except OSError as error:
            raise NewConnectionError(here, f"{here.host}: {error}") from error
        sys.audit("http.client.connect", self, here.host, here.port)
        return sock

    def _follow(self) -> None:
        attempt = getattr(_current, "attempt", None)
        if attempt is not None:
            attempt.uses(self)


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
