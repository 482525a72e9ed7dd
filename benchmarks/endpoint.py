"""A lean SWF endpoint of its own, for measuring workers: asyncio, one process, no moto.

It hands out ``tasks`` activity tasks, accepts every heartbeat and answer, and keeps the moments.
``GET /figures`` tells them; ``/given`` and ``/answered`` do when all tasks are. It checks nothing:
what a worker sends is right or its tests fail.

    python -m benchmarks.endpoint --tasks 10000 --interval 30
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from dataclasses import dataclass, field

_OK = b"HTTP/1.1 200 OK\r\nx-amzn-RequestId: r\r\nContent-Length: %d\r\n\r\n%s"
_DESCRIBED = b'{"typeInfo":{"status":"REGISTERED"},"configuration":{}}'


@dataclass(slots=True)
class Endpoint:
    """The state of one run."""

    tasks: int
    interval: float
    input: str
    hold: float
    given: int = 0
    answered: int = 0
    beats: int = 0
    last_beat: dict[str, float] = field(default_factory=dict)
    late: list[float] = field(default_factory=list)
    all_given: asyncio.Event = field(default_factory=asyncio.Event)
    all_answered: asyncio.Event = field(default_factory=asyncio.Event)
    first_given: float = 0.0
    last_given: float = 0.0
    first_answer: float = 0.0
    last_answer: float = 0.0

    async def answer(self, operation: str, body: bytes) -> bytes:
        """The body of the answer to one call."""
        now = time.monotonic()
        if operation == "PollForActivityTask":
            return await self._poll(now)
        if operation == "DescribeActivityType":
            return _DESCRIBED
        token = json.loads(body)["taskToken"]
        if operation == "RecordActivityTaskHeartbeat":
            self.beats += 1
            self.late.append(now - self.last_beat[token] - self.interval)
            self.last_beat[token] = now
            return b'{"cancelRequested":false}'
        self.answered += 1
        self.first_answer = self.first_answer or now
        self.last_answer = now
        self.last_beat.pop(token, None)
        if self.answered >= self.tasks:
            self.all_answered.set()
        return b""

    async def _poll(self, now: float) -> bytes:
        if self.given >= self.tasks:
            await asyncio.sleep(self.hold)
            return b'{"startedEventId":0}'
        self.given += 1
        if self.given >= self.tasks:
            self.all_given.set()
        self.first_given = self.first_given or now
        self.last_given = now
        token = f"token-{self.given}"
        self.last_beat[token] = now
        return json.dumps(
            {
                "taskToken": token,
                "activityId": f"activity-{self.given}",
                "startedEventId": 5,
                "workflowExecution": {"workflowId": f"workflow-{self.given}", "runId": "run"},
                "activityType": {"name": "Work", "version": "1"},
                "input": self.input,
            }
        ).encode()

    async def told(self, path: str) -> bytes:
        """The figures: now, or when there is something to tell."""
        if path == "/given":
            await self.all_given.wait()
        elif path == "/answered":
            await self.all_answered.wait()
        return self.figures()

    def figures(self) -> bytes:
        """What was seen so far; lateness in seconds, as the service sees it."""
        now = time.monotonic()
        silent = max((now - at - self.interval for at in self.last_beat.values()), default=0.0)
        late = sorted(self.late) or [0.0]
        return json.dumps(
            {
                "given": self.given,
                "answered": self.answered,
                "beats": self.beats,
                "late_p50": late[len(late) // 2],
                "late_p99": late[len(late) * 99 // 100],
                "late_max": max(late[-1], silent),
                "seconds_to_give": self.last_given - self.first_given,
                "seconds_to_answer": self.last_answer - self.first_answer,
            }
        ).encode()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.decode().split("\r\n")
                headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in lines)}
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                if lines[0].startswith("GET"):
                    answer = await self.told(lines[0].split()[1])
                else:
                    operation = headers.get("x-amz-target", "").rpartition(".")[2]
                    answer = await self.answer(operation, body)
                writer.write(_OK % (len(answer), answer))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


async def main() -> None:
    """Serve until killed; the address comes first."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--tasks", type=int, required=True)
    parser.add_argument("--interval", type=float, default=30.0)
    parser.add_argument("--input", default="1")
    parser.add_argument("--hold", type=float, default=60.0, help="seconds of an empty poll")
    given = parser.parse_args()
    endpoint = Endpoint(given.tasks, given.interval, given.input, given.hold)
    server = await asyncio.start_server(endpoint.serve, "127.0.0.1", 0, backlog=512)
    port = server.sockets[0].getsockname()[1]
    print(f"http://127.0.0.1:{port}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
