"""A lean SWF endpoint of its own, for measuring workers: asyncio, one process, no moto.

It hands out activity tasks, accepts every heartbeat and answer, and keeps the moments. It checks
nothing: what a worker sends is right or its tests fail. A task's input is the time at which its
poll was answered, so that a handler can return how long ago that was (one machine has one
monotonic clock). ``GET`` controls it:

    /feed?tasks=N&gap=S   N tasks, S seconds apart; answers when all are answered, with figures
    /given /answered      the figures, when all tasks are given, or answered
    /                     the figures now
    /reset                the same, and the heartbeats seen so far are forgotten

    python -m benchmarks.endpoint --tasks 10000 --interval 30
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections import deque
from collections.abc import Coroutine
from typing import Any
from urllib.parse import parse_qsl, urlsplit

_OK = (
    b"HTTP/1.1 200 OK\r\nx-amzn-RequestId: r\r\nContent-Type: application/x-amz-json-1.0\r\n"
    b"Content-Length: %d\r\n\r\n%s"
)
_DESCRIBED = b'{"typeInfo":{"status":"REGISTERED"},"configuration":{}}'
_TASK = (
    '{"taskToken":"token-%(n)d","activityId":"activity-%(n)d","startedEventId":5,'
    '"workflowExecution":{"workflowId":"workflow-%(n)d","runId":"run"},'
    '"activityType":{"name":"%(name)s","version":"%(version)s"},"input":%(input)s}'
)


class Endpoint:
    """The state of one run."""

    def __init__(self, interval: float, hold: float, name: str, text: str) -> None:
        self.interval, self.hold, self.text = interval, hold, text
        self.name, _, self.version = name.rpartition("/")
        self.polls: deque[asyncio.Future[None]] = deque()
        self.waiting = 0
        self.open_polls = 0
        self.given = self.answered = self.expected = self.beats = 0
        self.last_beat: dict[str, float] = {}
        self.late: list[float] = []
        self.results: list[float] = []
        self.first_given = self.last_given = self.first_answer = self.last_answer = 0.0
        self.all_given, self.all_answered = asyncio.Event(), asyncio.Event()

    def feed(self, tasks: int) -> None:
        """So many tasks more."""
        self.expected += tasks
        self.waiting += tasks
        self.all_given.clear()
        self.all_answered.clear()
        while self.polls and tasks:
            poll = self.polls.popleft()
            if not poll.done():
                poll.set_result(None)
                tasks -= 1

    async def answer(self, operation: str, body: bytes) -> bytes:
        """The body of the answer to one call."""
        if operation == "PollForActivityTask":
            return await self._poll()
        if operation == "DescribeActivityType":
            return _DESCRIBED
        now, said = time.monotonic(), json.loads(body)
        token = said["taskToken"]
        if operation == "RecordActivityTaskHeartbeat":
            self.beats += 1
            self.late.append(now - self.last_beat[token] - self.interval)
            self.last_beat[token] = now
            return b'{"cancelRequested":false}'
        self.answered += 1
        self.first_answer = self.first_answer or now
        self.last_answer = now
        self.last_beat.pop(token, None)
        self._keep(said.get("result"))
        if self.answered >= self.expected:
            self.all_answered.set()
        return b""

    def _keep(self, result: str | None) -> None:
        try:
            self.results.append(float(result or ""))
        except ValueError:
            pass  # not of one of our handlers

    async def _poll(self) -> bytes:
        self.open_polls += 1
        try:
            while self.waiting == 0:
                poll = asyncio.get_running_loop().create_future()
                self.polls.append(poll)
                try:
                    await asyncio.wait_for(poll, self.hold)
                except TimeoutError:
                    return b'{"startedEventId":0}'
        finally:
            self.open_polls -= 1
        self.waiting -= 1
        self.given += 1
        if self.given >= self.expected:
            self.all_given.set()
        now = time.monotonic()
        self.first_given = self.first_given or now
        self.last_given = now
        self.last_beat[f"token-{self.given}"] = now
        text = json.dumps(self.text.replace("NOW", repr(now)))
        named = {"n": self.given, "name": self.name, "version": self.version, "input": text}
        return (_TASK % named).encode()

    async def told(self, target: str) -> bytes:
        """The figures: now, or when there is something to tell."""
        split = urlsplit(target)
        if split.path == "/feed":
            return await self._fed(**{name: float(v) for name, v in parse_qsl(split.query)})
        if split.path == "/given":
            await self.all_given.wait()
        elif split.path == "/answered":
            await self.all_answered.wait()
        figures = self.figures()
        if split.path == "/reset":
            self.late.clear()
            self.beats = 0
        return json.dumps(figures).encode()

    async def _fed(self, tasks: float, gap: float = 0.0) -> bytes:
        self.results.clear()
        began = time.monotonic()
        if gap:
            for _ in range(int(tasks)):
                self.feed(1)
                await asyncio.sleep(gap)
        else:
            self.feed(int(tasks))
        await self.all_answered.wait()
        seconds = self.last_answer - began
        return json.dumps(self.figures() | {"seconds": seconds} | quantiles(self.results)).encode()

    def figures(self) -> dict[str, float]:
        """What was seen so far; lateness in seconds, as the service sees it."""
        now = time.monotonic()
        overdue = [now - at - self.interval for at in self.last_beat.values()]
        late = quantiles(self.late + [each for each in overdue if each > 0])
        return {
            "given": self.given,
            "answered": self.answered,
            "beats": self.beats,
            "open_polls": self.open_polls,
            "late_p50": late["p50"],
            "late_p99": late["p99"],
            "late_max": late["max"],
            "seconds_to_give": self.last_given - self.first_given,
            "seconds_to_answer": self.last_answer - self.first_answer,
        }


def quantiles(values: list[float]) -> dict[str, float]:
    """Median, 99th percentile, largest."""
    ordered = sorted(values) or [0.0]
    return {
        "p50": ordered[len(ordered) // 2],
        "p99": ordered[len(ordered) * 99 // 100],
        "max": ordered[-1],
    }


class Connection(asyncio.Protocol):
    """One connection: HTTP/1.1, a request at a time."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.received = b""
        self.transport: Any = None
        self.tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        for task in self.tasks:
            task.cancel()

    def data_received(self, data: bytes) -> None:
        self.received += data
        head, found, rest = self.received.partition(b"\r\n\r\n")
        if not found:
            return
        request, *lines = head.decode().split("\r\n")
        headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
        length = int(headers.get("content-length", 0))
        if len(rest) < length:
            return
        self.received = rest[length:]
        if request.startswith("GET"):
            answer = self.endpoint.told(request.split()[1])
        else:
            operation = headers.get("x-amz-target", "").rpartition(".")[2]
            answer = self.endpoint.answer(operation, rest[:length])
        task = asyncio.ensure_future(self.reply(answer))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def reply(self, answer: Coroutine[Any, Any, bytes]) -> None:
        body = await answer
        self.transport.write(_OK % (len(body), body))


async def main() -> None:
    """Serve until killed; the address comes first."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--tasks", type=int, default=0)
    parser.add_argument("--interval", type=float, default=30.0)
    parser.add_argument("--hold", type=float, default=60.0, help="seconds of an empty poll")
    parser.add_argument("--type", default="Work/1")
    parser.add_argument("--input", default="NOW", help="NOW is the time of the poll's answer")
    given = parser.parse_args()
    endpoint = Endpoint(given.interval, given.hold, given.type, given.input)
    endpoint.feed(given.tasks)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(endpoint), "127.0.0.1", 0, backlog=1024)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
