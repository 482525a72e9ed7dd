"""The way of a signed request through urllib3, with fewer layers than botocore's own.

botocore serializes, signs and parses; its public ``before-send`` event lets us send. Pools,
connections, TLS and timeouts are urllib3's, set up as botocore sets them up. Where anything is
configured that this way doesn't carry (a proxy, a client's certificate, a session of the user's
own, somebody else's handler of that event) botocore's own way is taken.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import urllib3
from botocore import awsrequest, httpsession
from botocore import exceptions as botocore_errors
from botocore.awsrequest import AWSPreparedRequest, AWSRequest, AWSResponse
from botocore.httpsession import create_urllib3_context, get_cert_path
from botocore.session import Session
from botocore.utils import get_environ_proxies
from urllib3 import exceptions as errors
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.util import parse_url

from .limits import Followed, leave_connection

if TYPE_CHECKING:
    from types_boto3_swf import SWFClient


class _Connection(Followed, HTTPConnection):
    pass


class _TlsConnection(Followed, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


class Transport:
    """One client's connections."""

    def __init__(self, client: SWFClient, ca_bundle: str | None) -> None:
        config: Any = client.meta.config
        self._origin = origin = _origin(client.meta.endpoint_url)
        self._known = ("", "")
        """The last request's address and its target; in one piece, for threads."""
        options = [*HTTPConnection.default_socket_options]
        if config.tcp_keepalive:
            options.append((socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1))
        common: dict[str, Any] = {
            "port": origin.port,
            "timeout": urllib3.Timeout(connect=config.connect_timeout, read=config.read_timeout),
            "maxsize": config.max_pool_connections,
            "socket_options": options,
        }
        if origin.scheme == "https":
            common |= {
                "ssl_context": create_urllib3_context(),
                "cert_reqs": "CERT_REQUIRED",
                "ca_certs": get_cert_path(ca_bundle or True),  # type: ignore[arg-type]
            }
        kind = _TlsPool if origin.scheme == "https" else _Pool
        self._new_pool: Callable[[], HTTPConnectionPool] = partial(kind, origin.host, **common)
        self._pool: HTTPConnectionPool = self._new_pool()

    def send(self, request: AWSPreparedRequest, **_: Any) -> Any:
        """Send one request, once; raises botocore's errors. (A handler of ``before-send``.)"""
        target = self._target(request.url)
        if target is None:
            return None
        try:
            answer = self._pool.urlopen(
                request.method,
                target,
                body=request.body,  # type: ignore[arg-type]
                headers=dict(request.headers.items()),
                retries=False,
                redirect=False,
                assert_same_host=False,
                # As botocore: a body is read piece by piece, whatever length was promised, and the
                # parser finds what is missing. (SWF has said 200: nothing is to be sent again.)
                preload_content=False,
                decode_content=False,
                enforce_content_length=False,
            )
            response = _Response(request.url, answer)
        except Exception as error:
            raise _as_botocore(error, request) from error
        leave_connection()  # one that failed is nobody else's: the attempt may blame it
        return response

    def _target(self, url: str) -> str | None:
        """What to ask our host for; None for another host, which endpoint rules may name."""
        known, target = self._known
        if url != known:
            if _origin(url) != self._origin:
                return None
            target = parse_url(url).request_uri
            self._known = (url, target)
        return target

    def close(self) -> None:
        """Close the connections that are idle. (A request after it opens a new one, as
        botocore's do.)"""
        pool, self._pool = self._pool, self._new_pool()
        pool.close()


class _Response(AWSResponse):
    """A response that was read whole."""

    def __init__(self, url: str, answer: Any) -> None:
        self.url = url
        self.status_code = answer.status
        self.headers = answer.headers  # its names know no case, as botocore's
        self.raw = answer
        self._body = b"".join(answer.stream())

    @property
    def content(self) -> bytes:
        """The body."""
        return self._body


class _Origin(NamedTuple):
    scheme: str
    host: str
    port: int


def _origin(url: str) -> _Origin:
    parsed = parse_url(url)  # it knows IPv6 and its zones
    scheme = parsed.scheme or "http"
    return _Origin(scheme, parsed.host or "", parsed.port or (443 if scheme == "https" else 80))


def _as_botocore(error: Exception, request: AWSPreparedRequest) -> Exception:
    """The error that botocore would raise."""
    url = request.url
    match error:
        case errors.SSLError():
            return botocore_errors.SSLError(endpoint_url=url, error=error)
        case errors.NewConnectionError() | socket.gaierror():
            return botocore_errors.EndpointConnectionError(endpoint_url=url, error=error)
        case errors.ConnectTimeoutError():
            return botocore_errors.ConnectTimeoutError(endpoint_url=url, error=error)
        case errors.ReadTimeoutError():
            return botocore_errors.ReadTimeoutError(endpoint_url=url, error=error)
        case errors.ProtocolError():
            return botocore_errors.ConnectionClosedError(
                error=error, request=request, endpoint_url=url
            )
    return botocore_errors.HTTPClientError(error=error)


def configured_bundle() -> str | None:
    """The file of certificates that is configured, looked for where botocore looks for it."""
    found: str | None = Session().get_config_variable("ca_bundle")
    return found or os.environ.get("REQUESTS_CA_BUNDLE")


def install(client: SWFClient, ca_bundle: str | None) -> Transport | None:
    """Have the requests of ``client`` sent by a Transport, where that carries all that is set."""
    if not _is_carried(client):
        return None
    transport = Transport(client, ca_bundle)
    client.meta.events.register_last("before-send.swf", transport.send)
    return transport


def _is_patched() -> bool:
    """Whether somebody has put something in the place of botocore's own sending: a recorder, a
    tracer, a test's mock. It is to see each call."""
    sends: Any = httpsession.URLLib3Session.send
    connections = (awsrequest.AWSHTTPConnection, awsrequest.AWSHTTPSConnection)
    theirs = (httpsession.__name__, "URLLib3Session.send")
    if (sends.__module__, sends.__qualname__) != theirs or hasattr(sends, "__wrapped__"):
        return True
    return any(each.__module__ != awsrequest.__name__ for each in connections)


def _is_carried(client: SWFClient) -> bool:
    config: Any = client.meta.config
    url = client.meta.endpoint_url
    if _is_patched():
        return False
    if config.client_cert or config.proxies_config or config.proxies:
        return False
    if config.proxies is None and get_environ_proxies(url):
        return False
    # moto in this process, or a recorder: it answers instead of the network.
    probe = AWSRequest(method="POST", url="https://swf.invalid/", headers={}, data=b"").prepare()
    return not client.meta.events.emit("before-send.swf.ListDomains", request=probe)
