"""Puts one worker's parts together. What each is for, its own file says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ..core.heartbeats import SENDERS, ProgressBudget
from ..core.pollers import PollPlan
from ..core.registry import Registry
from ..definition import ActivityDefinition
from ..errors import ServiceError
from ..failure import FailureWording
from ..observations import Observation, Observer
from ..options import Options
from ..service.api import Polled, SwfService
from ..task import ActivityType
from .heartbeats.heartbeater import Heartbeater
from .heartbeats.registered_timeouts import TimeoutLookups
from .journal.entries import Place
from .journal.keeper import Journal
from .platform import ANSWERERS, ClosablePool, ClosableTimers, Platform
from .polling.open_tasks import OpenTasks
from .polling.poller import Poller
from .runners.runners import Runners
from .runners.served_types import ServedTypes
from .tasks.surroundings import Surroundings
from .tasks.task_run import TaskRun, TaskServices
from .threads.clock import StartThread
from .threads.observer_thread import Observers
from .threads.thread_pool import IdleThreadsFirst

LOOKUP_THREADS = 2


class EngineCallbacks(Protocol):
    """Whom the parts tell what happens: the engine."""

    def take(self, polled: Polled, /) -> None: ...
    def task_over(self, run: TaskRun, /) -> None: ...
    def poll_accepted(self) -> None: ...
    def poll_refused(self, error: ServiceError, /) -> bool: ...
    def counts_changed(self) -> None: ...
    def type_is_known(self, activity_type: ActivityType, /) -> None: ...
    def loop_closed(self) -> None: ...
    def is_stopping(self) -> bool: ...
    def internal_error(self, error: BaseException, where: str = ..., /) -> None: ...


@dataclass(frozen=True, slots=True)
class Parts:
    """What one worker is made of."""

    observers: Observers
    timers: ClosableTimers
    service: SwfService
    slot_pool: ClosablePool
    """Polls and plain handlers share it: together they never exceed the slots."""
    beat_pool: ClosablePool
    answer_pool: ClosablePool
    lookup_pool: ClosablePool
    runners: Runners
    timeouts: TimeoutLookups
    served_types: ServedTypes
    poller: Poller
    open_tasks: OpenTasks
    task_services: TaskServices
    surroundings: Surroundings
    journal: Journal | None

    @property
    def pools(self) -> tuple[ClosablePool, ...]:
        """All threads for jobs."""
        return self.slot_pool, self.beat_pool, self.answer_pool, self.lookup_pool


def assemble(
    options: Options,
    registry: Registry,
    fallback: ActivityDefinition | None,
    observers: Sequence[Observer],
    platform: Platform,
    engine: EngineCallbacks,
    on_process_start: Callable[[], object] | None,
) -> Parts:
    """The parts of one worker, none of them started."""
    queue = platform.observers(observers)
    surroundings = Surroundings(observers, engine.internal_error)
    observe, unwanted, on_error = queue.tell, queue.unwanted, engine.internal_error
    timers = platform.timers(on_error)
    service = platform.service(options, timers, observe)
    journal = _journal_of(options, service, observe, platform.start_thread)
    backoff = platform.backoff(options.retry_policy)
    wording = FailureWording(options.failure_tracebacks).of(
        options.converter, tuple(options.codecs)
    )
    slot_pool = platform.pool("slot", options.max_concurrent_activities, on_error)
    beat_pool = platform.pool("beat", SENDERS, on_error)
    answer_pool = platform.pool("answer", ANSWERERS, on_error)
    lookup_pool = platform.pool("lookup", LOOKUP_THREADS, on_error)
    runners = Runners(
        [*registry, *([fallback] if fallback else [])],
        options,
        platform,
        slots=slot_pool,
        timers=timers,
        backoff=backoff,
        wording=wording,
        observe=observe,
        on_error=on_error,
        on_process_start=on_process_start,
        on_loop_closed=engine.loop_closed,
        attaches=surroundings.attaches,
    )
    timeouts = TimeoutLookups(
        options.heartbeat_interval,
        service=service,
        pool=lookup_pool,
        timers=timers,
        backoff=backoff,
        observe=observe,
        on_known=engine.type_is_known,
    )
    poller = Poller(
        service=service,
        plan=PollPlan(most=options.polls),
        slots=options.max_concurrent_activities,
        clock=platform.clock,
        timers=timers,
        backoff=backoff,
        pool=slot_pool,
        observe=observe,
        unwanted=unwanted,
        on_task=engine.take,
        on_accepted=engine.poll_accepted,
        on_refused=engine.poll_refused,
        on_change=engine.counts_changed,
    )
    heartbeater = Heartbeater(
        service=service,
        clock=platform.clock,
        timers=timers,
        backoff=backoff,
        senders=beat_pool,
        budget=ProgressBudget(options.progress_beats_per_second),
        observe=observe,
        unwanted=unwanted,
    )
    task_services = TaskServices(
        service=service,
        clock=platform.clock,
        timers=timers,
        backoff=backoff,
        answers=IdleThreadsFirst(answer_pool, slot_pool),
        heartbeater=heartbeater,
        observe=observe,
        task_over=engine.task_over,
        free_slot=poller.free_slot,
        worker_stopping=engine.is_stopping,
        cancel_grace=options.cancel_grace,
        wording=wording,
        place=options.place,
        journal=journal,
        unwanted=unwanted,
    )
    return Parts(
        observers=queue,
        timers=timers,
        service=service,
        slot_pool=slot_pool,
        beat_pool=beat_pool,
        answer_pool=answer_pool,
        lookup_pool=lookup_pool,
        runners=runners,
        timeouts=timeouts,
        served_types=ServedTypes(registry, fallback, runners, timeouts),
        poller=poller,
        open_tasks=OpenTasks(),
        task_services=task_services,
        surroundings=surroundings,
        journal=journal,
    )


def _journal_of(
    options: Options,
    service: SwfService,
    observe: Callable[[Observation], None],
    start_thread: StartThread,
) -> Journal | None:
    if options.journal is None:
        return None
    path = Path(options.journal).absolute()
    place = Place(service.place, options.domain, options.task_list)
    return Journal(path, options.journal_sync, place, observe, start_thread)
