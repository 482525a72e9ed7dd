"""The direct way of a call: boto3 says where to and as whom, botocore signs, urllib3 sends.

What boto3's client does beside that (events, endpoint rules, parameters and answers by the model,
retries) is nothing that SWF needs of it; it is most of a call's time. Connections, TLS and timeouts
are set up as botocore sets them up. ``direct_or_boto3.py`` says when this way is not taken.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import uuid4

import urllib3
from botocore import exceptions as botocore_errors
from botocore.auth import AUTH_TYPE_MAPS
from botocore.awsrequest import AWSRequest
from botocore.httpsession import create_urllib3_context, get_cert_path
from botocore.retries import standard
from urllib3 import exceptions as errors
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.util import Url, parse_url

from .answers import read
from .attempts import current
from .connections import FollowedConnection
from .credentials import CredentialsOfCalls

if TYPE_CHECKING:
    from types_boto3_swf import SWFClient
    from urllib3 import BaseHTTPResponse

_ONCE = urllib3.Retry(False, redirect=False)
_SAYS_MAX = hasattr(standard, "MaxAttemptsSeeder")  # a later botocore than 1.40.0
_UNSIGNED = {"amz-sdk-request": "attempt=1; max=1" if _SAYS_MAX else "attempt=1"}
"""botocore adds it when a request is signed."""


class _Connection(FollowedConnection, HTTPConnection):
    pass


class _TlsConnection(FollowedConnection, HTTPSConnection):
    pass


class _Request(AWSRequest):
    """One whose body is prepared: it is bytes."""

    body: Any = property(attrgetter("data"))
    """As it is sent, for the signer."""


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


class DirectCalls:
    """Calls with connections of their own, at most ``users`` kept; each is sent once.

    ``client`` says where and how: its endpoint, region and timeouts. ``ca_bundle`` is a file of
    certificates to believe in place of botocore's.
    """

    def __init__(
        self,
        client: SWFClient,
        credentials: CredentialsOfCalls,
        *,
        user_agent: str,
        read_timeout: float,
        users: int,
        ca_bundle: str | None,
    ) -> None:
        model = client.meta.service_model
        said = model.metadata
        self._credentials = credentials
        self._model = model
        self._scope = (model.signing_name, client.meta.region_name)
        self._signer: Any = AUTH_TYPE_MAPS["v4"]
        self._prefix = str(said["targetPrefix"])
        endpoint = urlsplit(client.meta.endpoint_url)
        self._url = endpoint._replace(path=endpoint.path or "/").geturl()
        where = parse_url(self._url)  # it knows IPv6 and its zones
        self._target = where.request_uri
        config: Any = client.meta.config
        self._headers = {
            "Host": _host(where),
            "Content-Type": f"application/x-amz-json-{said['jsonVersion']}",
            "User-Agent": user_agent,
        }
        self._operations: dict[str, tuple[str, bool]] = {}
        self._new_pool = _pool_of(where, config, read_timeout, users, ca_bundle)
        self._pool: HTTPConnectionPool = self._new_pool()

    def call(self, operation: str, members: dict[str, Any]) -> dict[str, Any]:
        """One attempt. Raises as boto3's client does."""
        name, has_output = self._operations.get(operation) or self._known(operation)
        request = _Request(
            "POST",
            self._url,
            self._headers | {"X-Amz-Target": name},
            data=json.dumps(members).encode(),  # byte for byte what botocore sends
        )
        self._signer(self._credentials.get_frozen_credentials(), *self._scope).add_auth(request)
        headers = dict(request.headers.items()) | _UNSIGNED
        headers["amz-sdk-invocation-id"] = str(uuid4())
        try:
            answer = self._sent(request.data, headers)
            body = b"".join(answer.stream())
        except Exception as error:
            raise _as_botocore(error, request) from error
        if (attempt := current.attempt) is not None:
            # It may be somebody else's now. (One that failed isn't: the attempt may blame it.)
            attempt.connection = None
        return read(operation, has_output, answer.status, answer.headers, body)

    def _sent(self, body: Any, headers: dict[str, str]) -> BaseHTTPResponse:
        while True:
            pool = self._pool
            try:
                return pool.urlopen(
                    "POST",
                    self._target,
                    body=body,
                    headers=headers,
                    retries=_ONCE,
                    redirect=False,
                    assert_same_host=False,
                    # As botocore: a body is read piece by piece, whatever length was promised, and
                    # who parses it finds what is missing. (SWF has said 200: nothing is to be sent
                    # again.)
                    preload_content=False,
                    decode_content=False,
                    enforce_content_length=False,
                )
            except errors.ClosedPoolError:  # just now, before it had a connection
                if pool is self._pool:
                    raise

    def _known(self, operation: str) -> tuple[str, bool]:
        has_output = self._model.operation_model(operation).output_shape is not None
        known = self._operations[operation] = (f"{self._prefix}.{operation}", has_output)
        return known

    def close(self) -> None:
        """Close the connections that are idle. (A call after it opens a new one, as botocore's
        do.)"""
        pool, self._pool = self._pool, self._new_pool()
        pool.close()


def _host(url: Url) -> str:
    """As http.client sends it, and botocore signs it: without a port where that is the scheme's."""
    port = {"http": 80, "https": 443}[url.scheme or "http"]
    return url.host or "" if url.port in (None, port) else f"{url.host}:{url.port}"


def _pool_of(
    url: Url, config: Any, read_timeout: float, users: int, ca_bundle: str | None
) -> Callable[[], HTTPConnectionPool]:
    options = [*HTTPConnection.default_socket_options]
    if config.tcp_keepalive:
        options.append((socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1))
    common: dict[str, Any] = {
        "port": url.port or (443 if url.scheme == "https" else 80),
        "timeout": urllib3.Timeout(connect=config.connect_timeout, read=read_timeout),
        "maxsize": users,
        "socket_options": options,
    }
    if url.scheme != "https":
        return partial(_Pool, url.host or "", **common)
    return partial(
        _TlsPool,
        url.host or "",
        ssl_context=create_urllib3_context(),
        cert_reqs="CERT_REQUIRED",
        ca_certs=get_cert_path(ca_bundle or True),  # type: ignore[arg-type]
        **common,
    )


def _as_botocore(error: Exception, request: AWSRequest) -> Exception:
    """The error that botocore would raise."""
    url = str(request.url)
    match error:
        case errors.SSLError():
            return botocore_errors.SSLError(endpoint_url=url, error=error)
        case errors.NewConnectionError():
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
