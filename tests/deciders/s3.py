"""As much of S3 as jumbo fields need, on a socket."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

NO_SUCH_KEY = b"<Error><Code>NoSuchKey</Code><Message>none</Message></Error>"
LOCATION = b"<LocationConstraint></LocationConstraint>"
DENIED = b"<Error><Code>AccessDenied</Code><Message>no</Message></Error>"


class S3:
    """The objects, by "bucket/key"; ``denies`` refuses every call."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.denies = False


@contextmanager
def s3_on_a_socket(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3]:
    """S3, where this process's environment tells every boto3 to find it."""
    s3 = S3()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_PUT(self):
            s3.objects[self._name()] = self.rfile.read(int(self.headers["Content-Length"]))
            self._answer(200)

        def do_GET(self):
            if self.path.endswith("?location"):
                return self._answer(200, LOCATION)
            found = s3.objects.get(self._name())
            return self._answer(404, NO_SUCH_KEY) if found is None else self._answer(200, found)

        do_HEAD = do_GET

        def _name(self):
            return self.path.partition("?")[0].strip("/")

        def _answer(self, status, body=b""):
            if s3.denies:
                status, body = 403, DENIED
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("ETag", '"1"')
            self.send_header("Connection", "close")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        for name, value in {
            "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{server.server_port}",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_REQUEST_CHECKSUM_CALCULATION": "when_required",
            "AWS_RESPONSE_CHECKSUM_VALIDATION": "when_required",
        }.items():
            monkeypatch.setenv(name, value)
        try:
            yield s3
        finally:
            server.shutdown()
            thread.join()
