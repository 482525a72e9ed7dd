"""What the journal costs: throughput of a no-op with it on, against the same worker without, in
turn, in one run.

    python -m benchmarks.journal [--tasks 800] [--rounds 7]
"""

from __future__ import annotations

import argparse
import json

from benchmarks.throughput import compare

NAMES = ("thread", "thread-journal")

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--tasks", type=int, default=800)
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    for concurrency in (8, 64):
        for name, row in compare(NAMES, concurrency, given.tasks, given.rounds).items():
            print(concurrency, name, json.dumps({k: round(v, 3) for k, v in row.items()}))
