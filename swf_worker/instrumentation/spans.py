"""One worker's spans, made of the records of its tasks. (This file alone imports OpenTelemetry.)"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, SpanContext, SpanKind, Tracer, TracerProvider
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.trace.status import Status, StatusCode

from ..clock import wall
from ..core.messages import Disposition
from ..errors import ServiceError
from ..observations import (
    AnswerRetried,
    HandlerStuck,
    Observation,
    PollSucceeded,
    ProgramEnded,
    StopAsked,
    TaskDecided,
    TaskEnded,
    TaskHeld,
    TaskRepeated,
    TaskStarted,
    WorkerStopped,
)
from ..outcome import Failed, Outcome
from ..task import ActivityTask
from ..text import NOT_JSON, printable
from .exceptions import exception_of

SYSTEM = "aws_swf"
MOST_OPEN = 200_000
"""Tasks that a worker can have: what is older was lost with the record of its end."""
MOST_UNANSWERED = 1_000
"""Ended tasks whose answer may be sent again, that are remembered."""
MOST_RETRIES = 100
"""Retries of an answer that become events."""
_W3C = TraceContextTextMapPropagator()


def tracer(provider: TracerProvider | None) -> Tracer:
    """What makes the spans."""
    return trace.get_tracer("swf_worker", tracer_provider=provider)


class Current:
    """A context manager in which a span is the current one. It is left with the context
    (``contextvars``) that it was entered in, which is the handler's own: nothing is put back."""

    __slots__ = ("_span",)

    def __init__(self, span: Span) -> None:
        self._span = span

    def __enter__(self) -> None:
        contexts.attach(trace.set_span_in_context(self._span))

    def __exit__(self, *_: object) -> None:
        pass


def attach(carrier: Mapping[str, str]) -> Current:
    """In a handler process: the task's span is the parent of what is made there."""
    return Current(trace.get_current_span(_W3C.extract(carrier, Context())))


@dataclass(slots=True)
class TaskSpans:
    """A task, and what its spans are made of."""

    token: str
    process: Span
    about: dict[str, Any]
    """The attributes that they share."""
    links: list[Link]
    """To where the task came from."""
    answered_from: float | None = None
    """Since when its answer is being sent, if it is."""
    decided: TaskDecided | None = None
    retries: list[AnswerRetried] = field(default_factory=list)


