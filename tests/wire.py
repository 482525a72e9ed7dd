"""A service on a socket that answers exactly what a test scripts, byte for byte."""

from __future__ import annotations

import json
import socket
import threading
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

Reply = bytes | Callable[[socket.socket], None]
REQUEST_ID = "0f8fad5b-d9cb-469f-a165-70867728950e"


def http(
    status: int, body: bytes | str | dict[str, Any] = b"", *, request_id: bool = True
) -> bytes:
    """A whole response."""
    if isinstance(body, dict):
        body = json.dumps(body)
    raw = body.encode() if isinstance(body, str) else body
    identity = f"x-amzn-RequestId: {REQUEST_ID}\r\n" if request_id else ""
    head = f"HTTP/1.1 {status} X\r\n{identity}Content-Length: {len(raw)}\r\n\r\n"
    return head.encode() + raw


def fault(code: str, message: str = "said so", status: int = 400) -> bytes:
    """An error as AWS shapes it."""
    return http(status, {"__type": f"com.amazonaws.swf.base.model#{code}", "message": message})


OK = http(200)
EMPTY_POLL = http(200, {"startedEventId": 0})


def task(token: str = "token-1", **members: Any) -> bytes:
    """A poll's answer with a task."""
    return http(
        200,
        {
            "taskToken": token,
            "activityId": "activity-1",
            "startedEventId": 7,
            "workflowExecution": {"workflowId": "workflow-1", "runId": "run-1"},
            "activityType": {"name": "Work", "version": "1"},
        }
        | members,
    )


def silence(sock: socket.socket) -> None:
    """Never answer; ends when the client hangs up."""
    sock.settimeout(30)
    try:
        sock.recv(1)
    except OSError:
        pass


def hang_up(sock: socket.socket) -> None:
    """Close without an answer."""
    sock.shutdown(socket.SHUT_RDWR)


def reset(sock: socket.socket) -> None:
    """Close with a reset."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    sock.close()


def trickle(answer: bytes, gap: float) -> Callable[[socket.socket], None]:
    """A byte at a time."""

    def send(sock: socket.socket) -> None:
        gone = threading.Event()
        try:
            for number in range(len(answer)):
                sock.sendall(answer[number : number + 1])
                gone.wait(gap)
        except OSError:
            pass

    return send


@dataclass(frozen=True)
class Request:
    """What came over the wire; names of headers in lower case."""

    line: str
    headers: dict[str, str]
    body: bytes


class Wire:
    """Answers each operation from its script; the last reply of a script repeats."""

    def __init__(self, **script: list[Reply]) -> None:
        self._script = {name: list(replies) for name, replies in script.items()}
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.requests: list[Request] = []
        self._counts: dict[str, int] = defaultdict(int)
        self._changed = threading.Condition()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._connections: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._closed = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def named(self, operation: str) -> list[dict[str, Any]]:
        """The bodies of the calls of one operation."""
        return [body for name, body in self.calls if name == operation]

    def wait_for(self, operation: str, count: int = 1, timeout: float = 20) -> list[dict[str, Any]]:
        with self._changed:
            enough = self._changed.wait_for(lambda: len(self.named(operation)) >= count, timeout)
            assert enough, f"no {count} {operation} in {[name for name, _ in self.calls]}"
        return self.named(operation)

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._closed = True
        with socket.create_connection(self._listener.getsockname()):
            pass
        self._threads[0].join(5)
        self._listener.close()
        for connection in self._connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            connection.close()
        for thread in self._threads:
            thread.join(5)

    def _start(self, target: Callable[..., None], *args: Any) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            self._connections.append(connection)
            if self._closed:
                return
            self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        stream = connection.makefile("rb")
        try:
            while (request := self._read(stream)) is not None:
                reply = self._next(*request)
                if callable(reply):
                    reply(connection)
                    return
                connection.sendall(reply)
        except OSError:
            pass
        finally:
            stream.close()
            connection.close()

    def _read(self, stream: Any) -> tuple[str, dict[str, Any]] | None:
        first = stream.readline()
        if not first:
            return None
        headers = {}
        while (line := stream.readline().strip()) != b"":
            name, _, value = line.decode().partition(":")
            headers[name.strip().lower()] = value.strip()
        body = stream.read(int(headers.get("content-length", 0)))
        self.requests.append(Request(first.decode().strip(), headers, body))
        return headers.get("x-amz-target", ".").rpartition(".")[2], json.loads(body or b"{}")

    def _next(self, name: str, body: dict[str, Any]) -> Reply:
        with self._changed:
            self.calls.append((name, body))
            self._counts[name] += 1
            replies = self._script.get(name) or [fault("UnknownOperationException")]
            self._changed.notify_all()
            return replies[min(self._counts[name], len(replies)) - 1]
