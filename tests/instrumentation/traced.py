"""Handlers of processes, and what they need there; observers that break."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult

from swf_worker import ActivityContext, ActivityWorker, activity


class ToFile(SpanExporter):
    """A line for each span."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)

    def export(self, spans: Any) -> SpanExportResult:
        with self._path.open("a") as file:
            for span in spans:
                file.write(json.dumps(told(span)) + "\n")
        return SpanExportResult.SUCCESS


def told(span: ReadableSpan) -> dict[str, Any]:
    assert span.context is not None
    return {
        "name": span.name,
        "trace": span.context.trace_id,
        "parent": span.parent.span_id if span.parent else None,
    }


class TracedWorker(ActivityWorker):
    """The program's own SDK, in each handler process."""

    def on_process_start(self) -> None:
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(ToFile(os.environ["SPANS_FILE"])))
        trace.set_tracer_provider(provider)


class InDecode:
    """A converter that makes a span of what it reads."""

    def decode(self, text: str | None, hint: Any) -> Any:
        with trace.get_tracer("mine").start_as_current_span("decode"):
            return text

    def encode(self, value: Any) -> str:
        return str(value)


@activity(name="Traced", version="1", isolation="process", converter=InDecode())
def traced(text: str) -> str:
    with trace.get_tracer("mine").start_as_current_span("inner"):
        return format(trace.get_current_span().get_span_context().trace_id, "032x")


@activity(name="Dies", version="1", isolation="process")
def dies() -> None:
    os._exit(3)


@activity(name="Hangs", version="1", isolation="process", deadline=0.5)
def hangs(context: ActivityContext) -> None:
    while True:
        context.wait_for_stop(60)


@activity(name="Raises", version="1", isolation="process")
def raises(context: ActivityContext) -> None:
    raise LookupError(f"of {context.task}")


def breaks(carrier: Mapping[str, str]) -> AbstractContextManager[None]:
    if carrier["how"] == "attach":
        raise RuntimeError("broken attach")
    return Breaks(carrier["how"])


class Breaks(AbstractContextManager[None]):
    def __init__(self, how: str) -> None:
        self._how = how

    def __enter__(self) -> None:
        if self._how == "enter":
            raise RuntimeError("broken enter")

    def __exit__(self, *_: object) -> None:
        if self._how == "exit":
            raise RuntimeError("broken exit")


class BrokenObserver:
    """Breaks on the task's way, here or there."""

    attach = staticmethod(breaks)

    def __init__(self, how: str) -> None:
        self._how = how

    def observe(self, record: Any) -> None: ...

    def around(self, task: Any) -> AbstractContextManager[None]:
        if self._how == "around":
            raise KeyboardInterrupt("broken around")
        return breaks({"how": self._how}) if self._how in ("enter", "exit") else nullcontext()

    def carrier(self, task: Any) -> dict[Any, Any]:
        if self._how == "carrier":
            raise RuntimeError("broken carrier")
        return {"how": {"surrogate": "\ud800", "no text": 3}.get(self._how, self._how)}
