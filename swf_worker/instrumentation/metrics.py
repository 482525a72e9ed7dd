"""Prometheus metrics of a worker (extra ``[prometheus]``)."""

from __future__ import annotations

import re
import threading
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
from ..task import ActivityTask, CancelReason
from ..text import printable
from .lines import LINES
from .metric_table import COMBINED as COMBINED
from .metric_table import METRICS as METRICS
from .metric_table import SUPERVISOR_METRICS as SUPERVISOR_METRICS
from .metric_table import Metric as Metric
from .tallies import Counter, Histogram, Labels

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
OUTCOMES = (
    *("completed", "failed", "canceled"),
    *(each.value for each in Disposition if each not in _ACCEPTED),
)
"""What becomes of tasks, as ``swf_worker_activities_total`` has it."""


class PrometheusObserver:
    """An observer that keeps metrics: ``observers=[PrometheusObserver()]``.

    registry: where they are registered; by default one of its own, in ``registry``, which
    ``health_port`` serves as ``/metrics``. One observer may serve several workers, and sums them.
    ConfigurationError where prometheus-client is not installed, or the registry has these metrics
    already. There are fewer than 600 series, whatever comes over the wire.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        try:
            from prometheus_client import CollectorRegistry
        except ImportError:
            raise ConfigurationError(missing("PrometheusObserver", "prometheus")) from None
        self.registry = registry or CollectorRegistry()
        self._lock = threading.Lock()
        """Each worker tells it in a thread of its own, and scrapes come in others."""
        self._views: list[WorkerView] = []
        self._types: dict[tuple[str, str], str] = {}
        self._counters = {m.name: Counter(m) for m in METRICS if m.kind == "counter"}
        self._histograms = {m.name: Histogram(m) for m in METRICS if m.kind == "histogram"}
        self._polls = self._series("polls_total")
        self._beats = self._series("heartbeats_total")
        self._outcomes = self._series("activities_total")
        self._retries = self._series("retries_total")
        self._events = self._series("events_total")
        self._duration = self._histograms["swf_worker_activity_duration_seconds"]
        self._to_start = self._histograms["swf_worker_poll_to_start_seconds"]
        self._answer = self._histograms["swf_worker_answer_seconds"]
        self._late = self._histograms["swf_worker_heartbeat_late_seconds"]
        self._told: dict[type[Observation], Callable[[Any], None]] = {
            PollSucceeded: self._poll_succeeded,
            PollCut: lambda record: self._count(self._polls, "cut"),
            PollFailed: self._poll_failed,
            HandlerStarted: lambda record: self._to_start.add(record.seconds),
            TaskDecided: self._decided,
            TaskEnded: self._ended,
            HeartbeatAccepted: self._beat_accepted,
            HeartbeatFailed: self._beat_failed,
            AnswerRetried: lambda record: self._retried(record.error),
            HandlerProcessDied: lambda record: self._count(self._series("child_restarts_total")),
            StopAsked: self._stop_asked,
            WorkerStarted: self._started,
        }
        # There from the start: an alert that waits for a rise must see it begin at 0.
        self._names = {kind: (event_name(kind),) for kind in LINES if kind not in _UNCOUNTED}
        for name in self._names.values():
            self._events[name] = 0
        for result in ("task", "empty", "cut", "failed"):
            self._polls[result,] = 0
        for result in ("accepted", "cancel_requested", "failed", "closed"):
            self._beats[result,] = 0
        try:
            self.registry.register(self)
        except ValueError:
            raise ConfigurationError(
                "this registry has a PrometheusObserver's metrics already: one observer may serve "
                "several workers"
            ) from None

    def _series(self, name: str) -> dict[Labels, int]:
        return self._counters[f"{PREFIX}{name}"].series

    # --- an observer ----------------------------------------------------------------------------

    def wants(self, kind: type[Observation]) -> bool:
        """What is counted."""
        return kind in self._told or kind in self._names

    def watch(self, view: WorkerView) -> None:
        """From now on this worker is one of those that the gauges tell of."""
        with self._lock:
            self._views.append(view)

    def observe(self, record: Observation) -> None:
        """Count it."""
        kind = type(record)
        told, name = self._told.get(kind), self._names.get(kind)
        with self._lock:
            if told is not None:
                told(record)
            if name is not None:
                self._events[name] += 1

    # --- what the records are -------------------------------------------------------------------

    def _count(self, series: dict[Labels, int], *labels: str) -> None:
        series[labels] += 1

    def _started(self, record: WorkerStarted) -> None:
        for activity_type in record.activities[: max(0, MOST_TYPES - len(self._types))]:
            name = str(activity_type)
            self._types[activity_type.name, activity_type.version] = name
            for outcome in OUTCOMES:
                self._outcomes[name, outcome] += 0

    def _poll_succeeded(self, record: PollSucceeded) -> None:
        self._polls["task" if record.task is not None else "empty",] += 1

    def _poll_failed(self, record: PollFailed) -> None:
        self._polls["failed",] += 1
        self._retried(record.error)
        if record.task_may_be_lost:
            self._count(self._series("tasks_possibly_lost_total"))

    def _beat_accepted(self, record: HeartbeatAccepted) -> None:
        self._beats["cancel_requested" if record.cancel_requested else "accepted",] += 1
        self._late.add(record.late_by)

    def _beat_failed(self, record: HeartbeatFailed) -> None:
        self._beats["failed",] += 1
        self._retried(record.error)

    def _stop_asked(self, record: StopAsked) -> None:
        if record.reason is CancelReason.TASK_CLOSED:
            self._beats["closed",] += 1

    def _decided(self, record: TaskDecided) -> None:
        self._duration.add(record.seconds, (self._type(record.task),))

    def _ended(self, record: TaskEnded) -> None:
        outcome = record.disposition
        if outcome in _ACCEPTED and record.outcome is not None:
            outcome = type(record.outcome).__name__.lower()
        self._outcomes[self._type(record.task), str(outcome)] += 1
        if record.answer_seconds is not None:
            self._answer.add(record.answer_seconds)
        if record.disposition == Disposition.PRESUMED_ACCEPTED:
            self._count(self._series("answers_presumed_accepted_total"))
        elif record.disposition == Disposition.LATE:
            self._count(self._series("answers_late_total"))

    def _type(self, task: ActivityTask) -> str:
        kind = task.activity_type
        known = self._types.get((kind.name, kind.version))
        return known or (UNREGISTERED if len(self._types) < MOST_TYPES else OTHERS)

    def _retried(self, error: ServiceError) -> None:
        labels = (error.operation, printable(error.code[:MOST_LETTERS]) or NO_CODE)
        if labels not in self._retries and len(self._retries) >= MOST_RETRIES:
            labels = (OTHERS, OTHERS)
        self._retries[labels] += 1

    # --- a collector of the registry's ----------------------------------------------------------

    def describe(self) -> list[Family]:
        """Their names, so that a registry finds out that it has them."""
        from prometheus_client.metrics_core import Metric as Family

        return [Family(each.name.removesuffix("_total"), each.help, each.kind) for each in METRICS]

    def collect(self) -> Iterator[Family]:
        """All of them; gauges are read now, of the workers that have not ended."""
        with self._lock:
            families = [each.family() for each in self._counters.values()]
            families += [each.family() for each in self._histograms.values()]
            views = list(self._views)
        yield from families
        seen = [(view, view.status(tasks=False)) for view in views]
        live = [(view, status) for view, status in seen if status.worker.state != "stopped"]
        with self._lock:
            ended = [view for view, status in seen if status.worker.state == "stopped"]
            self._views = [view for view in self._views if view not in ended]
        values = _values([status for _, status in live])
        values["ready"] = sum(view.not_ready() is None for view, _ in live)
        for each in METRICS:
            if each.kind == "gauge":
                yield _gauge(each, values[each.name.removeprefix(PREFIX)])


def _values(statuses: list[WorkerStatus]) -> dict[str, float]:
    return {
        "slots": sum(status.slots.max for status in statuses),
        "slots_used": sum(status.slots.used for status in statuses),
        "open_polls": sum(status.slots.open_polls for status in statuses),
        "oldest_task_seconds": max((status.oldest for status in statuses), default=0.0),
        "event_loop_lag_seconds": max((status.loop_lag or 0.0 for status in statuses), default=0.0),
    }


def event_name(kind: type[Observation]) -> str:
    """A record's name, as ``swf_worker_events_total`` has it: LoopBlocked is loop_blocked."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).lower()


def _gauge(metric: Metric, value: float) -> Family:
    from prometheus_client.metrics_core import GaugeMetricFamily

    return GaugeMetricFamily(metric.name, metric.help, value=value)
