"""Traces: an observer that makes OpenTelemetry's spans of tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import ConfigurationError
from ..extras import missing
from ..observations import Observation

if TYPE_CHECKING:
    from opentelemetry.trace import TracerProvider

    from .spans import WorkerSpans


class OpenTelemetryObserver:
    """Makes spans of tasks, with the names of OpenTelemetry's conventions for messaging.

    ``process`` is a task's, from the poll's answer to its end: current in its handler, whichever
    way that runs, so that what the handler calls hangs below it. ``settle``, below it, is the
    answer (RespondActivityTaskCompleted, …Canceled or …Failed) with its retries; ``receive`` the
    poll that brought the task (PollForActivityTask), in a trace of its own. Polls that come back
    empty have none, nor have heartbeats. docs/traces.md has the attributes.

    It needs the extra ``[otel]``, which is OpenTelemetry's API alone: the program brings the SDK.
    Several workers may share one. An error of a tracer's is logged and touches no task.
    """

    def __init__(self, tracer_provider: TracerProvider | None = None) -> None:
        """``tracer_provider`` makes the spans; the program's global one by default, whenever that
        is set. ConfigurationError where opentelemetry-api isn't installed."""
        try:
            from .spans import tracer
        except ImportError:
            raise ConfigurationError(missing("OpenTelemetryObserver", "otel")) from None
        self._tracer = tracer(tracer_provider)

    def for_worker(self, domain: str, task_list: str, identity: str | None) -> WorkerSpans:
        """What makes the spans of one worker."""
        from .spans import WorkerSpans

        return WorkerSpans(self._tracer, domain, task_list, identity)

    def observe(self, record: Observation) -> None:
        """Nothing: ``for_worker`` is told of each worker."""
