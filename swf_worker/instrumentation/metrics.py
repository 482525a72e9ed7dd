"""Prometheus metrics of a worker (extra ``[prometheus]``)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

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

_DURATIONS = (0.1, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, 43200.0)
_CALLS = (0.005, 0.02, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0, 300.0)
_LATE = (0.1, 0.5, 1.0, 5.0, 15.0, 60.0)


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric, as it is documented."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    combined: Literal["sum", "max"] = "sum"
    """What becomes of it where several processes are one target."""


METRICS = (
    Metric(
        "swf_worker_polls_total",
        "counter",
        "Polls that ended: with a task, empty, cut (a load balancer ended an idle one), failed.",
        ("result",),
    ),
    Metric(
        "swf_worker_activities_total",
        "counter",
        "Tasks that are over. The outcome is completed, failed or canceled where SWF accepted that "
        "answer; late or closed where SWF had closed the task before; rejected where it refused "
        "the answer for good; handed_over for manual completion; abandoned where nothing was "
        "answered.",
        ("activity_type", "outcome"),
    ),
    Metric(
        "swf_worker_activity_duration_seconds",
        "histogram",
        "From the poll's answer to the handler's end.",
        ("activity_type",),
        _DURATIONS,
    ),
    Metric(
        "swf_worker_poll_to_start_seconds",
        "histogram",
        "From the poll's answer to the handler's call.",
        buckets=_CALLS,
    ),
    Metric(
        "swf_worker_answer_seconds",
        "histogram",
        "From the handler's end to the acceptance of its answer, retries included.",
        buckets=_CALLS,
    ),
    Metric(
        "swf_worker_heartbeats_total",
        "counter",
        "Heartbeats: accepted, cancel_requested (accepted, and the task's cancellation is "
        "requested), failed (tried again), closed (SWF has closed the task).",
        ("result",),
    ),
    Metric(
        "swf_worker_heartbeat_late_seconds",
        "histogram",
        "How late accepted heartbeats had left.",
        buckets=_LATE,
    ),
    Metric("swf_worker_slots", "gauge", "Slots: tasks that may run at once."),
    Metric("swf_worker_slots_used", "gauge", "Slots that have a task."),
    Metric("swf_worker_open_polls", "gauge", "Polls that are open."),
    Metric(
        "swf_worker_ready", "gauge", "Workers that take tasks: SWF accepts their polls, no stop."
    ),
    Metric(
        "swf_worker_oldest_task_seconds",
        "gauge",
        "How long the oldest running task has been running.",
        combined="max",
    ),
    Metric(
        "swf_worker_event_loop_lag_seconds",
        "gauge",
        "How long the event loop took to turn when it was last asked, once a second.",
        combined="max",
    ),
    Metric(
        "swf_worker_retries_total",
        "counter",
        "Calls to SWF that failed and are tried again. The code is SWF's, or (none) where there "
        "was no answer.",
        ("operation", "code"),
    ),
    Metric(
        "swf_worker_answers_presumed_accepted_total",
        "counter",
        "Answers that left, whose confirmation was lost, and whose task is closed now.",
    ),
    Metric(
        "swf_worker_answers_late_total",
        "counter",
        "Answers that were dropped: SWF had closed the task before.",
    ),
    Metric(
        "swf_worker_tasks_possibly_lost_total",
        "counter",
        "Polls that failed when SWF may have handed them a task, which will then time out.",
    ),
    Metric(
        "swf_worker_child_restarts_total",
        "counter",
        "Handler processes that died by themselves or could not start, and are replaced.",
    ),
    Metric(
        "swf_worker_events_total",
        "counter",
        "Everything else that is told, by the record's name: handler_stuck, credentials_"
        "not_refreshed, loop_blocked, task_repeated, internal_error and so on.",
        ("event",),
    ),
)
"""All that ``PrometheusObserver`` has."""
SUPERVISOR_METRICS = (
    Metric("swf_worker_processes", "gauge", "Worker processes that run (--processes)."),
    Metric(
        "swf_worker_processes_wedged",
        "gauge",
        "Worker processes that don't answer, or in which something stands still that must not.",
    ),
    Metric(
        "swf_worker_process_restarts_total",
        "counter",
        "Worker processes that ended by themselves, and are replaced.",
    ),
)
"""What a supervisor adds."""
COMBINED = {
    each.name: each.combined for each in (*METRICS, *SUPERVISOR_METRICS) if each.kind == "gauge"
}
"""How several processes' gauges are one."""

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
