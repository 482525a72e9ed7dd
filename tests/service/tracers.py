"""A process with a tracer or a recorder in it: which way its calls take, and what it saw of two.

python -m tests.service.tracers NAME URL
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Seen = Callable[[], list[str]]


@contextmanager
def opentelemetry() -> Iterator[Seen]:
    from opentelemetry.instrumentation.botocore import BotocoreInstrumentor
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    spans = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    BotocoreInstrumentor().instrument(tracer_provider=provider)
    yield lambda: [span.name for span in spans.get_finished_spans()]


@contextmanager
def xray() -> Iterator[Seen]:
    """In RUNTIME_ERROR mode, where a call outside of a segment raises."""
    from aws_xray_sdk.core import patch, xray_recorder

    xray_recorder.configure(context_missing="RUNTIME_ERROR", sampling=False)
    patch(["botocore"])
    segment = xray_recorder.begin_segment("test")
    # With one under way, its subsegments aren't sent to a daemon.
    yield lambda: [each.name for each in segment.subsegments]


@contextmanager
def datadog() -> Iterator[Seen]:
    os.environ.update(DD_TRACE_ENABLED="true", DD_INSTRUMENTATION_TELEMETRY_ENABLED="false")
    os.environ.update(DD_REMOTE_CONFIGURATION_ENABLED="false", DD_TRACE_STARTUP_LOGS="false")
    from ddtrace import patch
    from ddtrace.trace import TraceFilter, tracer

    seen: list[str] = []

    class Keeps(TraceFilter):
        def process_trace(self, trace: Any) -> None:
            seen.extend(span.name for span in trace if span.name == "swf.command")

    tracer.configure(trace_processors=[Keeps()])
    patch(botocore=True)
    yield lambda: seen


@contextmanager
def sentry() -> Iterator[Seen]:
    import sentry_sdk
    from sentry_sdk.integrations.boto3 import Boto3Integration

    transactions: list[Any] = []
    sentry_sdk.init(
        dsn="http://nobody@127.0.0.1:9/1",
        traces_sample_rate=1.0,
        integrations=[Boto3Integration()],
        default_integrations=False,
        before_send_transaction=lambda event, hint: transactions.append(event),
    )
    transaction = sentry_sdk.start_transaction(name="test")
    transaction.__enter__()

    def seen() -> list[str]:
        transaction.__exit__(None, None, None)
        (event,) = transactions
        return [span["description"] for span in event["spans"] if "swf" in span["description"]]

    yield seen


@contextmanager
def newrelic() -> Iterator[None]:
    """What it sees goes to its own service only."""
    import newrelic.agent

    newrelic.agent.initialize()
    yield None


@contextmanager
def vcr() -> Iterator[Seen]:
    import vcr

    with vcr.use_cassette(str(Path.home() / "tape.yaml")) as tape:
        yield lambda: [request.uri for request in tape.requests]


def main(name: str, url: str) -> None:
    os.environ.update(AWS_ACCESS_KEY_ID="x", AWS_SECRET_ACCESS_KEY="y")
    logging.disable()
    with globals()[name]() as seen:
        from swf_worker.options import Options
        from swf_worker.service.clients import _Factory

        factory = _Factory(Options(domain="d", task_list="t", endpoint_url=url))
        calls = factory.calls(5, 1)
        calls.call("PollForActivityTask", {"domain": "d", "taskList": {"name": "t"}})
        calls.call("RespondActivityTaskCompleted", {"taskToken": "t"})
        print(json.dumps({"why": factory.why_boto3, "seen": seen() if seen else None}), flush=True)
        os._exit(0)  # tracers try to deliver at exit


if __name__ == "__main__":
    main(*sys.argv[1:])
