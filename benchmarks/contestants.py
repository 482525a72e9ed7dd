"""What is measured, each in a process of its own: the loop that people write, and this worker with
logs, an observer and heartbeats on. All end on SIGTERM.

    python -m benchmarks.contestants NAME URL CONCURRENCY

NAME: loop, loop-clients (two hand-written ones), raw; thread, async, process (this worker),
thread-boto3, async-boto3 (its calls through boto3's client), and thread-bare, thread-metrics,
thread-sampled, thread-traced (what watching it costs: ``watched.py``).
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import boto3
from botocore.config import Config

from benchmarks.watched import WATCHED
from swf_worker import ActivityWorker, Observation, activity


def loop(url: str, concurrency: int) -> None:
    """Threads that poll, work and respond, with one client, as most people write it; boto3's
    defaults but for the read timeout, and a connection for each thread."""
    config = Config(read_timeout=90, max_pool_connections=max(10, concurrency))
    shared = boto3.Session("x", "y", region_name="us-east-1").client(
        "swf", endpoint_url=url, config=config
    )
    _loop(lambda: shared, concurrency)


def loop_clients(url: str, concurrency: int) -> None:
    """The same with a client for each thread, so that none waits for another."""

    def own() -> Any:
        session = boto3.Session("x", "y", region_name="us-east-1")
        return session.client("swf", endpoint_url=url, config=Config(read_timeout=90))

    _loop(own, concurrency)


def _loop(client: Callable[[], Any], concurrency: int) -> None:
    def run() -> None:
        swf = client()
        while True:
            task = swf.poll_for_activity_task(domain="d", taskList={"name": "t"})
            if task.get("taskToken"):
                result = by_hand(json.loads(task["input"]))
                swf.respond_activity_task_completed(
                    taskToken=task["taskToken"], result=json.dumps(result)
                )

    threads = [threading.Thread(target=run, daemon=True) for _ in range(concurrency)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def by_hand(polled: float) -> float:
    return time.monotonic() - polled


@activity(name="Work", version="1", heartbeat_timeout=60)
def in_thread(polled: float) -> float:
    return time.monotonic() - polled


@activity(name="Work", version="1", heartbeat_timeout=60)
async def on_loop(polled: float) -> float:
    return time.monotonic() - polled


@activity(name="Work", version="1", heartbeat_timeout=60, isolation="process")
def in_process(polled: float) -> float:
    return time.monotonic() - polled


def raw(url: str, concurrency: int) -> None:
    """The ceiling of the language, no worker: SigV4 and HTTP by hand on one socket, no library,
    no errors. Nobody should do this."""
    host, _, port = url.removeprefix("http://").partition(":")
    sock = socket.create_connection((host, int(port)))
    day = time.strftime("%Y%m%d", time.gmtime())
    key = b"AWS4" + os.environ["AWS_SECRET_ACCESS_KEY"].encode()
    for part in (day, "us-east-1", "swf", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    scope = f"{day}/us-east-1/swf/aws4_request"
    signed = "content-type;host;x-amz-date;x-amz-target"

    def call(operation: str, body: str) -> bytes:
        now = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        fixed = (
            f"content-type:application/x-amz-json-1.0\nhost:{host}:{port}\nx-amz-date:{now}\n"
            f"x-amz-target:SimpleWorkflowService.{operation}\n"
        )
        payload = hashlib.sha256(body.encode()).hexdigest()
        request = hashlib.sha256(f"POST\n/\n\n{fixed}\n{signed}\n{payload}".encode()).hexdigest()
        text = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{request}"
        signature = hmac.digest(key, text.encode(), "sha256").hex()
        sock.sendall(
            f"POST / HTTP/1.1\r\n{fixed}".replace("\n", "\r\n").encode()
            + f"Authorization: AWS4-HMAC-SHA256 Credential=x/{scope}, SignedHeaders={signed}, "
            f"Signature={signature}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
        )
        answer = sock.recv(65_536)
        head, _, rest = answer.partition(b"\r\n\r\n")
        length = int(head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0])
        while len(rest) < length:
            rest += sock.recv(65_536)
        return rest

    while True:
        task = json.loads(call("PollForActivityTask", '{"domain":"d","taskList":{"name":"t"}}'))
        if task.get("taskToken"):
            said = {"taskToken": task["taskToken"], "result": repr(by_hand(float(task["input"])))}
            call("RespondActivityTaskCompleted", json.dumps(said))


class Counts:
    """An observer as a metrics library would be."""

    def __init__(self) -> None:
        self.seen: dict[str, int] = {}

    def observe(self, record: Observation) -> None:
        name = type(record).__name__
        self.seen[name] = self.seen.get(name, 0) + 1


def worker(handler: Any, url: str, concurrency: int, calls: Any, **options: Any) -> None:
    """This worker; its log goes to stderr as ``swf-worker run`` has it."""
    options.setdefault("observers", [Counts()])
    ActivityWorker(
        domain="d",
        task_list="t",
        activities=[handler],
        endpoint_url=url,
        max_concurrent_activities=concurrency,
        max_concurrent_polls=concurrency,
        drain_timeout=0,
        calls=calls,
        **options,
    ).run()


PLAIN = {"loop": loop, "loop-clients": loop_clients, "raw": raw}
HANDLERS = {"thread": in_thread, "async": on_loop, "process": in_process}


def main(name: str, url: str, concurrency: int) -> None:
    os.environ.update(AWS_EC2_METADATA_DISABLED="true")
    if name in PLAIN:
        PLAIN[name](url, concurrency)
    else:
        from swf_worker.cli.logging import configure_logging

        kind, _, way = name.partition("-")
        configure_logging("json", "critical" if way == "bare" else "info")
        if way in WATCHED:
            worker(HANDLERS[kind], url, concurrency, None, **WATCHED[way]())
        else:
            worker(HANDLERS[kind], url, concurrency, way or None)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
