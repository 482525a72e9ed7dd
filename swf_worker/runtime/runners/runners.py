"""Where each handler runs: a slot thread, the loop, a process of its own; and no more of a type at
once than it allows."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from ...definition import ActivityDefinition
from ...failure import FailureWording
from ...observations import Observation
from ...options import Options
from ...service.api import Backoff, Timers
from ...task import ActivityType
from ..children.setup import ChildSetup
from ..platform import OnError, Platform
from ..tasks.invocation import Invocation
from ..tasks.surroundings import Attach, SurroundedInvocation
from ..tasks.task_run import Runner, TaskRun
from ..threads.thread_pool import Pool
from .aio import AsyncRunner
from .event_loop import HostLoop, Loop, LoopThread
from .limited import LimitedRunner
from .loop_watch import LoopWatch
from .process import ProcessRunner
from .thread import ThreadRunner

CHILDREN_END = 5.0
"""Seconds that a stop waits for its children at most; they are killed sooner."""


class Runners:
    """One worker's runners. The loop and the children exist only where a handler needs them."""

    def __init__(
        self,
        definitions: Sequence[ActivityDefinition],
        options: Options,
        platform: Platform,
        *,
        slots: Pool,
        timers: Timers,
        backoff: Backoff,
        wording: FailureWording,
        observe: Callable[[Observation], None],
        on_error: OnError,
        on_process_start: Callable[[], object] | None,
        on_loop_closed: Callable[[], None],
        attaches: Sequence[tuple[Attach, str]] = (),
    ) -> None:
        self._on_loop_closed = on_loop_closed
        self._definitions = definitions
        self._options = options
        self._platform = platform
        self._timers = timers
        self._wording = wording
        self._observe = observe
        self._on_error = on_error
        self._closed = False
        self._loop: Loop | None = None
        self._threads = ThreadRunner(slots, self._invocation)
        self._coroutines: AsyncRunner | None = None
        self._watch: LoopWatch | None = None
        self._processes: ProcessRunner | None = None
        self._runners: dict[ActivityType, Runner] = {}
        inside = [each for each in definitions if each.mode == "process"]
        if inside:
            self._processes = ProcessRunner(
                setup=ChildSetup.of(inside, options, on_process_start, attaches),
                types=[each.type for each in inside],
                most=options.max_concurrent_activities,
                most_tasks=options.max_tasks_per_child,
                observe=observe,
                timers=timers,
                backoff=backoff,
                now=platform.clock.now,
            )

    def open(self) -> None:
        """Start what the handlers need. ConfigurationError where no child can be started, or the
        given event loop doesn't run."""
        given = self._options.event_loop
        if given is not None:
            assert given != "current"  # the start has put the loop itself in its place
            self._loop = HostLoop(given)
        if any(definition.is_async for definition in self._definitions):
            self._coroutines = self._on_the_loop()
        if self._processes is not None:
            self._processes.open(self._platform.start_thread, self._on_error)
        for definition in self._definitions:
            runner = self._by_mode(definition)
            most = definition.options.max_concurrent
            if most is not None:
                runner = LimitedRunner(runner, most, self._observe)
            self._runners[definition.type] = runner

    def _on_the_loop(self) -> AsyncRunner:
        runner = AsyncRunner(self.loop, self._invocation, self._on_error, self._on_loop_closed)
        self._watch = LoopWatch(
            self.loop,
            self._timers,
            self._platform.clock,
            self._observe,
            lambda: self._closed,
            runner.lost,
        )
        self._watch.start()
        return runner

    def runner(self, definition: ActivityDefinition) -> Runner:
        """What runs this handler."""
        return self._runners.get(definition.type) or self._by_mode(definition)

    def _by_mode(self, definition: ActivityDefinition) -> Runner:
        runners = {
            "thread": self._threads,
            "async": self._coroutines,
            "process": self._processes,
        }
        runner = runners[definition.mode]
        assert runner is not None  # there is one for each mode that a definition has
        return runner

    def _invocation(self, run: TaskRun) -> Invocation:
        assert run.definition is not None
        call = (run.definition, run.context, self._options.wrappers, self._wording)
        if run.around is None:
            return Invocation(*call)
        return SurroundedInvocation(*call, around=run.around)

    @property
    def loop(self) -> Loop:
        """The event loop that is given, or one of the worker's own, started when it is needed."""
        if self._loop is None:
            self._loop = LoopThread(self._platform.start_thread, self._on_error)
        return self._loop

    @property
    def loop_lag(self) -> float | None:
        """How long the event loop takes to turn; None without async handlers."""
        return self._watch.lag if self._watch is not None else None

    @property
    def on_loop(self) -> int:
        """How many handlers run on it."""
        return self._coroutines.running if self._coroutines is not None else 0

    def worker_stopping(self) -> None:
        """Tell handlers in other processes that the worker drains."""
        if self._processes is not None:
            self._processes.worker_stopping()

    def report(self) -> None:
        """Have handlers in other processes tell where they are."""
        if self._processes is not None:
            self._processes.report()

    def close(self) -> threading.Thread | None:
        """End the children, which takes them moments at most, and the loop; returns the loop's
        ending thread, which a handler may hold."""
        self._closed = True
        tending = self._processes.close() if self._processes is not None else None
        if tending is not None:
            tending.join(CHILDREN_END)
        return self._loop.close() if self._loop is not None else None
