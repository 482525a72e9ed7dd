"""What the runtime asks of SWF, as a protocol: where tests put a service of their own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from ..errors import ServiceError, SwfWorkerError
from ..outcome import Outcome
from ..status import Backlog
from ..task import ActivityTask, ActivityType


@dataclass(frozen=True, slots=True)
class Polled:
    """An accepted poll: a task, or none. ``missing`` names members that a task must have and
    this one had not."""

    task: ActivityTask | None
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RegisteredTimeouts:
    """The defaults a type is registered with, in seconds; None for "NONE" or unregistered."""

    heartbeat: float | None
    start_to_close: float | None


Overtime = Callable[[], float]
"""How many seconds more an attempt gets whose time is over. Must not block."""


class SwfService(Protocol):
    """Each method is one attempt of one call: it blocks, within an overall limit of time, and
    raises a ServiceError when the call was not accepted."""

    @property
    def why_boto3(self) -> str | None:
        """Why calls go through boto3's client; None where they go the direct way."""

    @property
    def place(self) -> str:
        """Which SWF it is, by its region and address: a token means nothing to any other."""

    def poll(self) -> Polled:
        """PollForActivityTask."""

    def holds_poll(self, seconds: float) -> bool:
        """Whether it holds a poll that left ``seconds`` ago at least."""

    def heartbeat(
        self, task_token: str, details: str | None, limit: float, overtime: Overtime | None = None
    ) -> bool:
        """RecordActivityTaskHeartbeat, ``limit`` seconds at most, or longer while ``overtime``
        gives more: is a cancel requested?"""

    def respond(self, task_token: str, outcome: Outcome) -> None:
        """RespondActivityTaskCompleted, …Canceled or …Failed."""

    def describe(self, activity_type: ActivityType) -> RegisteredTimeouts:
        """DescribeActivityType."""

    def count_pending(self) -> Backlog:
        """CountPendingActivityTasks, of the worker's own task list."""

    def fatal_at_start(self, error: ServiceError) -> SwfWorkerError | None:
        """The error to stop with when a first poll is refused, naming the fix; None where
        waiting may mend it."""

    def close(self) -> None:
        """End what is still under way, and close the connections."""


class Timer(Protocol):
    """Something to run later that can be called off."""

    def cancel(self) -> None: ...


class Timers(Protocol):
    """Runs things later, on a thread of its own; they must not block."""

    def call_later(self, delay: float, function: TimerFunction, /) -> Timer: ...


class TimerFunction(Protocol):
    """What a timer runs."""

    def __call__(self) -> object: ...


class Backoff(Protocol):
    """How long to wait after the so-many-th failure in a row."""

    def wait(self, failures: int, *, denied: bool = False) -> float: ...
