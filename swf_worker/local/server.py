"""The HTTP front end: any SWF client in any language can use it. Loopback only."""

from __future__ import annotations

import errno
import json
import re
import socket
import threading
import uuid
from contextlib import suppress
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from ..clock import now
from ..errors import ConfigurationError
from .backend import REGION, LocalBackend
from .injection import OWN_AGENT, Answer, Injector
from .operations import answering

HOST = "127.0.0.1"
_LARGEST_REQUEST = 1_048_576
_LARGEST_DISCARD = 16 * _LARGEST_REQUEST
_CREDENTIAL = re.compile(r"Credential=[^/,\s]*/\d+/([\w-]+)/")
_JSON = "application/x-amz-json-1.0"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "swf-worker-local"
    disable_nagle_algorithm = True
    wbufsize = -1  # headers and body leave in one piece
    server: _Server

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit()) or "Transfer-Encoding" in self.headers:
            self.close_connection = True  # where the body ends is not known
            self._send(411, b'{"message": "Content-Length is needed"}')
            return
        if int(length) > _LARGEST_REQUEST:
            self.close_connection = True
            self._discard(min(int(length), _LARGEST_DISCARD))
            self._send(413, b'{"message": "requests are at most 1 MB"}')
            return
        self._answer(self.headers.get("X-Amz-Target", ""), self.rfile.read(int(length)))

    def handle_expect_100(self) -> bool:
        """A client that asked whether to send its body hears so before it does."""
        go_on = super().handle_expect_100()
        self.wfile.flush()
        return go_on

    def _answer(self, target: str, body: bytes) -> None:
        injector = self.server.injector
        kind, answer = None, None
        own = OWN_AGENT in self.headers.get("User-Agent", "")
        if not own:
            kind, answer = injector.before(target.rpartition(".")[2])
        if answer is None:
            status, told = answering.answer(
                self.server.backend, target, body, self._region(), own=own
            )
            answer = Answer(status, told)
            if kind is not None:
                answer = injector.after(kind, status, answer.body)
        if answer.status == 0:
            self.close_connection = True
        else:
            self._send(answer.status, answer.body, request_id=answer.request_id)

    def _region(self) -> str:
        """The region that the request was signed for: the third part of its credential."""
        signed = _CREDENTIAL.search(self.headers.get("Authorization", ""))
        return signed[1] if signed else REGION

    def _discard(self, left: int) -> None:
        """Read what won't be used: a client that is still sending would not see the answer."""
        while left > 0 and (chunk := self.rfile.read(min(left, 65_536))):
            left -= len(chunk)

    def do_GET(self) -> None:
        if "Content-Length" in self.headers or "Transfer-Encoding" in self.headers:
            self.close_connection = True  # a body that nobody reads
        told: dict[str, Any] = {"service": "a local SWF of swf_worker", "protocol": "POST"}
        backend = self.server.backend
        if backend.quotas is not None:
            with backend.lock:
                told["quota"] = {n: asdict(use) for n, use in backend.quotas.report().items()}
        self._send(200, json.dumps(told).encode())

    def _send(self, status: int, body: bytes, *, request_id: bool = True) -> None:
        self.send_response(status)
        self.send_header("Content-Type", _JSON)
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        if request_id:
            self.send_header("x-amzn-RequestId", str(uuid.uuid4()))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the base class's name)
        pass  # a local service is silent: its clients tell what happens


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 512

    def __init__(self, port: int, backend: LocalBackend, injector: Injector) -> None:
        self.backend = backend
        self.injector = injector
        self._open: dict[socket.socket, threading.Thread] = {}
        self._guard = threading.Lock()
        super().__init__((HOST, port), _Handler)

    def server_bind(self) -> None:
        # HTTPServer looks the host's name up, which can take seconds without a network.
        socket.socket.bind(self.socket, self.server_address)
        self.server_name, self.server_port = HOST, self.socket.getsockname()[1]

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        with self._guard:
            self._open[request] = threading.current_thread()
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._guard:
                self._open.pop(request, None)

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # a client that is gone

    def hang_up(self) -> None:
        """End all connections, and wait for their threads, 5 s for all of them together."""
        with self._guard:
            left = dict(self._open)
        for connection in left:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        until = now() + 5
        for thread in left.values():
            thread.join(max(0.0, until - now()))


class LocalServer:
    """A backend behind a socket."""

    def __init__(self, port: int, backend: LocalBackend, injector: Injector) -> None:
        try:
            self._server = _Server(port, backend, injector)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise ConfigurationError(
                    f"port {port} of {HOST} is taken: choose another, or 0 for any free one"
                ) from None
            raise ConfigurationError(f"port {port} of {HOST} can't be used: {error}") from error
        self._closed = False
        self._thread = threading.Thread(target=self._serve, name="local-swf-server", daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while not self._closed:
            self._server.handle_request()

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._server.server_port

    def close(self) -> None:
        """Stop listening, and end all connections."""
        self._closed = True
        try:
            socket.create_connection((HOST, self.port), 1).close()  # wakes its thread
        except OSError:
            self._server.socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._server.server_close()
        self._server.hang_up()
