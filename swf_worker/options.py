"""Validated settings. Every check here says what is allowed; none does I/O."""

from __future__ import annotations

import inspect
import os
import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypedDict

from .checks import (
    check_converter,
    check_name,
    check_number,
    check_path,
    check_reach,
    check_text,
    check_whole,
)
from .codecs.chain import checked
from .errors import ConfigurationError, SwfWorkerError
from .outcome import MAX_NAME
from .text import shorten

if TYPE_CHECKING:
    import asyncio

    import boto3
    from botocore.config import Config

    from .codecs.chain import Codec
    from .context import ActivityContext
    from .converter import Converter
    from .observations import Observer

Duration = int | Literal["NONE"]
"""A timeout as SWF registers it: whole seconds, or "NONE" for no timeout."""


class Wrapper(Protocol):
    """Code around every handler, run where the handler runs: a factory of context managers."""

    def __call__(self, context: ActivityContext, /) -> AbstractContextManager[Any]: ...


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long to wait between attempts of a call to SWF (seconds): exponential, full jitter.

    An answer is retried for as long as its task can be open; there is no number of attempts.
    """

    initial_wait: float = 0.25
    """The upper bound of the first wait."""
    max_wait: float = 20.0
    """The upper bound of every wait, at most 20."""
    denied_wait: float = 60.0
    """The same where permissions or credentials were refused, at most 60."""

    def __post_init__(self) -> None:
        check_number("retry_policy.initial_wait", self.initial_wait, 0.001, 20)
        check_number("retry_policy.max_wait", self.max_wait, self.initial_wait, 20)
        check_number("retry_policy.denied_wait", self.denied_wait, self.initial_wait, 60)


class WorkerOptions(TypedDict, total=False):
    """The keywords of ``ActivityWorker(...)``, which documents them. None is: not given."""

    domain: str | None
    task_list: str | None
    activities: Iterable[Callable[..., Any]] | None
    session: boto3.Session | None
    region_name: str | None
    endpoint_url: str | None
    client_config: Config | None
    identity: str | None
    max_concurrent_activities: int | None
    max_concurrent_polls: int | None
    heartbeat_interval: float | None
    drain_timeout: float | None
    cancel_grace: float | None
    on_drain_timeout: Literal["fail", "abandon"] | None
    max_tasks_per_child: int | None
    progress_beats_per_second: float | None
    failure_tracebacks: bool | None
    converter: Converter | None
    codecs: Sequence[Codec] | None
    wrappers: Sequence[Wrapper] | None
    observers: Sequence[Observer] | None
    retry_policy: RetryPolicy | None
    event_loop: asyncio.AbstractEventLoop | Literal["current"] | None
    on_fatal_error: Callable[[SwfWorkerError], object] | None
    calls: Literal["boto3"] | None
    health_port: int | None
    health_host: str | None
    journal: str | os.PathLike[str] | None
    journal_keep: float | None
    journal_sync: Literal["process", "full"] | None


class WorkerAttributes:
    """The same as class attributes of a subclass, and, settled, as attributes of a worker."""

    domain: str
    task_list: str
    activities: Sequence[Callable[..., Any]]
    session: boto3.Session | None
    region_name: str | None
    endpoint_url: str | None
    client_config: Config | None
    identity: str | None
    max_concurrent_activities: int
    max_concurrent_polls: int | None
    heartbeat_interval: float | None
    drain_timeout: float
    cancel_grace: float
    on_drain_timeout: Literal["fail", "abandon"]
    max_tasks_per_child: int | None
    progress_beats_per_second: float
    failure_tracebacks: bool
    converter: Converter | None
    codecs: Sequence[Codec]
    wrappers: Sequence[Wrapper]
    observers: Sequence[Observer]
    retry_policy: RetryPolicy
    event_loop: asyncio.AbstractEventLoop | Literal["current"] | None
    on_fatal_error: Callable[[SwfWorkerError], object] | None
    calls: Literal["boto3"] | None
    health_port: int | None
    health_host: str
    journal: str | os.PathLike[str] | None
    journal_keep: float
    journal_sync: Literal["process", "full"]


def default_identity() -> str:
    """``host:pid``, as SWF's own libraries identify a worker."""
    return shorten(f"{socket.gethostname()}:{os.getpid()}", MAX_NAME)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The settings of one worker; the same names are class attributes of a subclass."""

    domain: str
    task_list: str
    session: boto3.Session | None = None
    region_name: str | None = None
    endpoint_url: str | None = None
    client_config: Config | None = None
    identity: str | None = None
    max_concurrent_activities: int = 10
    max_concurrent_polls: int | None = None
    heartbeat_interval: float | None = None
    drain_timeout: float = 60.0
    cancel_grace: float = 5.0
    on_drain_timeout: Literal["fail", "abandon"] = "fail"
    max_tasks_per_child: int | None = None
    progress_beats_per_second: float = 5.0
    failure_tracebacks: bool = True
    converter: Converter | None = None
    codecs: Sequence[Codec] = ()
    wrappers: Sequence[Wrapper] = ()
    observers: Sequence[Observer] = ()
    retry_policy: RetryPolicy = field(default_factory=RetryPolicy)
    event_loop: asyncio.AbstractEventLoop | Literal["current"] | None = None
    on_fatal_error: Callable[[SwfWorkerError], object] | None = None
    calls: Literal["boto3"] | None = None
    health_port: int | None = None
    health_host: str = "127.0.0.1"
    journal: str | os.PathLike[str] | None = None
    journal_keep: float = 86_400.0
    journal_sync: Literal["process", "full"] = "process"

    @classmethod
    def settled(cls, whose: str, settings: Mapping[str, Any]) -> Options:
        """Of these; None is none. ConfigurationError for what is missing or not allowed."""
        given = {name: value for name, value in settings.items() if value is not None}
        missing = [name for name in ("domain", "task_list") if name not in given]
        if missing:
            raise ConfigurationError(
                f"{whose} needs {' and '.join(missing)}: give "
                f"{', '.join(f'{name}=' for name in missing)}, or a class attribute"
            )
        return cls(**given)

    @property
    def place(self) -> dict[str, str]:
        """Where the worker polls, as fields of its log."""
        return {"domain": self.domain, "task_list": self.task_list}

    @property
    def polls(self) -> int:
        """The most polls that may be open: as set, else half the slots, 1 to 10."""
        if self.max_concurrent_polls is not None:
            return min(self.max_concurrent_polls, self.max_concurrent_activities)
        return max(1, min(10, self.max_concurrent_activities // 2))

    def at_start(self, **settled: Any) -> Options:
        """With what belongs to the process: a program may construct a worker, fork, and start it
        in each of its processes."""
        return replace(self, identity=self.identity or default_identity(), **settled)

    def __post_init__(self) -> None:
        check_name("domain", self.domain)
        check_name("task_list", self.task_list)
        if self.identity is not None:
            check_text("identity", self.identity, MAX_NAME)
        check_whole("max_concurrent_activities", self.max_concurrent_activities, 1, 100_000)
        if self.max_concurrent_polls is not None:
            check_whole("max_concurrent_polls", self.max_concurrent_polls, 1, 1_000)
        if self.heartbeat_interval is not None:
            check_number("heartbeat_interval", self.heartbeat_interval, 0.1, 86_400)
        check_number("drain_timeout", self.drain_timeout, 0, 31_536_000)
        check_number("cancel_grace", self.cancel_grace, 0, 86_400)
        check_number("progress_beats_per_second", self.progress_beats_per_second, 0.1, 1_000)
        if self.max_tasks_per_child is not None:
            check_whole("max_tasks_per_child", self.max_tasks_per_child, 1, 1_000_000)
        if self.on_drain_timeout not in ("fail", "abandon"):
            raise ConfigurationError(
                f"on_drain_timeout is {self.on_drain_timeout!r}: allowed are 'fail' and 'abandon'"
            )
        if self.calls not in (None, "boto3"):
            raise ConfigurationError(
                f"calls is {self.calls!r}: 'boto3' has every call made by boto3's client, None "
                "(the default) those that need it"
            )
        if self.health_port is not None:
            check_whole("health_port", self.health_port, 0, 65_535)
        check_text("health_host", self.health_host, 255)
        if self.journal is not None:
            check_path("journal", self.journal)
        check_number("journal_keep", self.journal_keep, 1, 31_536_000)
        if self.journal_sync not in ("process", "full"):
            raise ConfigurationError(
                f"journal_sync is {self.journal_sync!r}: 'process' survives the death of the "
                "process, 'full' the machine's as well"
            )
        check_reach(self)
        self._check_parts()

    def _check_parts(self) -> None:
        if not isinstance(self.failure_tracebacks, bool):
            raise ConfigurationError(
                f"failure_tracebacks is {self.failure_tracebacks!r}: True or False is needed"
            )
        for several in ("wrappers", "observers"):
            if not isinstance(getattr(self, several), (list, tuple)):
                raise ConfigurationError(
                    f"{several} is {getattr(self, several)!r}: a list or tuple is needed"
                )
        if not isinstance(self.retry_policy, RetryPolicy):
            raise ConfigurationError(
                f"retry_policy is {self.retry_policy!r}: it must be a swf_worker.RetryPolicy"
            )
        if self.event_loop not in (None, "current") and not callable(
            getattr(self.event_loop, "call_soon_threadsafe", None)
        ):
            raise ConfigurationError(
                f"event_loop is {self.event_loop!r}: a running event loop is needed, or 'current' "
                "for the one that `async with worker:` is in"
            )
        if self.on_fatal_error is not None and not callable(self.on_fatal_error):
            raise ConfigurationError(
                f"on_fatal_error is {self.on_fatal_error!r}: a function of the error is needed"
            )
        if inspect.iscoroutinefunction(self.on_fatal_error):
            raise ConfigurationError(
                "on_fatal_error is an async function, which nobody would await: a plain one is "
                "needed (it is called in a thread; loop.call_soon_threadsafe leads to your loop)"
            )
        for wrapper in self.wrappers:
            if not callable(wrapper):
                raise ConfigurationError(
                    f"wrappers: {wrapper!r} is not callable; a wrapper takes the ActivityContext "
                    "and returns a context manager"
                )
        for observer in self.observers:
            if not callable(getattr(observer, "observe", None)):
                raise ConfigurationError(f"observers: {observer!r} has no method observe(record)")
        if self.converter is not None:
            check_converter("converter", self.converter)
        checked(self.codecs)


OPTION_NAMES = frozenset(option.name for option in fields(Options))
