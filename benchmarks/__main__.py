"""All of it, as a table and as JSON: ``make bench``, or ``python -m benchmarks [--json FILE]``."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks import idle, throughput

Results = dict[str, Any]


def run() -> Results:
    """Every figure; what it takes is told as it goes."""
    results: Results = {"machine": machine()}
    results["throughput"] = {
        str(concurrency): step(
            f"throughput at concurrency {concurrency}",
            partial(throughput.compare, throughput.CONTESTANTS, concurrency, tasks=600, rounds=5),
        )
        for concurrency in throughput.CONCURRENCIES
    }
    installed = ("garcon", "simpleflow") if throughput.PEERS.exists() else ()
    names = ("loop", *installed, "thread", "raw")
    results["peers"] = step(
        "other ways, at concurrency 1",
        lambda: throughput.compare(names, 1, tasks=400, rounds=5),
    )
    results["isolation"] = step(
        "process isolation",
        lambda: throughput.compare(("thread", "process"), 4, tasks=800, rounds=5),
    )
    results["scale_async"] = scale("--kind", "async", "--tasks", "10000")
    results["scale_thread"] = scale("--kind", "thread", "--tasks", "500")
    results["largest"] = scale(
        "--kind", "async", "--interval", "10", "--tasks", "12000", "--step", "4000"
    )
    results["idle"] = step("an idle minute", idle.minute)
    results["starts"] = step("starts", idle.starts)
    return results


def scale(*arguments: str) -> Results:
    """In a process of its own: its memory and threads are measured."""
    command = [sys.executable, "-m", "benchmarks.scale", *arguments]

    def measure() -> Results:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        figures: Results = json.loads(done.stdout.splitlines()[-1])
        return figures

    return step(f"scale {' '.join(arguments)}", measure)


def step(name: str, measure: Callable[[], Results]) -> Results:
    """One part."""
    began = time.monotonic()
    print(f"{name} ...", end=" ", file=sys.stderr, flush=True)
    result = measure()
    print(f"{time.monotonic() - began:.0f} s", file=sys.stderr)
    return result


def machine() -> Results:
    """Where and with what."""
    cpuinfo = Path("/proc/cpuinfo")
    model = [
        line.partition(":")[2].strip()
        for line in (cpuinfo.read_text().splitlines() if cpuinfo.exists() else ())
        if line.startswith("model name")
    ]
    packages = ("boto3", "botocore", "urllib3", "structlog")
    return {
        "cores": os.cpu_count(),
        "cpu": model[0] if model else platform.processor(),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in packages},
        "date": time.strftime("%Y-%m-%d"),
    }


def table(results: Results) -> Iterator[str]:
    """The same, to read."""
    at = results["machine"]
    versions = ", ".join(f"{name} {number}" for name, number in at["versions"].items())
    yield f"{at['cores']} cores of {at['cpu']}, Python {at['python']}, {versions}; {at['date']}."
    yield from (
        "",
        "| concurrency | | tasks/s | to the faster loop | CPU, ms a task | first line, ms: "
        "quiet p50 | p99 | full load p50 | p99 |",
        "|---|---|---|---|---|---|---|---|---|",
    )
    for concurrency, rows in results["throughput"].items():
        for name, row in rows.items():
            yield (
                f"| {concurrency} | {name} | {row['tasks_per_s']:.0f} | {row['ratio']:.2f} "
                f"| {row['cpu_ms']:.2f} | {row['quiet_p50_ms']:.2f} | {row['quiet_p99_ms']:.2f} "
                f"| {row['loaded_p50_ms']:.1f} | {row['loaded_p99_ms']:.1f} |"
            )
    yield from ("", "| | tasks/s | ratio | CPU, ms a task |", "|---|---|---|---|")
    for part in ("peers", "isolation"):
        for name, row in results.get(part, {}).items():
            yield (
                f"| {part}: {name} | {row['tasks_per_s']:.0f} | {row['ratio']:.2f} "
                f"| {row['cpu_ms']:.2f} |"
            )
    yield from (
        "",
        "| held at once | interval, s | beats late by, s: p50 | p99 | max | cores | MB | threads "
        "| ramp-up, s | drain, s |",
        "|---|---|---|---|---|---|---|---|---|---|",
    )
    for name, interval in (("scale_async", 30), ("scale_thread", 30), ("largest", 10)):
        row = results[name]
        count = row.get("largest", row.get("answered", 0))
        ramp = f"{row['seconds_to_give']:.1f}" if name != "largest" else "-"
        drain = f"{row['seconds_to_answer']:.1f}" if name != "largest" else "-"
        yield (
            f"| {count:,.0f} {'threads' if name == 'scale_thread' else 'async'} | {interval} "
            f"| {row['late_p50']:.2f} | {row['late_p99']:.2f} | {row['late_max']:.2f} "
            f"| {row['cores']:.2f} | {row['megabytes']:.0f} | {row['threads']:.0f} "
            f"| {ramp} | {drain} |"
        )
    if "too_many" in results["largest"]:
        row = results["largest"]
        yield (
            f"\n{row['too_many']:,} at 10 s were too many: p99 {row['too_many_late_p99']:.1f} s."
        )
    yield from (
        "",
        "| an idle minute | CPU, ms | open polls before | after |",
        "|---|---|---|---|",
    )
    for name, row in results["idle"].items():
        yield (
            f"| {name} | {row['cpu_ms']:.0f} | {row['open_polls_before']:.0f} "
            f"| {row['open_polls_after']:.0f} |"
        )
    yield from ("", "| a start | seconds | to import boto3 |", "|---|---|---|")
    for name, row in results["starts"].items():
        yield f"| `{name}` | {row['seconds']:.2f} | {row['ratio']:.2f} |"


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", default="bench.json")
    given = parser.parse_args()
    results = run()
    Path(given.json).write_text(json.dumps(results, indent=1) + "\n")
    print("\n".join(table(results)))
    print(f"\n(as JSON: {given.json})", file=sys.stderr)
