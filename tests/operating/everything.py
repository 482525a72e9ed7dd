"""A worker with everything on that tells what it does: the demo's handler, and one of each other
mode. Spans go to the file that SPANS names, a line each."""

from __future__ import annotations

import os
from pathlib import Path

import structlog
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor

from swf_worker import ActivityContext, ActivityWorker, activity
from swf_worker.cli.demo.archiver import archive
from swf_worker.instrumentation.traces import OpenTelemetryObserver


def provider() -> TracerProvider:
    spans = Path(os.environ["SPANS"]).open("a")  # noqa: SIM115 (as long as the process)
    exporter = ConsoleSpanExporter(
        out=spans, formatter=lambda span: span.to_json(indent=None) + "\n"
    )
    made = TracerProvider()
    made.add_span_processor(SimpleSpanProcessor(exporter))
    return made


@activity(name="Async", version="1.0", heartbeat_interval=0.2)
async def on_the_loop(context: ActivityContext) -> str:
    context.logger.info("inside", mode="async")
    while not context.cancel_requested:
        await context.wait_for_stop_async()
    context.raise_if_canceled()
    return "never"


@activity(name="Process", version="1.0", heartbeat_interval=0.2, isolation="process")
def in_a_process(context: ActivityContext, secret: str) -> str:
    structlog.get_logger("mine").info("inside", mode="process")
    with trace.get_tracer("mine").start_as_current_span("inner"):
        pass
    return f"done with {secret}"


class Everything(ActivityWorker):
    domain = "demo"
    task_list = "archives"
    activities = (archive, on_the_loop, in_a_process)

    def on_process_start(self) -> None:
        trace.set_tracer_provider(provider())


def make() -> ActivityWorker:
    return Everything(observers=[OpenTelemetryObserver(provider())])
