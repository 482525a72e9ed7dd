"""What watching a worker costs: throughput of a no-op with the log, metrics and traces on, against
the same worker with none of them (its log at "critical"), in turn, in one run.

    python -m benchmarks.watched [--tasks 800] [--rounds 7] [--concurrency 8]

metrics: log, health port and Prometheus; sampled: spans as well, one task in ten recorded; traced:
all of them, handed to an exporter that does nothing.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Sequence
from typing import Any

NAMES = ("thread-bare", "thread-metrics", "thread-sampled", "thread-traced")


def _bare() -> dict[str, Any]:
    return {"observers": []}


def _metrics() -> dict[str, Any]:
    return {"observers": [], "health_port": 0}  # which keeps metrics


def _traced(share: float) -> Callable[[], dict[str, Any]]:
    def make() -> dict[str, Any]:
        from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
        from opentelemetry.sdk.trace.export import (
            BatchSpanProcessor,
            SpanExporter,
            SpanExportResult,
        )
        from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

        from swf_worker.instrumentation.traces import OpenTelemetryObserver

        class Nowhere(SpanExporter):
            def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
                return SpanExportResult.SUCCESS

        provider = TracerProvider(sampler=ParentBased(TraceIdRatioBased(share)))
        provider.add_span_processor(BatchSpanProcessor(Nowhere()))
        return _metrics() | {"observers": [OpenTelemetryObserver(provider)]}

    return make


def _journal() -> dict[str, Any]:
    return {"journal": f"{tempfile.mkdtemp()}/journal"}


WATCHED: dict[str, Callable[[], dict[str, Any]]] = {
    "journal": _journal,
    "bare": _bare,
    "metrics": _metrics,
    "sampled": _traced(0.1),
    "traced": _traced(1.0),
}


if __name__ == "__main__":
    from benchmarks.throughput import compare

    parser = argparse.ArgumentParser()
    parser.add_argument("--tasks", type=int, default=800)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--concurrency", type=int, default=8)
    given = parser.parse_args()
    for name, row in compare(NAMES, given.concurrency, given.tasks, given.rounds).items():
        print(name, json.dumps({k: round(v, 3) for k, v in row.items()}))
