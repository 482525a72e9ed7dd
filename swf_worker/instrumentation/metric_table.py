"""Every metric there is, as it is documented."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

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
