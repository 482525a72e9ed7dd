"""Prometheus metrics of a worker (extra ``[prometheus]``)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from ..core.messages import Disposition
from ..errors import ConfigurationError, ServiceError
from ..extras import missing
from ..observations import (
    AnswerRetried,
    HandlerLogged,
    HandlerProcessDied,
    HandlerRecorded,
    HandlerStarted,
    HeartbeatAccepted,
    HeartbeatFailed,
    Observation,
    PollCut,
    PollFailed,
    PollSucceeded,
    StopAsked,
    TaskDecided,
    TaskEnded,
    TaskReported,
    TaskStarted,
    ThreadReported,
    WorkerReported,
    WorkerStarted,
)
from ..status import WorkerStatus, WorkerView
from ..task import ActivityType, CancelReason
from ..text import printable
from .lines import LINES
from .metric_table import COMBINED as COMBINED
from .metric_table import METRICS as METRICS
from .metric_table import SUPERVISOR_METRICS as SUPERVISOR_METRICS
from .metric_table import Metric as Metric

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.metrics_core import Metric as Family

PREFIX = "swf_worker_"
MOST_TYPES = 20
"""Activity types with series of their own; those beyond share ``(others)``."""
MOST_RETRIES, MOST_LETTERS = 40, 60
"""The same of the operations and error codes of retries: whoever stands before SWF may make up
codes."""
UNREGISTERED, OTHERS, NO_CODE = "(unregistered)", "(others)", "(none)"

_COUNTED_ELSEWHERE = (
    PollSucceeded,
    PollCut,
    PollFailed,
    TaskStarted,
    HandlerStarted,
    HeartbeatAccepted,
    HeartbeatFailed,
    TaskDecided,
    TaskEnded,
    HandlerProcessDied,
    AnswerRetried,
    HandlerLogged,
    HandlerRecorded,
    WorkerReported,
    TaskReported,
    ThreadReported,
)
_UNCOUNTED = frozenset(_COUNTED_ELSEWHERE)
_ACCEPTED = (Disposition.ACCEPTED, Disposition.PRESUMED_ACCEPTED)


class PrometheusObserver:
    """An observer that keeps metrics: ``observers=[PrometheusObserver()]``.

    registry: where they are registered; by default one of its own, in ``registry``, which
    ``health_port`` serves as ``/metrics``. One observer may serve several workers, and sums them.
    ConfigurationError where prometheus-client is not installed, or the registry has these metrics
    already. There are fewer than 600 series, whatever comes over the wire.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        try:
            import prometheus_client
        except ImportError:
            raise ConfigurationError(missing("PrometheusObserver", "prometheus")) from None
        own = prometheus_client.CollectorRegistry()
        self.registry = registry or prometheus_client.CollectorRegistry()
        self._own = own
        self._views: list[WorkerView] = []
        self._types: dict[ActivityType, str] = {}
        self._retries: dict[tuple[str, str], Any] = {}
        made = {
            each.name.removeprefix(PREFIX): _made(each, own)
            for each in METRICS
            if each.kind != "gauge"
        }
        try:
            self.registry.register(self)
        except ValueError:
            raise ConfigurationError(
                "this registry has a PrometheusObserver's metrics already: one observer may serve "
                "several workers"
            ) from None
        self._metrics: dict[str, Any] = made
        self._polls = {
            name: made["polls_total"].labels(name) for name in ("task", "empty", "cut", "failed")
        }
        self._beats = {
            name: made["heartbeats_total"].labels(name)
            for name in ("accepted", "cancel_requested", "failed", "closed")
        }
        self._outcomes: dict[tuple[str, str], Any] = {}
        self._durations: dict[str, Any] = {}
        self._told: dict[type[Observation], Callable[[Any], None]] = {
            PollSucceeded: self._poll_succeeded,
            PollCut: lambda record: self._polls["cut"].inc(),
            PollFailed: self._poll_failed,
            HandlerStarted: lambda record: made["poll_to_start_seconds"].observe(record.seconds),
            TaskDecided: lambda record: self._duration(record).observe(record.seconds),
            TaskEnded: self._ended,
            HeartbeatAccepted: self._beat_accepted,
            HeartbeatFailed: self._beat_failed,
            AnswerRetried: lambda record: self._retried(record.error),
            HandlerProcessDied: lambda record: made["child_restarts_total"].inc(),
            StopAsked: self._stop_asked,
            WorkerStarted: self._started,
        }
        self._events: dict[type[Observation], Any] = {
            # There from the start: an alert that waits for a rise must see it begin at 0.
            kind: made["events_total"].labels(event_name(kind))
            for kind in LINES
            if kind not in _UNCOUNTED
        }

    # --- an observer ----------------------------------------------------------------------------

    def wants(self, kind: type[Observation]) -> bool:
        """All but the start of a task, which comes before its handler's."""
        return kind is not TaskStarted

    def watch(self, view: WorkerView) -> None:
        """From now on this worker is one of those that the gauges tell of."""
        self._views.append(view)

    def observe(self, record: Observation) -> None:
        """Count it."""
        kind = type(record)
        told = self._told.get(kind)
        if told is not None:
            told(record)
        counted = self._events.get(kind)
        if counted is not None:
            counted.inc()

    # --- what the records are -------------------------------------------------------------------

    def _started(self, record: WorkerStarted) -> None:
        for activity_type in record.activities[: max(0, MOST_TYPES - len(self._types))]:
            name = self._types[activity_type] = str(activity_type)
            for outcome in ("completed", "failed", "canceled"):
                self._outcome(name, outcome)  # there from the start: what rises from 0 is a rise

    def _poll_succeeded(self, record: PollSucceeded) -> None:
        self._polls["task" if record.task is not None else "empty"].inc()

    def _poll_failed(self, record: PollFailed) -> None:
        self._polls["failed"].inc()
        self._retried(record.error)
        if record.task_may_be_lost:
            self._metrics["tasks_possibly_lost_total"].inc()

    def _beat_accepted(self, record: HeartbeatAccepted) -> None:
        self._beats["cancel_requested" if record.cancel_requested else "accepted"].inc()
        self._metrics["heartbeat_late_seconds"].observe(record.late_by)

    def _beat_failed(self, record: HeartbeatFailed) -> None:
        self._beats["failed"].inc()
        self._retried(record.error)

    def _stop_asked(self, record: StopAsked) -> None:
        if record.reason is CancelReason.TASK_CLOSED:
            self._beats["closed"].inc()

    def _ended(self, record: TaskEnded) -> None:
        outcome = record.disposition
        if outcome in _ACCEPTED and record.outcome is not None:
            outcome = type(record.outcome).__name__.lower()
        self._outcome(self._type(record.task.activity_type), outcome).inc()
        if record.answer_seconds is not None:
            self._metrics["answer_seconds"].observe(record.answer_seconds)
        if record.disposition == Disposition.PRESUMED_ACCEPTED:
            self._metrics["answers_presumed_accepted_total"].inc()
        elif record.disposition == Disposition.LATE:
            self._metrics["answers_late_total"].inc()

    def _outcome(self, activity_type: str, outcome: str) -> Any:
        known = self._outcomes.get((activity_type, outcome))
        if known is None:
            known = self._metrics["activities_total"].labels(activity_type, str(outcome))
            self._outcomes[activity_type, outcome] = known
        return known

    def _duration(self, record: TaskDecided) -> Any:
        activity_type = self._type(record.task.activity_type)
        known = self._durations.get(activity_type)
        if known is None:
            known = self._metrics["activity_duration_seconds"].labels(activity_type)
            self._durations[activity_type] = known
        return known

    def _type(self, activity_type: ActivityType) -> str:
        return self._types.get(activity_type, OTHERS if self._is_full else UNREGISTERED)

    @property
    def _is_full(self) -> bool:
        return len(self._types) >= MOST_TYPES

    def _retried(self, error: ServiceError) -> None:
        key = (error.operation, printable(error.code[:MOST_LETTERS]) or NO_CODE)
        known = self._retries.get(key)
        if known is None:
            labels = key if len(self._retries) < MOST_RETRIES else (OTHERS, OTHERS)
            known = self._metrics["retries_total"].labels(*labels)
            if len(self._retries) < 2 * MOST_RETRIES:
                self._retries[key] = known
        known.inc()

    # --- a collector of the registry's ----------------------------------------------------------

    def describe(self) -> list[Family]:
        """Their names, so that a registry finds out that it has them."""
        from prometheus_client.metrics_core import Metric as Family

        return [Family(each.name.removesuffix("_total"), each.help, each.kind) for each in METRICS]

    def collect(self) -> Iterator[Family]:
        """All of them; gauges are read now, of the workers that have not ended."""
        for family in self._own.collect():
            # When a series began says nothing that its rise doesn't, and would double them.
            family.samples = [s for s in family.samples if not s.name.endswith("_created")]
            yield family
        seen = [(view, view.status()) for view in list(self._views)]
        live = [(view, status) for view, status in seen if status.worker.state != "stopped"]
        for view, status in seen:
            if status.worker.state == "stopped":  # and is nobody's any more
                self._views.remove(view)
        values = _values([status for _, status in live])
        values["ready"] = sum(view.not_ready() is None for view, _ in live)
        for each in METRICS:
            if each.kind == "gauge":
                yield _gauge(each, values[each.name.removeprefix(PREFIX)])


def _values(statuses: list[WorkerStatus]) -> dict[str, float]:
    running = [task.seconds for status in statuses for task in status.running]
    return {
        "slots": sum(status.slots.max for status in statuses),
        "slots_used": sum(status.slots.used for status in statuses),
        "open_polls": sum(status.slots.open_polls for status in statuses),
        "oldest_task_seconds": max(running, default=0.0),
        "event_loop_lag_seconds": max((status.loop_lag or 0.0 for status in statuses), default=0.0),
    }


def event_name(kind: type[Observation]) -> str:
    """A record's name, as ``swf_worker_events_total`` has it: LoopBlocked is loop_blocked."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).lower()


def _made(metric: Metric, registry: CollectorRegistry) -> Any:
    from prometheus_client import Counter, Histogram

    if metric.kind == "counter":
        return Counter(metric.name, metric.help, metric.labels, registry=registry)
    return Histogram(
        metric.name, metric.help, metric.labels, registry=registry, buckets=metric.buckets
    )


def _gauge(metric: Metric, value: float) -> Family:
    from prometheus_client.metrics_core import GaugeMetricFamily

    return GaugeMetricFamily(metric.name, metric.help, value=value)
