"""A contestant and an endpoint of its own, as processes; what they cost is read from /proc."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ENVIRONMENT = os.environ | {
    "AWS_ACCESS_KEY_ID": "x",
    "AWS_SECRET_ACCESS_KEY": "y",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}
_TICK = os.sysconf("SC_CLK_TCK")


def figures(url: str) -> dict[str, float]:
    """What an endpoint has seen, and when: see ``benchmarks.endpoint``."""
    with urllib.request.urlopen(url, timeout=300) as answer:
        seen: dict[str, float] = json.load(answer)
        return seen


@contextmanager
def endpoint(*arguments: str) -> Iterator[str]:
    """The address of an endpoint."""
    command = [sys.executable, "-m", "benchmarks.endpoint", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.kill()


@dataclass
class Lane:
    """One contestant on its endpoint. Several wait in open polls while one is measured."""

    url: str
    process: subprocess.Popen[bytes]

    @property
    def pid(self) -> int:
        return self.process.pid

    def run(self, tasks: int, gap: float = 0.0) -> dict[str, float]:
        """Feed tasks; the figures, with the contestant's CPU a task in ms."""
        before = cpu(self.pid)
        seen = figures(f"{self.url}/feed?tasks={tasks}&gap={gap}")
        return seen | {
            "tasks_per_s": tasks / seen["seconds"],
            "cpu_ms": (cpu(self.pid) - before) / tasks * 1000,
        }


@contextmanager
def lane(command: Sequence[str], concurrency: int, *endpoint_arguments: str) -> Iterator[Lane]:
    """A contestant that is running, and warm; its command gets the address and the concurrency."""
    with endpoint(*endpoint_arguments) as url:
        whole = [*command, url, str(concurrency)]
        with (
            tempfile.TemporaryFile() as log,  # a real one: what a line costs is part of it
            subprocess.Popen(
                whole, stdout=subprocess.DEVNULL, stderr=log, env=ENVIRONMENT
            ) as process,
        ):
            try:
                ready = Lane(url, process)
                ready.run(200)
                yield ready
            finally:
                for pid in family(process.pid):
                    os.kill(pid, signal.SIGKILL)


def cpu(pid: int) -> float:
    """Seconds of CPU of a process and its children, those that have ended too."""
    total = 0.0
    for each in family(pid):
        try:
            fields = Path(f"/proc/{each}/stat").read_text().rpartition(") ")[2].split()
        except OSError:
            continue
        total += sum(int(fields[index]) for index in (11, 12, 13, 14)) / _TICK
    return total


def family(pid: int) -> list[int]:
    """A process and all below it."""
    found = [pid]
    for listed in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            for child in listed.read_text().split():
                found += family(int(child))
        except OSError:
            continue
    return found
