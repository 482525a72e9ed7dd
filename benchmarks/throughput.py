"""Tasks a second, CPU a task and latency, against the faster of two loops that people write: same
machine, same run, in turn, each with an endpoint of its own.

    python -m benchmarks.throughput [--tasks 800] [--rounds 5]
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from contextlib import ExitStack
from pathlib import Path

from benchmarks.field import Lane, lane
from benchmarks.peers import INPUTS

LOOPS = ("loop", "loop-clients")
CONTESTANTS = (*LOOPS, "thread", "async", "thread-boto3", "async-boto3")
CONCURRENCIES = (1, 8, 64)
PEERS = Path(".venv-peers/bin/python")
FEW = 100
"""Tasks a round of what takes a process a task."""

Row = dict[str, float]


def command(name: str) -> list[str]:
    """What starts a contestant."""
    if name in INPUTS:
        return [str(PEERS), "benchmarks/peers.py", name]
    return [sys.executable, "-m", "benchmarks.contestants", name]


def compare(names: tuple[str, ...], concurrency: int, tasks: int, rounds: int) -> dict[str, Row]:
    """Medians of each, and ratios, round by round, to the faster of the loops (where there is none,
    to the first)."""
    with ExitStack() as stack:
        lanes = {
            name: stack.enter_context(lane(command(name), concurrency, *INPUTS.get(name, ())))
            for name in names
        }
        seen: dict[str, list[Row]] = {name: [] for name in names}
        for _ in range(rounds):
            for name, each in lanes.items():
                seen[name].append(each.run(FEW if name == "simpleflow" else tasks))
        quiet = {name: at_low_load(each) for name, each in lanes.items() if name not in INPUTS}
    base = _fastest([seen[name] for name in names if name in LOOPS] or [seen[names[0]]])
    return {name: _row(rows, base, quiet.get(name)) for name, rows in seen.items()}


def _fastest(loops: list[list[Row]]) -> list[Row]:
    return [max(rows, key=lambda row: row["tasks_per_s"]) for rows in zip(*loops, strict=True)]


def _row(rows: list[Row], base: list[Row], quiet: Row | None) -> Row:
    row = {
        "tasks_per_s": median(rows, "tasks_per_s"),
        "ratio": ratio(rows, base, "tasks_per_s"),
        "cpu_ms": median(rows, "cpu_ms"),
    }
    if quiet is not None:
        row |= {
            "loaded_p50_ms": median(rows, "p50") * 1000,
            "loaded_p99_ms": median(rows, "p99") * 1000,
            "quiet_p50_ms": quiet["p50"] * 1000,
            "quiet_p99_ms": quiet["p99"] * 1000,
        }
    return row


def at_low_load(each: Lane) -> Row:
    """One task each 10 ms: from the poll's answer to the handler's first line."""
    return each.run(200, gap=0.01)


def median(rows: list[Row], what: str) -> float:
    """Of the rounds."""
    return statistics.median(row[what] for row in rows)


def ratio(rows: list[Row], base: list[Row], what: str) -> float:
    """Median of the rounds' ratios: what disturbs a round disturbs both."""
    return statistics.median(a[what] / b[what] for a, b in zip(rows, base, strict=True))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--tasks", type=int, default=800)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--concurrency", type=int, nargs="*", default=CONCURRENCIES)
    given = parser.parse_args()
    for concurrency in given.concurrency:
        for name, row in compare(CONTESTANTS, concurrency, given.tasks, given.rounds).items():
            print(concurrency, name, json.dumps({k: round(v, 2) for k, v in row.items()}))
