"""What serves each activity type: its handler, where that runs, how often its tasks beat."""

from __future__ import annotations

from dataclasses import replace

from ...core.registry import Registry
from ...definition import ActivityDefinition
from ...task import ActivityType
from ..heartbeats.registered_timeouts import TimeoutLookups
from ..tasks.task_run import ServedType
from .runners import Runners


class ServedTypes:
    """The table of one worker's types. It is asked for each task, so what is final is kept."""

    def __init__(
        self,
        registry: Registry,
        fallback: ActivityDefinition | None,
        runners: Runners,
        timeouts: TimeoutLookups,
    ) -> None:
        self._registry = registry
        self._fallback = fallback
        self._runners = runners
        self._timeouts = timeouts
        self._final: dict[ActivityType, ServedType] = {}

    def of(self, activity_type: ActivityType) -> ServedType | None:
        """What serves the type now; None where nothing does."""
        return self._final.get(activity_type) or self._now(activity_type)

    def why_not(self, activity_type: ActivityType) -> str:
        """What to say where nothing does."""
        return self._registry.why_not(activity_type)

    def _now(self, activity_type: ActivityType) -> ServedType | None:
        definition = self._registry.get(activity_type)
        if definition is None:
            if self._fallback is None:
                return None
            return self._serving(replace(self._fallback, type=activity_type), final=True)
        # Asked first: a look-up that ends meanwhile leaves what is told below out of date.
        final = not self._timeouts.is_pending(activity_type)
        served = self._serving(definition, final=final)
        if final:
            self._final[activity_type] = served
        return served

    def _serving(self, definition: ActivityDefinition, *, final: bool) -> ServedType:
        return ServedType(
            definition,
            self._runners.runner(definition),
            self._timeouts.interval(definition),
            self._timeouts.time_limit(definition),
            final,
        )
