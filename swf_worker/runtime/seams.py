"""What the engine is built of, handed in at construction: tests put a virtual clock, crews and a
service of their own here, and run the real engine."""

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
from .bulletin import Bulletin, ThreadBulletin
from .clock import Clock, MonotonicClock, StartThread
from .crew import Crew, Job, ThreadCrew
from .scheduler import Scheduler
from .starter import ThreadStarter

ANSWERERS = 16
OnError = Callable[[BaseException], None]


class ClosableTimers(Timers, Protocol):
    """Timers of an engine's own."""

    def close(self) -> threading.Thread | None: ...


class ClosableCrew(Crew, Protocol):
    """A crew of an engine's own."""

    def start(self) -> None: ...
    def submit(self, job: Job, /) -> None: ...
    def offer(self, job: Job, /) -> bool: ...
    def are_wanted(self) -> bool: ...
    def submit_if_free(self, job: Job, /) -> bool: ...
    def close(self) -> list[threading.Thread]: ...


@dataclass(frozen=True)
class Seams:
    """Production's parts, each replaceable."""

    clock: Clock = field(default_factory=MonotonicClock)
    start_thread: StartThread = field(default_factory=ThreadStarter)

    def close(self) -> threading.Thread | None:
        """End what starts the threads, where it has a thread itself; returns that."""
        return self.start_thread.close() if isinstance(self.start_thread, ThreadStarter) else None

    def bulletin(self, observers: Sequence[Observer]) -> Bulletin:
        """Where the parts report what happened."""
        return ThreadBulletin(observers, self.start_thread)

    def backoff(self, policy: RetryPolicy) -> Backoff:
        """How long to wait between attempts."""
        from ..service.retries import TenacityBackoff  # here: tenacity takes long to import

        return TenacityBackoff(policy)

    def timers(self, on_error: OnError) -> ClosableTimers:
        """What runs things later."""
        return Scheduler(self.clock, self.start_thread, on_error)

    def crew(self, name: str, most: int, on_error: OnError) -> ClosableCrew:
        """Threads for jobs of one kind."""
        return ThreadCrew(name, most, self.start_thread, on_error)

    def service(
        self, options: Options, timers: Timers, observe: Callable[[Observation], None]
    ) -> SwfService:
        """SWF."""
        from ..service.credentials import Keeper  # here: boto3 takes long to import
        from ..service.gateway import Boto3Service

        keeper_of = partial(
            Keeper,
            start_thread=self.start_thread,
            timers=timers,
            backoff=self.backoff(options.retry_policy),
            observe=observe,
        )
        return Boto3Service(
            options, timers, senders=SENDERS, answerers=ANSWERERS, keeper_of=keeper_of
        )
