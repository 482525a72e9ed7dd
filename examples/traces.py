"""Traces: spans of tasks, and of what handlers call below them, in OpenTelemetry's SDK.

pip install opentelemetry-sdk 'swf_worker[otel]'
python examples/traces.py        # on the local SWF: AWS_ENDPOINT_URL_SWF=http://127.0.0.1:8765
"""

from __future__ import annotations

import os
import sys

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter

from swf_worker import ActivityWorker, activity
from swf_worker.instrumentation.traces import OpenTelemetryObserver

tracer = trace.get_tracer("media.sizes")


def set_up_traces() -> None:
    """What any program with OpenTelemetry does at its start. (In production the exporter is
    OTLPSpanExporter(), of the package opentelemetry-exporter-otlp.)"""
    provider = TracerProvider(resource=Resource.create({"service.name": "sizes"}))
    provider.add_span_processor(BatchSpanProcessor(ConsoleSpanExporter(out=sys.stderr)))
    trace.set_tracer_provider(provider)


@activity(name="Size", version="1.0")
def size(path: str) -> int:
    """An input {"path": …, "traceparent": …} links the task's span to who scheduled it."""
    with tracer.start_as_current_span("stat"):  # below the task's own span
        found = os.stat(path).st_size
    trace.get_current_span().set_attribute("media.size", found)  # that of the task
    return found


@activity(name="Lines", version="1.0", isolation="process")
def lines(path: str) -> int:
    """In a process of its own, below the task's span all the same."""
    with tracer.start_as_current_span("count"), open(path, "rb") as file:
        return sum(1 for _ in file)


class SizesWorker(ActivityWorker):
    """Handler processes are new interpreters: each sets up its own SDK."""

    domain = "media"
    task_list = "sizes"
    activities = (size, lines)
    observers = (OpenTelemetryObserver(),)

    def on_process_start(self) -> None:
        """Runs first in each of them."""
        set_up_traces()


worker = SizesWorker()

if __name__ == "__main__":
    set_up_traces()
    raise SystemExit(worker.run())
