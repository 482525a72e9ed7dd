"""A store that speaks as much of S3 as the codec needs, on a socket, and misbehaves when told."""

from __future__ import annotations

import hashlib
import json
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import unquote

from botocore.config import Config

QUICK = Config(
    connect_timeout=2,
    read_timeout=10,
    retries={"mode": "standard", "total_max_attempts": 2},
    proxies={},
    s3={"addressing_style": "path"},
)
"""One attempt more."""
BUCKET = "payloads"
MARK = "swf-worker:s3:1:"
LONG = "long, é and 😀 " * 5_000
Misbehave = Callable[[Any], None]


class FakeS3:
    """``objects`` by "bucket/key"; ``misbehave`` answers instead, as often as it is in the list."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.requests: list[tuple[str, str]] = []
        self.misbehave: list[Misbehave] = []
        self.leave = threading.Event()
        self._connections: list[socket.socket] = []
        store = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            fake = store

            def do_PUT(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if not self._misbehaves():
                    store.objects[self.name] = body
                    self.answer(200)

            def do_GET(self) -> None:
                if self._misbehaves():
                    return
                if self.name in store.objects:
                    self.answer(200, store.objects[self.name])
                else:
                    self.fault(404, "NoSuchKey")

            @property
            def name(self) -> str:
                return unquote(self.path.partition("?")[0]).lstrip("/")

            def _misbehaves(self) -> bool:
                store.requests.append((self.command, self.name))
                if not store.misbehave:
                    return False
                store.misbehave.pop(0)(self)
                return True

            def answer(self, status: int, body: bytes = b"", length: int | None = None) -> None:
                self.send_response(status)
                self.send_header("x-amz-request-id", "REQUEST7")
                self.send_header("Content-Length", str(len(body) if length is None else length))
                self.end_headers()
                self.wfile.write(body)

            def fault(self, status: int, code: str, message: str = "said so") -> None:
                self.answer(
                    status,
                    f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode(),
                )

            def log_message(self, *_: Any) -> None: ...

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def process_request(self, request: Any, client_address: Any) -> None:
                store._connections.append(request)
                super().process_request(request, client_address)

            def handle_error(self, request: Any, client_address: Any) -> None: ...

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.leave.set()
        self._server.shutdown()
        self._server.server_close()
        for each in self._connections:  # clients keep them
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        self._thread.join()


def hang(request: Any) -> None:
    request.fake.leave.wait(20)
    request.close_connection = True


def says(status: int, code: str, message: str = "said so") -> Misbehave:
    return lambda request: request.fault(status, code, message)


def breaks_off(request: Any) -> None:
    """In the midst of the body."""
    body = request.fake.objects[request.name]
    request.answer(200, body[: len(body) // 2], length=len(body))
    request.close_connection = True


def trickles(request: Any) -> None:
    """Never silent for long, and never done."""
    body = request.fake.objects[request.name]
    request.answer(200, length=len(body))
    for start in range(0, len(body), 4096):
        if request.fake.leave.wait(0.05):
            break
        request.wfile.write(body[start : start + 4096])
        request.wfile.flush()
    request.close_connection = True


def reference(text=LONG, **members):
    """What stands for an object, with these members wrong."""
    data = text.encode()
    right = {
        "bucket": BUCKET,
        "key": "in/" + "0" * 32,
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    return MARK + json.dumps(right | members)
