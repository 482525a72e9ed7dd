"""What an engine stands on: the clock, threads, the service. Tests hand in a virtual one, and run
the real engine on it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from ..core.heartbeats import SENDERS
from ..observations import Observation, Observer
from ..options import Options, RetryPolicy
from ..service.api import Backoff, SwfService, Timers
from .threads.clock import Clock, MonotonicClock, StartThread
from .threads.observer_thread import Observers, ObserverThread
from .threads.scheduler import Scheduler
from .threads.starter import ThreadStarter
from .threads.thread_pool import Job, Pool, ThreadPool

ANSWERERS = 16
OnError = Callable[[BaseException], None]


class ClosableTimers(Timers, Protocol):
    """Timers of an engine's own."""

    def behind(self) -> float: ...
    def close(self) -> threading.Thread | None: ...


class ClosablePool(Pool, Protocol):
    """A pool of an engine's own."""

    def start(self) -> None: ...
    def submit(self, job: Job, /) -> None: ...
    def offer(self, job: Job, /) -> bool: ...
    def are_wanted(self) -> bool: ...
    def submit_if_free(self, job: Job, /) -> bool: ...
    def replace(self, stuck: threading.Thread, /) -> None: ...
    def close(self) -> list[threading.Thread]: ...


@dataclass(frozen=True)
class Platform:
    """Production's."""

    clock: Clock = field(default_factory=MonotonicClock)
    start_thread: StartThread = field(default_factory=ThreadStarter)

    def close(self) -> threading.Thread | None:
        """End what starts the threads, where it has a thread itself; returns that."""
        return self.start_thread.close() if isinstance(self.start_thread, ThreadStarter) else None

    def observers(self, observers: Sequence[Observer]) -> Observers:
        """Where the parts report what happened."""
        return ObserverThread(observers, self.start_thread)

    def backoff(self, policy: RetryPolicy) -> Backoff:
        """How long to wait between attempts."""
        from ..service.retries import TenacityBackoff  # here: tenacity takes long to import

        return TenacityBackoff(policy)

    def timers(self, on_error: OnError) -> ClosableTimers:
        """What runs things later."""
        return Scheduler(self.clock, self.start_thread, on_error)

    def pool(self, name: str, most: int, on_error: OnError) -> ClosablePool:
        """Threads for jobs of one kind."""
        return ThreadPool(name, most, self.start_thread, on_error)

    def service(
        self, options: Options, timers: Timers, observe: Callable[[Observation], None]
    ) -> SwfService:
        """SWF."""
        from ..service.credentials import CredentialsRefresher  # here: boto3 takes long to import
        from ..service.gateway import Boto3Service

        refresher_of = partial(
            CredentialsRefresher,
            start_thread=self.start_thread,
            timers=timers,
            backoff=self.backoff(options.retry_policy),
            observe=observe,
        )
        return Boto3Service(
            options, timers, senders=SENDERS, answerers=ANSWERERS, refresher_of=refresher_of
        )
