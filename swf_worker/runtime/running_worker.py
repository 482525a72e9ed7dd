"""One worker's run: its start, its end, and what may be asked of it meanwhile. The tasks are the
engine's."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from ..clock import now
from ..core import lifecycle
from ..core.registry import Registry
from ..definition import ActivityDefinition
from ..errors import SwfWorkerError
from ..observations import (
    InputUnclear,
    Observation,
    Observer,
    ProgramEnded,
    StopOverdue,
    WorkerStarted,
    WorkerStopped,
)
from ..options import Options, default_identity
from ..status import WorkerView
from ..task import ActivityTask
from .engine import Engine
from .platform import Platform
from .stopping.lifecycle_driver import LifecycleDriver
from .tasks.surroundings import for_worker
from .tasks.task_run import stack_of
from .view import EngineView

LOOKUPS_BEFORE_POLLS = 5.0
"""How long the first polls wait for the look-ups of heartbeat timeouts, at most."""
ANSWERS_BEFORE_POLLS = 5.0
"""How long they wait for the answers in the journal."""
LAST_MOMENT = 5.0
"""Seconds that answers under way have when the program ends without a stop."""
_JOIN = 5.0


@dataclass(frozen=True, slots=True)
class Hooks:
    """The overridable methods of ActivityWorker; a hook may return an awaitable."""

    on_start: Callable[[], Any]
    on_stop: Callable[[], Any]
    on_process_start: Callable[[], Any] | None
    """What each handler process is to call first."""
    fallback: ActivityDefinition | None
    """``handle_unregistered``, if it is overridden."""


class RunningWorker:
    """Runs one worker once."""

    def __init__(
        self,
        options: Options,
        registry: Registry,
        hooks: Hooks,
        observers: Sequence[Observer],
        platform: Platform,
        driver: LifecycleDriver,
        *,
        process_exits: bool,
    ) -> None:
        self.driver = driver
        self.finished: Future[list[ActivityTask]] = Future()
        """With the tasks that were abandoned, when all is over."""
        self.error: SwfWorkerError | None = None
        self.left_threads: list[threading.Thread] = []
        """Threads that did not end with the worker: a handler runs in them."""
        self._options = options
        self._registry = registry
        self._hooks = hooks
        self._platform = platform
        self._on_start_done = False
        self._finisher: threading.Thread | None = None
        self._closed = False
        self._observers = [for_worker(each, options) for each in observers]
        self.engine = Engine(
            options,
            registry,
            hooks.fallback,
            self._observers,
            platform,
            driver,
            process_exits=process_exits,
            on_process_start=hooks.on_process_start,
            on_fatal=self._fail,
            on_finish=self._begin_finish,
        )
        self._parts = self.engine.parts
        self._observe = self._parts.observers.tell
        self.view = EngineView(options, self._parts, driver)

    @property
    def place(self) -> dict[str, str]:
        """Where it polls, as fields of the log."""
        return self._options.place

    # --- the start ------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Start the threads, run ``on_start``, look up heartbeat timeouts. Raises what
        ``on_start`` raises, with everything ended again."""
        parts = self._parts
        self._show_to_observers()
        try:
            for pool in (parts.slot_pool, parts.beat_pool, parts.answer_pool):
                pool.start()
            if parts.journal is not None:
                parts.journal.open()
            parts.runners.open()
            self._run_hook(self._hooks.on_start())
            self._on_start_done = True
            parts.timeouts.start(self._registry)
            parts.timeouts.wait(LOOKUPS_BEFORE_POLLS)
            self._take_up_the_journal()
        except BaseException:
            if self._on_start_done:
                self._run_on_stop()
            self._close()
            parts.observers.close()
            self.finished.set_result([])
            self.driver.tell(lifecycle.StopRequested(once=True))
            raise

    def _take_up_the_journal(self) -> None:
        """Send what earlier workers have left, before the first poll; with SWF away that goes on
        beside polling."""
        journal = self._parts.journal
        if journal is None:
            return
        keep, until = self._options.journal_keep, now() + ANSWERS_BEFORE_POLLS
        if journal.adopt(keep, self.engine.take_up, within=ANSWERS_BEFORE_POLLS):
            self.engine.wait_for_answers(until - now())

    def _show_to_observers(self) -> None:
        """Show the worker to those that want to see more than records."""
        for observer in self._observers:
            watch: Callable[[WorkerView], object] | None = getattr(observer, "watch", None)
            try:
                if watch is not None:
                    watch(self.view)
            except Exception as error:  # somebody's own
                self.engine.internal_error(error, f"the observer {type(observer).__name__}")

    def tell(self, record: Observation) -> None:
        """Have its observers told."""
        self._observe(record)

    def announce(self) -> None:
        """Tell observers that polls are about to be opened."""
        options, types = self._options, self._registry.types
        identity = options.identity or default_identity()
        why = self._parts.service.why_boto3
        calls = "direct" if why is None else f"boto3: {why}"
        for each in self._registry:
            if each.inputs.unclear is not None:
                self._observe(InputUnclear(each.type, *each.inputs.unclear))
        self._observe(WorkerStarted(options.domain, options.task_list, identity, types, calls))

    def _run_hook(self, result: Any) -> None:
        if hasattr(result, "__await__"):

            async def awaited() -> None:
                await result

            self._parts.runners.loop.submit(awaited()).result()

    def _fail(self, error: SwfWorkerError) -> None:
        """It can't work: end it, and tell the program at once."""
        if self.error is not None:
            return
        self.error = error
        self.driver.tell(lifecycle.Fatal())
        tell = self._options.on_fatal_error
        if tell is None:
            return

        def call() -> None:
            try:
                tell(error)
            except BaseException as broken:
                self.engine.internal_error(broken, "on_fatal_error")

        try:
            self._platform.start_thread("fatal-error", call)
        except RuntimeError:  # no more threads
            call()

    # --- while it runs --------------------------------------------------------------------------

    def request_stop(self, drain_timeout: float | None = None) -> None:
        """Stop, once; ``drain_timeout`` in place of the option's. Never blocks."""
        was_stopping = self.engine.is_stopping()
        if drain_timeout is not None:
            self.engine.drain_timeout = drain_timeout
        self.driver.request_stop()
        if drain_timeout is not None and was_stopping:
            self.driver.drain_changed()

    def wait(self, timeout: float | None) -> bool:
        """Block until the end; False when ``timeout`` seconds were not enough."""
        try:
            self.finished.result(timeout)
        except TimeoutError:
            return False
        if self._finisher is not None and not self.finishes_here():
            self._finisher.join()
        return True

    def raise_error(self) -> None:
        """Raise what ended it, if anything did."""
        if self.error is not None:
            raise self.error

    def finishes_here(self) -> bool:
        """Whether the calling thread is the one that ends the worker."""
        return threading.current_thread() is self._finisher

    # --- the end --------------------------------------------------------------------------------

    def _begin_finish(self) -> None:
        if self.finished.done():
            return  # its start failed
        try:
            self._platform.start_thread("stop", self._finish)
        except RuntimeError as error:  # no more threads: here, then
            self.engine.internal_error(error)
            self._finish()

    def _finish(self) -> None:
        self._finisher = threading.current_thread()
        self._run_on_stop()
        abandoned = list(self._parts.open_tasks.abandoned)
        try:
            self._close()
            self._observe(WorkerStopped(tuple(abandoned), str(self.error) if self.error else None))
            self._parts.observers.close()
        finally:
            self.finished.set_result(abandoned)

    def _run_on_stop(self) -> None:
        try:
            self._run_hook(self._hooks.on_stop())
        except BaseException as error:
            self.engine.internal_error(error, "on_stop")

    def _close(self) -> None:
        if self._closed:
            return
        self._closed = True
        parts = self._parts
        threads: list[threading.Thread | None] = []
        parts.service.close()  # also cuts the beats that are under way
        for pool in parts.pools:
            threads.extend(pool.close())
        threads.append(parts.runners.close())
        if parts.journal is not None:
            threads.append(parts.journal.close())
        threads.append(parts.timers.close())
        threads.append(self._platform.close())
        # A handler that was abandoned holds its thread: that is told, not waited for.
        held = parts.open_tasks.abandoned or parts.poller.running
        until = now() + (0.1 if held else _JOIN)
        for thread in threads:
            if thread is not None and thread is not threading.current_thread():
                thread.join(max(0.0, until - now()))
                if thread.is_alive():
                    self.left_threads.append(thread)

    # --- an end that is none of its own ---------------------------------------------------------

    def program_ends(self) -> None:
        """Have told what is abandoned: the program has ended, and never stopped the worker. Answers
        that are under way get a moment."""
        self.engine.wait_for_answers(LAST_MOMENT)
        open_polls, tasks = self.engine.unfinished()
        self._observe(ProgramEnded(tuple(tasks), open_polls))
        self._parts.observers.close()

    def overdue(self) -> None:
        """Have told that the worker's time is over and its end hangs, in ``on_stop`` say."""
        finisher = self._finisher
        self._observe(StopOverdue(stack_of(finisher.ident if finisher is not None else None)))
        self._parts.observers.close()
