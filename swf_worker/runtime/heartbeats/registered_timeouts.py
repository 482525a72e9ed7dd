"""How often each type's tasks beat. What its activity and the worker don't set is looked up once
a type with DescribeActivityType; until that has ended, tasks beat often."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from ...core import verdicts
from ...core.heartbeats import (
    INTERVAL_UNKNOWN,
    INTERVAL_WHILE_LOOKING_UP,
    interval_registered,
    interval_set,
)
from ...core.registered_types import seconds
from ...definition import ActivityDefinition
from ...errors import ServiceError
from ...observations import HeartbeatIntervalGuessed, Observation
from ...service.api import Backoff, RegisteredTimeouts, SwfService, Timers
from ...task import ActivityType
from ..threads.thread_pool import Job, Pool


class TimeoutLookups:
    """Intervals and estimates of the registered types."""

    def __init__(
        self,
        worker_interval: float | None,
        *,
        service: SwfService,
        pool: Pool,
        timers: Timers,
        backoff: Backoff,
        observe: Callable[[Observation], None],
        on_known: Callable[[ActivityType], None],
    ) -> None:
        self._worker_interval = worker_interval
        self._service = service
        self._pool = pool
        self._timers = timers
        self._backoff = backoff
        self._observe = observe
        self._on_known = on_known
        self._found: dict[ActivityType, RegisteredTimeouts | None] = {}
        self._unknown: dict[ActivityType, str] = {}
        self._pending: set[ActivityType] = set()
        self._looked_up = threading.Event()
        self._closed = False

    def start(self, definitions: Iterable[ActivityDefinition]) -> None:
        """Look up the types whose interval nothing sets."""
        wanted = [d.type for d in definitions if interval_set(d, self._worker_interval) is None]
        self._pending.update(wanted)
        if not wanted:
            self._looked_up.set()
        for activity_type in wanted:
            self._ask(activity_type, 0)

    def wait(self, seconds: float) -> None:
        """Give the first look-ups a moment, so that the first tasks beat as they should."""
        self._looked_up.wait(seconds)

    def close(self) -> None:
        """Ask no more."""
        self._closed = True

    def is_pending(self, activity_type: ActivityType) -> bool:
        """Whether a type's look-up has not ended."""
        return activity_type in self._pending

    def interval(self, definition: ActivityDefinition) -> float:
        """Seconds between the beats of this type's tasks, as far as is known now."""
        known = interval_set(definition, self._worker_interval)
        if known is not None:
            return known
        if definition.type in self._pending:
            return INTERVAL_WHILE_LOOKING_UP
        found = self._found.get(definition.type)
        if found is None:
            # Said when it matters, to the first task: at a start that fails it would mislead.
            why = self._unknown.pop(definition.type, None)
            if why is not None:
                self._observe(HeartbeatIntervalGuessed(definition.type, INTERVAL_UNKNOWN, why))
            return INTERVAL_UNKNOWN
        return interval_registered(found.heartbeat)

    def time_limit(self, definition: ActivityDefinition) -> float | None:
        """The start-to-close timeout that is registered: an estimate, never a kill."""
        declared = seconds(definition.options.start_to_close_timeout)
        if declared is not None:
            return declared
        found = self._found.get(definition.type)
        return found.start_to_close if found else None

    def _ask(self, activity_type: ActivityType, failures: int) -> None:
        def call() -> RegisteredTimeouts | ServiceError:
            try:
                return self._service.describe(activity_type)
            except ServiceError as error:
                return error

        self._pool.submit(Job(call, lambda result: self._told(activity_type, result, failures)))

    def _told(
        self,
        activity_type: ActivityType,
        result: RegisteredTimeouts | ServiceError,
        failures: int,
    ) -> None:
        if isinstance(result, ServiceError):
            if not verdicts.is_fatal_at_start(result) and not self._closed:
                self._looked_up.set()  # the network is down: polls will find that out as well
                wait = self._backoff.wait(failures + 1)
                self._timers.call_later(wait, lambda: self._ask(activity_type, failures + 1))
                return
            self._unknown[activity_type] = (
                f"its registered heartbeat timeout can't be looked up: {result}"
            )
            self._found[activity_type] = None
        else:
            self._found[activity_type] = result
        self._pending.discard(activity_type)
        if not self._pending:
            self._looked_up.set()
        self._on_known(activity_type)
