"""The workers of this process, as those who ask about them see them."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from ...clock import now
from ...errors import ConfigurationError, ServiceError
from ...observations import Observation, Observer, TaskEnded
from ...outcome import Failed
from ...runtime.threads.clock import start_daemon
from ...status import Backlog, EndedTask, WorkerView, named
from ...text import printable
from ..metrics import COMBINED, PrometheusObserver
from .snapshot import ProcessSnapshot, WorkerSnapshot, combined, families_of

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

RECENT = 100
"""Tasks whose end is remembered."""
COUNTED_EACH = 15.0
"""Seconds between two counts of a backlog: SWF allows an account and region six a second."""


class WatchedWorker:
    """One worker: an observer of it that remembers the last tasks."""

    def __init__(self) -> None:
        self.view: WorkerView | None = None
        """None until it starts."""
        self._recent: deque[TaskEnded] = deque(maxlen=RECENT)

    def wants(self, kind: type[Observation]) -> bool:
        """The ends of tasks."""
        return kind is TaskEnded

    def watch(self, view: WorkerView) -> None:
        """The worker starts."""
        self.view = view

    def observe(self, record: Observation) -> None:
        """Remember a task's end."""
        if isinstance(record, TaskEnded):
            self._recent.append(record)

    def snapshot(self, *, tasks: bool) -> WorkerSnapshot | None:
        """What it does now; None before its start."""
        view = self.view
        if view is None:
            return None
        recent = [_ended(record) for record in list(self._recent)[::-1]] if tasks else []
        status = view.status(tasks=tasks)
        return WorkerSnapshot(status, recent, list(view.wedged()), view.not_ready())


def _ended(record: TaskEnded) -> EndedTask:
    outcome = record.outcome
    return EndedTask(
        *named(record.task),
        type(outcome).__name__ if outcome is not None else None,
        str(record.disposition),
        printable(outcome.reason) if isinstance(outcome, Failed) else None,
        round(record.seconds, 3),
        datetime.fromtimestamp(record.at, UTC).isoformat(timespec="milliseconds"),
    )


class WatchedProcess:
    """All of them. Metrics are kept where prometheus-client is installed."""

    def __init__(self) -> None:
        self._workers: list[WatchedWorker] = []
        self._observer: PrometheusObserver | None = None
        self._registries: list[CollectorRegistry] = []
        self._no_metrics: str | None = None
        self._counted: Backlog | ServiceError | None = None
        self._counted_at = 0.0
        self._counting = threading.Lock()

    def observers_of(self, own: Sequence[Observer]) -> list[Observer]:
        """What is to be observing one more worker, beside its own observers. The program's own
        PrometheusObserver is used where there is one."""
        worker = WatchedWorker()
        self._workers.append(worker)
        for observer in own:
            if isinstance(observer, PrometheusObserver):
                self._serve(observer.registry)
                return [worker]
        if self._observer is None:
            try:
                self._observer = PrometheusObserver()
            except ConfigurationError as error:
                self._no_metrics = str(error).replace("PrometheusObserver", "/metrics")
                return [worker]
        self._serve(self._observer.registry)
        return [worker, self._observer]

    def _serve(self, registry: CollectorRegistry) -> None:
        if registry not in self._registries:
            self._registries.append(registry)

    def snapshot(self, *, tasks: bool = False, metrics: bool = False) -> ProcessSnapshot:
        """What this process does now; its tasks where they are asked for: probes come often."""
        snapshots = [worker.snapshot(tasks=tasks) for worker in self._workers]
        workers = [each for each in snapshots if each is not None]
        found = ProcessSnapshot(os.getpid(), workers, tasks)
        if not metrics:
            return found
        if not self._registries:
            return msgspec.structs.replace(found, no_metrics=self._no_metrics)
        kept = [("", families_of(registry)) for registry in self._registries]
        return msgspec.structs.replace(found, metrics=combined(kept, COMBINED))

    def backlog(self) -> Backlog:
        """How many tasks wait in the workers' task lists. It blocks; ServiceError. Asked more
        often, it tells what it has counted."""
        with self._counting:
            if self._counted is None or now() - self._counted_at > COUNTED_EACH:
                try:
                    self._counted = self._count()
                except ServiceError as error:
                    self._counted = error
                self._counted_at = now()
            if isinstance(self._counted, ServiceError):
                raise self._counted
            return self._counted

    def backlog_so_far(self) -> Backlog | ServiceError | None:
        """What was counted lately; None where it is being counted, which this begins. It doesn't
        block."""
        fresh = now() - self._counted_at <= COUNTED_EACH
        if self._counted is not None and fresh:
            return self._counted
        if not self._counting.locked():
            start_daemon("backlog", self._count_beside)
        return None

    def _count_beside(self) -> None:
        with suppress(ServiceError):
            self.backlog()

    def _count(self) -> Backlog:
        views: dict[tuple[str, str], WorkerView] = {}
        for worker in self._workers:
            if worker.view is not None:
                facts = worker.view.status(tasks=False).worker
                views[facts.domain, facts.task_list] = worker.view
        if not views:
            raise ServiceError("CountPendingActivityTasks", "", "no worker has started yet")
        counts = [view.backlog() for view in views.values()]
        return Backlog(sum(c.count for c in counts), any(c.truncated for c in counts))