class WorkerSpans:
    """An observer of one worker, and what is around its handlers."""

    attach = staticmethod(attach)

    def __init__(self, tracer: Tracer, domain: str, task_list: str, identity: str | None) -> None:
        self._tracer = tracer
        self._task_list = printable(task_list)
        self._common = {
            "messaging.system": SYSTEM,
            "messaging.destination.name": self._task_list,
            "messaging.client.id": printable(identity or ""),
            "swf.domain": printable(domain),
        }
        self._polls: dict[str, PollSucceeded] = {}
        """By token: those that brought a task, until what becomes of it is known."""
        self._open: dict[str, TaskSpans] = {}
        self._unanswered: dict[str, SpanContext] = {}
        """Of tasks that have ended: their answer may be sent again."""
        self._told: dict[type[Observation], Callable[[Any], None]] = {
            PollSucceeded: self._polled,
            TaskStarted: self._started,
            TaskRepeated: self._repeated,
            TaskHeld: self._happened,
            StopAsked: self._happened,
            HandlerStuck: self._happened,
            TaskDecided: self._decided,
            AnswerRetried: self._retried,
            TaskEnded: self._ended,
            ProgramEnded: self._over,
            WorkerStopped: self._over,
        }

    def wants(self, kind: type[Observation]) -> bool:
        """Whether spans are made of records of this kind."""
        return kind in self._told

    def observe(self, record: Observation) -> None:
        """Make a span, or keep what it is made of."""
        told = self._told.get(type(record))
        if told is not None:
            told(record)

    # --- where handlers run ---------------------------------------------------------------------

    def around(self, task: ActivityTask) -> Current:
        """The task's span, current in its handler."""
        return Current(self._begin(task, wall()).process)

    def carrier(self, task: ActivityTask) -> dict[str, str]:
        """The task's span, for the handler's process."""
        carrier: dict[str, str] = {}
        span = self._begin(task, wall()).process
        _W3C.inject(carrier, trace.set_span_in_context(span, Context()))
        return carrier

    def _begin(self, task: ActivityTask, at: float) -> TaskSpans:
        about, links = self._common | _attributes(task), _creation(task)
        span = self._start("process", SpanKind.CONSUMER, about, at, links)
        spans = TaskSpans(task.task_token, span, about, links)
        _keep(self._open, task.task_token, spans, MOST_OPEN)
        return spans

    def _start(
        self,
        operation: str,
        kind: SpanKind,
        about: dict[str, Any],
        at: float,
        links: list[Link],
        parent: Context | None = None,
    ) -> Span:
        named = {"messaging.operation.name": operation, "messaging.operation.type": operation}
        # An empty context where it has no parent: whatever is current here is none.
        within = parent if parent is not None else Context()
        name = f"{operation} {self._task_list}"
        return self._tracer.start_span(name, within, kind, named | about, links, _nanoseconds(at))

    # --- a poll that brought a task -------------------------------------------------------------

    def _polled(self, record: PollSucceeded) -> None:
        if record.task is not None:
            _keep(self._polls, record.task.task_token, record, MOST_OPEN)

    def _started(self, record: TaskStarted) -> None:
        spans = self._open.get(record.task.task_token)
        if spans is not None:
            self._receive(record.task, spans)

    def _repeated(self, record: TaskRepeated) -> None:
        """SWF delivered a token again; where an answer is sent again, that has its span."""
        task, token = record.task, record.task.task_token
        spans = self._open.get(token)
        if spans is not None:
            spans.process.add_event("swf.redelivered", timestamp=_nanoseconds(record.at))
            self._receive(task, spans, again=True)
        elif (known := self._unanswered.pop(token, None)) is not None:
            about = self._common | _attributes(task)
            spans = TaskSpans(token, trace.NonRecordingSpan(known), about, _creation(task))
            if record.answer_sent_again:
                spans.answered_from = record.at
                _keep(self._open, token, spans, MOST_OPEN)
            self._receive(task, spans, again=True)
        else:
            self._polls.pop(token, None)

    def _receive(self, task: ActivityTask, spans: TaskSpans, *, again: bool = False) -> None:
        polled = self._polls.pop(task.task_token, None)
        if polled is None or not _is_sampled(spans.process):
            return
        about = spans.about | {"swf.redelivered": True} if again else spans.about
        links = [*spans.links, Link(spans.process.get_span_context())]
        at = polled.at - polled.seconds
        self._start("receive", SpanKind.CLIENT, about, at, links).end(_nanoseconds(polled.at))

    # --- a task ---------------------------------------------------------------------------------

    def _happened(self, record: TaskHeld | StopAsked | HandlerStuck) -> None:
        spans = self._open.get(record.task.task_token)
        if spans is not None:
            name, attributes = _event(record)
            spans.process.add_event(name, attributes, _nanoseconds(record.at))

    def _decided(self, record: TaskDecided) -> None:
        spans = self._open.get(record.task.task_token)
        if spans is None:  # its handler was never to run
            spans = self._begin(record.task, record.at - record.seconds)
            self._receive(record.task, spans)
        spans.decided = record
        if record.outcome is not None:
            spans.answered_from = record.at

    def _retried(self, record: AnswerRetried) -> None:
        spans = self._open.get(record.task.task_token)
        if spans is not None and len(spans.retries) < MOST_RETRIES:
            spans.retries.append(record)

    def _ended(self, record: TaskEnded) -> None:
        token = record.task.task_token
        spans = self._open.pop(token, None)
        if spans is None:
            return  # the record of its beginning was lost
        self._end(spans, record.at, record.disposition, record.outcome, record.error)
        if record.outcome is not None and record.disposition != Disposition.ACCEPTED:
            _keep(self._unanswered, token, spans.process.get_span_context(), MOST_UNANSWERED)

    def _over(self, record: ProgramEnded | WorkerStopped) -> None:
        """Nothing more is told. What has not ended was abandoned."""
        self._polls.clear()
        while self._open:
            _, spans = self._open.popitem()
            self._end(spans, record.at, Disposition.ABANDONED, None, None)

    def _end(
        self,
        spans: TaskSpans,
        at: float,
        disposition: str,
        outcome: Outcome | None,
        error: ServiceError | None,
    ) -> None:
        how = {"swf.disposition": str(disposition)}
        if outcome is not None:
            how["swf.outcome"] = type(outcome).__name__
        try:
            if spans.answered_from is not None and _is_sampled(spans.process):
                self._settle(spans, spans.answered_from, at, how, error)
            spans.process.set_attributes(how)
            if isinstance(outcome, Failed):
                _mark_failed(spans, outcome, at)
        finally:
            spans.process.end(_nanoseconds(at))

    def _settle(
        self,
        spans: TaskSpans,
        since: float,
        at: float,
        how: dict[str, str],
        error: ServiceError | None,
    ) -> None:
        disposition = how["swf.disposition"]
        accepted = disposition in (Disposition.ACCEPTED, Disposition.PRESUMED_ACCEPTED)
        about = spans.about | how
        if not accepted:
            about["error.type"] = _type_of(error) if error is not None else disposition
        parent = trace.set_span_in_context(spans.process, Context())
        settle = self._start("settle", SpanKind.CLIENT, about, since, [], parent)
        for retried in spans.retries:
            settle.add_event(
                "swf.answer_retried",
                {"error.type": _type_of(retried.error), "swf.retry_in": retried.retry_in},
                _nanoseconds(retried.at),
            )
        if not accepted:
            settle.set_status(Status(StatusCode.ERROR, disposition))
        settle.end(_nanoseconds(at))


