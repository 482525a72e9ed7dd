"""What one worker does now, put together from its parts for whoever watches it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields

from ..core import lifecycle, probes
from ..options import Options, default_identity
from ..status import Backlog, Slots, WorkerFacts, WorkerStatus
from .assembly import Parts
from .heartbeats.heartbeater import TaskBeats
from .stopping.lifecycle_driver import LifecycleDriver

_NOT_PLAIN = ("session", "client_config", "converter", "event_loop", "on_fatal_error")
_ELSEWHERE = ("domain", "task_list", "identity", *_NOT_PLAIN)
_PLAIN = (str, int, float, bool)


class EngineView:
    """The ``WorkerView`` of a running worker."""

    def __init__(self, options: Options, parts: Parts, driver: LifecycleDriver) -> None:
        self._options = options
        self._parts = parts
        self._driver = driver

    def status(self, *, tasks: bool = True) -> WorkerStatus:
        """What it does now."""
        options, parts = self._options, self._parts
        facts = WorkerFacts(
            self._state(),
            options.domain,
            options.task_list,
            options.identity or default_identity(),
            _plain(options, parts.service.why_boto3),
        )
        poller = parts.poller
        slots = Slots(options.max_concurrent_activities, poller.running, poller.open_polls)
        runs = parts.open_tasks.open_runs()
        oldest = round(max((run.seconds for run in runs), default=0.0), 3)
        running = tuple(run.status() for run in runs) if tasks else ()
        return WorkerStatus(facts, slots, running, oldest, parts.runners.loop_lag)

    def wedged(self) -> tuple[str, ...]:
        """What of this process stands still that must not."""
        if self._driver.state.phase is lifecycle.Phase.STOPPED:
            return ()
        parts = self._parts
        beats = parts.task_services.heartbeater.stands_still(self._beats())
        return probes.wedged(parts.timers.behind(), parts.poller.stands_still(), beats)

    def not_ready(self) -> str | None:
        """Why it takes no tasks now."""
        heartbeater = self._parts.task_services.heartbeater
        refused = max(self._parts.poller.refused_for(), heartbeater.refused_for(self._beats()))
        return probes.not_ready(self._driver.state.phase, refused)

    def backlog(self) -> Backlog:
        """CountPendingActivityTasks."""
        return self._parts.service.count_pending()

    def _beats(self) -> list[TaskBeats]:
        return [run.beats for run in self._parts.open_tasks.open_runs() if run.beats is not None]

    def _state(self) -> str:
        phase = self._driver.state.phase
        return lifecycle.Phase.STARTING.value if phase is lifecycle.Phase.NEW else phase.value


def _plain(
    options: Options, why_boto3: str | None
) -> Mapping[str, str | int | float | bool | None]:
    found: dict[str, str | int | float | bool | None] = {}
    for option in fields(options):
        value = getattr(options, option.name)
        if option.name not in _ELSEWHERE and (value is None or isinstance(value, _PLAIN)):
            found[option.name] = value
    return found | {"max_concurrent_polls": options.polls, "calls": why_boto3 or "direct"}
