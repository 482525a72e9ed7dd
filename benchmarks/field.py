"""A contestant and an endpoint of its own, as processes; what they cost is read from /proc."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

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
    pid: int

    def run(self, tasks: int, gap: float = 0.0) -> dict[str, float]:
        """Feed tasks; the figures, with the contestant's CPU a task in ms."""
        before = cpu(self.pid)
        seen = figures(f"{self.url}/feed?tasks={tasks}&gap={gap}")
        return seen | {
            "tasks_per_s": tasks / seen["seconds"],
            "cpu_ms": (cpu(self.pid) - before) / tasks * 1000,
        }


@contextmanager
def lane(
    name: str, concurrency: int, *, python: str = sys.executable, hold: float = 60.0
) -> Iterator[Lane]:
    """A contestant that is running, and warm."""
    kind = "Work/1"
    with endpoint("--hold", str(hold), "--type", kind) as url:
        command = [python, "-m", "benchmarks.contestants", name, url, str(concurrency)]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log()) as process:
            try:
                ready = Lane(url, process.pid)
                ready.run(20 * concurrency)
                yield ready
            finally:
                process.kill()


def log() -> int:
    """Where logs go: written, and thrown away."""
    return os.open(os.devnull, os.O_WRONLY)


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
