"""The HTTP server of ``health_port``: short answers, to a few at a time."""

from __future__ import annotations

import errno
import http.server
import os
import socket
import socketserver
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from ...errors import ConfigurationError
from ...runtime.threads.clock import start_daemon
from .report import ASK_AGAIN, ASKS_SWF, Answer, Source, answer

MOST_AT_ONCE = 16
"""Requests that are answered at once. Where one more comes, whoever has been silent for the longest
time is cut."""
MOST_ASK_SWF = 4
"""Of these, those that wait for an answer of SWF's: probes must not wait with them."""
ROOM_WITHIN = 0.2
"""Seconds in which whoever was cut has made room."""
PATIENCE = 5.0
"""Seconds that a request, or its reader, may take."""
SHORT_OF_DESCRIPTORS = 0.2
"""Seconds until the next try to accept one that could not be."""


class HealthServer:
    """Serves until it is closed. ConfigurationError where the port can't be had."""

    def __init__(self, source: Source, host: str, port: int) -> None:
        try:
            self._server = _Server((host, port), source)
        except OSError as error:
            raise ConfigurationError(_why_not(host, port, error)) from None
        self.port: int = self._server.server_address[1]
        self.url = f"http://{f'[{host}]' if ':' in host else host}:{self.port}"
        forked = weakref.WeakMethod(self._server.close_in_child)
        os.register_at_fork(after_in_child=lambda: _call(forked()))
        self._thread = start_daemon("health", self._serve)

    def _serve(self) -> None:
        with self._server:
            while not self._server.closing:
                self._server.handle_request()

    def close(self) -> None:
        """Answer no more, and free the port. Quick: requests under way are cut."""
        self._server.closing = True
        self._server.ended.set()
        with suppress(OSError):  # wakes its thread, where the system knows that
            self._server.socket.shutdown(socket.SHUT_RDWR)
        self._server.cut()
        if self._thread is not threading.current_thread():
            self._thread.join(PATIENCE)


def _call(method: Callable[[], None] | None) -> None:
    if method is not None:
        with suppress(OSError, ValueError):
            method()


def _cut(request: socket.socket) -> None:
    with suppress(OSError):
        request.shutdown(socket.SHUT_RDWR)


class _Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    block_on_close = False
    timeout = 1.0
    allow_reuse_address = True
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], source: Source) -> None:
        self.source = source
        self.closing = False
        self.ended = threading.Event()
        self._room = threading.Semaphore(MOST_AT_ONCE)
        self.asking_swf = threading.Semaphore(MOST_ASK_SWF)
        self._open: dict[socket.socket, None] = {}
        self._silent: dict[socket.socket, None] = {}
        """Those that have not asked anything yet, the oldest first."""
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        """Without HTTPServer's look-up of the host's full name, which may take long."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]

    def get_request(self) -> tuple[Any, Any]:
        """Where there are no more descriptors, accepting fails at once, again and again."""
        try:
            return super().get_request()
        except OSError:
            self.ended.wait(SHORT_OF_DESCRIPTORS)
            raise

    def close_in_child(self) -> None:
        """A process that a handler forks has the port as well, and may outlive this one."""
        os.close(self.socket.detach())

    def process_request(self, request: Any, client_address: Any) -> None:
        """In a thread of its own, if there is room."""
        if self.closing:
            self.shutdown_request(request)
            return
        if not self._room.acquire(blocking=False):
            # Whoever sends nothing, or trickles, must not keep probes out: those ask at once.
            for silent in list(self._silent)[:1]:
                self.has_asked(silent)
                _cut(silent)
            if not self._room.acquire(timeout=ROOM_WITHIN):
                self.shutdown_request(request)
                return
        self._open[request] = self._silent[request] = None
        try:
            super().process_request(request, client_address)
        except RuntimeError:  # no more threads on this machine
            self._done(request)
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer one."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._done(request)

    def has_asked(self, request: Any) -> None:
        """What it wants is known."""
        self._silent.pop(request, None)

    def _done(self, request: Any) -> None:
        self.has_asked(request)
        self._open.pop(request, None)
        self._room.release()

    def cut(self) -> None:
        """End the connections that are open."""
        for request in list(self._open):
            _cut(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that is gone is nobody's trouble."""


class _Handler(http.server.BaseHTTPRequestHandler):
    server: _Server
    timeout = PATIENCE
    server_version = "swf_worker"
    sys_version = ""

    def do_GET(self) -> None:
        """Answer the path."""
        self.server.has_asked(self.connection)
        told = self._within_bounds(_path_of(self.path))
        self.send_response(told.status)
        self.send_header("Content-Type", told.content_type)
        self.send_header("Content-Length", str(len(told.body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        for name, value in told.headers:
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(told.body)

    def _within_bounds(self, path: str) -> Answer:
        if path != ASKS_SWF:
            return self._answer(path)
        if not self.server.asking_swf.acquire(blocking=False):
            return ASK_AGAIN
        try:
            return self._answer(path)
        finally:
            self.server.asking_swf.release()

    def _answer(self, path: str) -> Answer:
        try:
            return answer(self.server.source, path)
        except Exception as error:  # a bug of ours must not have a good worker restarted
            said = f"{type(error).__name__}: {error}\n".encode()
            return Answer(200 if path == "/livez" else 500, "text/plain; charset=utf-8", said)

    def do_HEAD(self) -> None:
        """The same without a body."""
        self.do_GET()

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """In a line."""
        text = f"{message or HTTPStatus(code).phrase}\n".encode()
        self.send_response(code)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: Any) -> None:
        """Probes come every few seconds: nobody wants to read of them."""


def _path_of(target: str) -> str:
    try:
        return urlsplit(target).path
    except ValueError:  # no URL, and so no path of ours
        return target


def _why_not(host: str, port: int, error: OSError) -> str:
    fix = "choose another with --health-port or health_port=, or 0 for any free one"
    if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
        fix = "--health-host or health_host= must be an address of this host: 127.0.0.1 or 0.0.0.0"
    return f"the health port {host}:{port} can't be opened: {error.strerror or error}; {fix}"