def _keep(kept: dict[str, Any], token: str, value: Any, most: int) -> None:
    """Keep it by its task's token; forget the oldest where there are too many."""
    kept[token] = value
    while len(kept) > most:
        kept.pop(next(iter(kept)), None)


def _is_sampled(span: Span) -> bool:
    """Where it isn't, the others of its task aren't wanted either."""
    return span.get_span_context().trace_flags.sampled


def _nanoseconds(at: float) -> int:
    return int(at * 1e9)


def _attributes(task: ActivityTask) -> dict[str, Any]:
    """Which task it is. (Its token is a credential, and in no span.)"""
    activity_id = printable(task.activity_id)
    return {
        "messaging.message.id": activity_id,
        "swf.workflow_id": printable(task.workflow_execution.workflow_id),
        "swf.run_id": printable(task.workflow_execution.run_id),
        "swf.activity_id": activity_id,
        "swf.activity_type.name": printable(task.activity_type.name),
        "swf.activity_type.version": printable(task.activity_type.version),
    }


class _Headers(msgspec.Struct):
    traceparent: str
    tracestate: str = ""


_headers = msgspec.json.Decoder(_Headers)


def _creation(task: ActivityTask) -> list[Link]:
    """A link to the span that the input names: whoever scheduled the activity, mostly."""
    text = task.input
    if text is None or "traceparent" not in text:
        return []
    try:
        given = msgspec.structs.asdict(_headers.decode(text))
    except NOT_JSON:
        return []
    named = trace.get_current_span(_W3C.extract(given, Context())).get_span_context()
    return [Link(named)] if named.is_valid else []


def _event(record: TaskHeld | StopAsked | HandlerStuck) -> tuple[str, dict[str, str | int]]:
    match record:
        case StopAsked(reason=reason):
            return "swf.stop_asked", {"swf.cancel_reason": reason.value}
        case TaskHeld(max_concurrent=most):
            return "swf.task_held", {"swf.max_concurrent": most}
    return "swf.handler_stuck", {}


def _type_of(error: ServiceError) -> str:
    """A low number of values, and never the message: a service may quote a token there."""
    return error.code or type(error).__name__


def _mark_failed(spans: TaskSpans, failed: Failed, at: float) -> None:
    reason, decided = printable(failed.reason), spans.decided
    error = decided.error if decided is not None and decided.outcome == failed else None
    told = exception_of(error, reason, secret=spans.token)
    when = decided.at if decided is not None else at
    spans.process.set_attribute("error.type", reason)
    spans.process.add_event("exception", told, _nanoseconds(when))
    spans.process.set_status(Status(StatusCode.ERROR, reason))
