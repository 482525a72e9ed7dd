"""What a worker costs that has nothing to do, and what it costs to start one
(``python -m benchmarks.idle``)."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from contextlib import ExitStack

from benchmarks.field import cpu, figures, lane
from benchmarks.throughput import command

POLLS = 10
STARTS = {
    "import boto3": ["-c", "import boto3"],
    "import swf_worker": ["-c", "import swf_worker"],
    "swf-worker --help": ["-m", "swf_worker", "--help"],
}


def minute(seconds: float = 60.0) -> dict[str, dict[str, float]]:
    """CPU of a minute with ten open polls, of the worker and of the loop beside it, and how many
    polls are open after it. Polls come back empty after 45 s, so that the minute has some."""
    with ExitStack() as stack:
        lanes = {
            name: stack.enter_context(lane(command(name), POLLS, "--hold", "45"))
            for name in ("loop", "thread")
        }
        before = {name: cpu(each.pid) for name, each in lanes.items()}
        opened = {name: figures(each.url)["open_polls"] for name, each in lanes.items()}
        time.sleep(seconds)  # the measurement itself
        return {
            name: {
                "cpu_ms": (cpu(each.pid) - before[name]) * 1000,
                "open_polls_before": opened[name],
                "open_polls_after": figures(each.url)["open_polls"],
            }
            for name, each in lanes.items()
        }


def starts(rounds: int = 7) -> dict[str, dict[str, float]]:
    """Seconds of whole processes, in turn."""
    seen: dict[str, list[float]] = {name: [] for name in STARTS}
    for _ in range(rounds):
        for name, arguments in STARTS.items():
            began = time.monotonic()
            subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL, check=True)
            seen[name].append(time.monotonic() - began)
    base = seen["import boto3"]
    return {
        name: {
            "seconds": statistics.median(rows),
            "ratio": statistics.median(a / b for a, b in zip(rows, base, strict=True)),
        }
        for name, rows in seen.items()
    }


if __name__ == "__main__":
    print(json.dumps({"minute": minute(), "starts": starts()}, indent=1))
