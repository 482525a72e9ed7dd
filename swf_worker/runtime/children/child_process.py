"""One handler process, as the pool sees it: where it is in its life, and what it runs."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import IO, Any, Protocol

from ...clock import now
from ..process.interpreter import Imports, command
from ..tasks.invocation import Ended
from .connection import Connection
from .wire import Frame

_MAIN = "from swf_worker.runtime.children.child import main"


class ChildPhase(Enum):
    """Where a child is in its life. It goes on in this order, and never back."""

    LOADING = "loading"
    """It loads the worker's modules and runs ``on_process_start``."""
    READY = "ready"
    """Tasks may come, one after the other."""
    LEAVING = "leaving"
    """It was told that no more tasks come, and ends by itself."""
    UNUSABLE = "unusable"
    """It can't load the worker's modules, and ends by itself."""
    TERMINATING = "terminating"
    """It got an announced SIGTERM."""


LIMITS = {
    ChildPhase.LOADING: 300.0,
    ChildPhase.LEAVING: 2.0,
    ChildPhase.UNUSABLE: 1.0,
    ChildPhase.TERMINATING: 1.0,
}
"""Seconds that a child may be in a phase; then it is killed."""
_ORDER = list(ChildPhase)


class TaskInChild(Protocol):
    """The task that a child runs."""

    @property
    def identity(self) -> Mapping[str, Any]:
        """What each line of it in the log carries."""

    def heard(self, frame: Frame) -> Ended | None:
        """The child said something; how its task ended, if that was it."""


@dataclass(slots=True)
class ChildState:
    """A child's phase, and when that is over."""

    phase: ChildPhase = ChildPhase.LOADING
    ends_at: float | None = field(default_factory=lambda: now() + LIMITS[ChildPhase.LOADING])
    """When it is killed; None: not for being in this phase."""
    loaded: bool = False
    """It was ready once."""
    why_unusable: str | None = None

    def enter(self, phase: ChildPhase) -> None:
        """Go on to a phase, if it isn't there or further."""
        if _ORDER.index(phase) > _ORDER.index(self.phase):
            limit = LIMITS.get(phase)
            self.phase, self.ends_at = phase, None if limit is None else now() + limit

    def is_ready(self) -> None:
        """It has loaded everything."""
        self.loaded = True
        self.enter(ChildPhase.READY)

    def is_unusable(self, why: str) -> None:
        """It can't load the worker's modules."""
        self.why_unusable = why
        self.enter(ChildPhase.UNUSABLE)

    def is_overdue(self, moment: float) -> bool:
        """Whether it is to be killed now; asked again, it isn't."""
        if self.ends_at is None or moment < self.ends_at:
            return False
        self.ends_at = None
        if self.phase is ChildPhase.LOADING:
            limit = LIMITS[ChildPhase.LOADING]
            self.why_unusable = f"it was not ready after {limit:g} s"
        return True

    @property
    def takes_tasks(self) -> bool:
        """Whether it isn't told to end, or made to; so its end is a crash."""
        return self.phase not in (ChildPhase.LEAVING, ChildPhase.TERMINATING)


@dataclass(slots=True, eq=False)
class Child:
    """One handler process."""

    process: subprocess.Popen[bytes]
    connection: Connection
    files: list[IO[bytes]]
    """Where what it writes comes out: its stderr, and its stdout where lines are records."""
    stderr_tail: bytearray = field(default_factory=bytearray)
    """The last that it wrote there."""
    begun: dict[int, bytes] = field(default_factory=dict)
    """A line that has no end yet, of each of the files."""
    pidfd: int | None = None
    started_at: float = field(default_factory=now)
    state: ChildState = field(default_factory=ChildState)
    task: TaskInChild | None = None
    """What it runs."""
    tasks_done: int = 0

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    def number_of(self, file: IO[bytes]) -> int:
        """Which of its descriptors that is."""
        return 1 if file is self.process.stdout else 2

    @property
    def code(self) -> int | None:
        """Its exit code; a signal is negative."""
        return self.process.returncode


def spawn(imports: Imports, *, as_records: bool) -> Child:
    """Start one; it waits for its first frame. OSError where the machine gives no more.
    ``as_records``: what it prints comes through us."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        process = subprocess.Popen(  # noqa: S603 (our own interpreter)
            command(f"{_MAIN}; main({theirs.fileno()}, {os.getpid()})"),
            env=imports.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if as_records else None,
            stderr=subprocess.PIPE,
            pass_fds=(theirs.fileno(),),
        )
        files = [file for file in (process.stderr, process.stdout) if file is not None]
        for file in files:
            os.set_blocking(file.fileno(), False)
        return Child(process, Connection(ours.dup()), files)
