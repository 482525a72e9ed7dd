"""``ActivityWorker``: the public face. It settles the options and the handlers; what runs them is
``runtime/``."""

from __future__ import annotations

import asyncio
import atexit
import inspect
import os
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from types import FunctionType, TracebackType
from typing import Any, Self, Unpack

from .checks import check_keywords
from .context import ActivityContext, current
from .core import lifecycle
from .core.registry import Registry
from .definition import (
    ActivityDefinition,
    ActivityMark,
    ActivityOptions,
    Handler,
    check_version_given,
    define,
    new_mark,
)
from .errors import ActivityNotRegisteredError, ConfigurationError, SwfWorkerError
from .instrumentation.health.port import HealthPort
from .instrumentation.logs import LogObserver, say
from .options import OPTION_NAMES, Options, WorkerAttributes, WorkerOptions
from .registration import (
    check_attributes,
    fallback_definition,
    mark_or_refuse,
    marked_methods,
    process_hook,
)
from .runtime.platform import Platform
from .runtime.preflight import check_processes, check_startable
from .runtime.runners.event_loop import loop_at_start, refuse_on_own_loop, running_loop
from .runtime.running_worker import Hooks, RunningWorker
from .runtime.stopping.lifecycle_driver import LifecycleDriver
from .runtime.until_stopped import check_not_loading, refuse_in_event_loop, run_as_process
from .task import ActivityTask

Marked = tuple[Callable[..., Any], ActivityMark]


class ActivityWorker(WorkerAttributes):
    """Polls one task list for activity tasks, runs their handlers, and answers each once.

    Give it marked functions (``activities=[...]``), subclass it and mark methods, or register on
    an instance with ``@worker.activity(...)``. Every argument may as well be a class attribute
    of a subclass; an argument that is given wins. Construction validates everything
    (ConfigurationError), does no I/O and builds no client. A worker runs once.

    domain, task_list: what to poll (PollForActivityTask). Required.
    activities: functions marked with ``@activity``.
    session, region_name, endpoint_url, client_config: how to reach SWF: a ``boto3.Session``, and
        a botocore ``Config`` that is merged under the worker's own.
    identity: what histories call this worker, 256 characters at most; by default host:pid of the
        process that starts it, and None before.
    max_concurrent_activities: how many tasks are taken at once (10). A slot is reserved before
        each poll, so open polls and running tasks together never exceed it.
    max_concurrent_polls: the most open polls; by default half the slots, 10 at most.
    heartbeat_interval: seconds between beats for activities that set none themselves; by
        default a third of each type's heartbeat timeout.
    drain_timeout: seconds that running tasks get to finish when the worker stops (60).
    cancel_grace: seconds that handlers get when they are then asked to stop (5).
    on_drain_timeout: "fail" answers what still runs then with Failed ``WorkerShutdown`` where the
        process exits right after; "abandon" answers nothing, and SWF's timeouts take over.
    max_tasks_per_child: a handler process is replaced after so many tasks (by default never).
    progress_beats_per_second: the budget, over all tasks, of beats that go early because a
        handler reported progress (5). Beats that keep tasks alive are outside of it.
    failure_tracebacks: whether failure envelopes carry tracebacks (True).
    converter: reads inputs and writes results; ``JsonConverter`` by default.
    codecs: what texts go through behind the converter, in order, and before it, backwards:
        compressed, encrypted, kept in S3 (``swf_worker.codecs``). None by default.
    wrappers: context-manager factories that run around every handler.
    observers: are told what happens, as frozen records, beside the log.
    retry_policy: the waits between attempts of calls to SWF.
    event_loop: where async handlers, async hooks and the wrappers around them run: a running loop
        of the program's, whose resources (a database pool, an ``asyncio.Lock``) they share;
        "current" for the one that ``async with worker:`` is in. By default a loop of the worker's,
        in a thread of its own.
    on_fatal_error: called at once, in a thread of its own, with the error that ends the worker
        (an unknown domain, say), for a program that goes on without it.
    calls: "boto3" has boto3's client make every call to SWF. By default it does where something is
        configured or patched that it alone honours (a proxy, a tracer, a handler of its events);
        the first line of the log says which way is taken.
    health_port, health_host: serve probes, metrics and a page of what the worker does
        (``/livez``, ``/readyz``, ``/metrics``, ``/status``, ``/scale``, ``/``) on this port, 0 for
        any free one, of this address (127.0.0.1). None by default.
    journal: the file where answers are kept until SWF has accepted them, so that the next start
        sends those of a worker that was killed. Several workers and processes may share it. None
        by default.
    journal_keep: seconds after which an answer that lies there is no longer sent (a day).
    journal_sync: "process" survives the death of the process, "full" the machine's as well.
    """

    def __init__(self, **options: Unpack[WorkerOptions]) -> None:
        check_keywords(f"{type(self).__name__}()", options, WorkerOptions.__annotations__)
        self._given: dict[str, Any] = dict(options)
        self._overrides: dict[str, Any] = {}
        self._platform = Platform()
        self._running: RunningWorker | None = None
        self._pid = os.getpid()
        self._entered_on: asyncio.AbstractEventLoop | None = None
        check_attributes(type(self), ActivityWorker)
        self._handlers: list[Marked] = []
        self._resolve()  # options first: a method that is bound now may read them
        self._handlers.extend(marked_methods(self, ActivityWorker))
        own = self._setting("activities")
        if own is not None:
            if isinstance(own, str) or not isinstance(own, Iterable):
                raise ConfigurationError(f"activities is {own!r}: a list of functions is needed")
            self._handlers.extend((function, mark_or_refuse(function)) for function in own)
        self._resolve()

    # --- settling -------------------------------------------------------------------------------

    def configure(self, overrides: Mapping[str, Any]) -> None:
        """Settle the options anew: ``overrides`` of this and earlier calls, else arguments, else
        class attributes, else defaults. (The command line's flags come in here.) RuntimeError
        after the start."""
        self._check_constructed()
        if self._running is not None:
            raise RuntimeError("the worker has started: its options are settled")
        before, self._overrides = self._overrides, {**self._overrides, **overrides}
        try:
            self._resolve()
        except BaseException:
            self._overrides = before
            raise

    def _resolve(self) -> None:
        """Options, and the handlers that take them up: everything at one moment."""
        settings = {name: self._setting(name) for name in OPTION_NAMES}
        options = Options.settled(type(self).__name__, settings)
        registry = Registry(
            define(*each, options.converter, options.codecs) for each in self._handlers
        )
        self._process_hook(registry, options)
        self._options, self._registry = options, registry
        for name in OPTION_NAMES:
            setattr(self, name, getattr(options, name))

    def _process_hook(self, registry: Registry, options: Options) -> Callable[[], object] | None:
        """``on_process_start``, for handler processes; with all they need, it must be importable
        there. None where there are none, or nothing to do in them."""
        inside = [definition for definition in registry if definition.mode == "process"]
        if not inside:
            return None
        hook = process_hook(self, ActivityWorker)
        check_processes(inside, options.wrappers, (f"{type(self).__name__}.on_process_start", hook))
        return hook

    def _setting(self, name: str) -> Any:
        for given in (self._overrides, self._given):
            if given.get(name) is not None:
                return given[name]
        kind = type(self)
        if isinstance(inspect.getattr_static(kind, name, None), FunctionType):
            return getattr(kind, name).__get__(self)  # an option may be a method of the subclass
        return getattr(kind, name, None)

    # --- registration ---------------------------------------------------------------------------

    @property
    def definitions(self) -> tuple[ActivityDefinition, ...]:
        """The registered activities, validated."""
        return tuple(self._registry)

    def activity(
        self, function: Any = None, /, **options: Unpack[ActivityOptions]
    ) -> Callable[[Handler], Handler]:
        """Register a handler on this worker: ``swf_worker.activity``, which documents the
        arguments, and ``activities=`` in one. RuntimeError once the worker has started."""
        mark = new_mark(function, **options)  # no mark on the function: it may be a bound method

        def register(function: Handler) -> Handler:
            if self._running is not None:
                raise RuntimeError("the worker has started: register handlers before")
            check_version_given(mark, function)
            self._registry.add(
                define(function, mark, self._options.converter, self._options.codecs)
            )
            self._handlers.append((function, mark))
            return function

        return register

    # --- to override ----------------------------------------------------------------------------

    def on_start(self) -> Any:
        """Called before the first poll; may be ``async def``, and then runs on the worker's
        loop. What it raises ends the start."""

    def on_stop(self) -> Any:
        """Called when all tasks are over, before the worker's threads end; may be ``async``."""

    def on_process_start(self) -> Any:
        """Called in each handler process when it starts (``isolation="process"``): load a model,
        open a connection. It runs on a bare instance of the class: options and attributes that
        can be pickled are there, and ``__init__`` did not run. Not ``async``."""

    def handle_unregistered(self, context: ActivityContext, input: str | None) -> Any:  # noqa: A002
        """Called for activity types without a handler, with the raw input; what it returns is
        the result (a str goes out as it is, anything else as JSON). May be ``async``. By
        default such tasks fail with ``ActivityNotRegistered``, naming the registered types."""
        raise ActivityNotRegisteredError(f"no handler for {context.task.activity_type}")

    def _fallback(self) -> ActivityDefinition | None:
        if type(self).handle_unregistered is ActivityWorker.handle_unregistered:
            return None
        return fallback_definition(self.handle_unregistered)

    @property
    def error(self) -> SwfWorkerError | None:
        """The fatal error that ended the worker, or None."""
        return self._running.error if self._running is not None else None

    @property
    def is_running(self) -> bool:
        """Whether it polls or has tasks: from the start of its polls to the end of its stop."""
        running = self._running
        if running is None or os.getpid() != self._pid or running.finished.done():
            return False
        return running.driver.state.phase is not lifecycle.Phase.NEW

    # --- running --------------------------------------------------------------------------------

    def run(self) -> int:
        """Start, handle SIGTERM and SIGINT, and block until stopped. In the main thread only.

        Returns 0 when every task taken was answered, handed over or closed by SWF, and 3 when
        tasks were abandoned. Raises the fatal error of a start that SWF refused
        (ConfigurationError, UnknownResourceFault, OperationNotPermittedFault, …). The first
        signal drains, the second ends the drain, the third exits the process at once with 3.
        SIGUSR1 logs the running tasks and the stacks of all threads.
        """
        return run_as_process([partial(self._prepare, process_exits=True)], say)

    def start(self) -> None:
        """Start polling in threads of the worker's own, and return when polls are being opened.
        Touches no signals. What SWF refuses is raised later, by ``wait`` or ``stop``, and given to
        ``on_fatal_error`` at once. RuntimeError on the event loop that the handlers are to run on,
        which it would block: use ``async with worker:``."""
        check_not_loading("start()")
        self._check_constructed()
        refuse_on_own_loop(self._options.event_loop)
        running = self._prepare(LifecycleDriver(), process_exits=False)
        atexit.register(self._at_exit)
        running.finished.add_done_callback(lambda _: atexit.unregister(self._at_exit))
        running.announce()
        running.driver.open()

    def _at_exit(self) -> None:
        if self._running is not None and self.is_running:
            self._running.program_ends()

    def _prepare(
        self,
        driver: LifecycleDriver,
        *,
        process_exits: bool,
        health: HealthPort | None = None,
    ) -> RunningWorker:
        self._check_constructed()
        if self._running is not None:
            raise RuntimeError("a worker runs once: construct a new one to run again")
        fallback = self._fallback()
        check_startable(self._registry, fallback)
        # Of those that were registered since its construction, too.
        hook = self._process_hook(self._registry, self._options)
        self._pid = os.getpid()
        self._options = self._options.at_start(
            event_loop=loop_at_start(self._options.event_loop, self._entered_on)
        )
        self.identity = self._options.identity
        log = LogObserver(**self._options.place)
        health = health or HealthPort.of([self._options])
        with health.opened():
            own = self._options.observers
            self._running = RunningWorker(
                self._options,
                self._registry,
                Hooks(self.on_start, self.on_stop, hook, fallback),
                (log, *own, *health.observers_of(own)),
                self._platform,
                driver,
                process_exits=process_exits,
            )
            health.tells_of(self._running)
            self._running.prepare()
        return self._running

    def _check_constructed(self) -> None:
        if not hasattr(self, "_registry"):
            raise ConfigurationError(
                f"{type(self).__name__}.__init__ doesn't call super().__init__(...)"
            )

    def request_stop(self) -> None:
        """Begin to stop and return at once: no new polls, open ones and running tasks are
        waited for. May be called from anywhere, handlers included."""
        running = self._checked()
        if running is not None:
            running.request_stop()

    def stop(self, drain_timeout: float | None = None) -> list[ActivityTask]:
        """Stop, block until the end, and return the tasks that had to be abandoned.

        Open polls are waited for (60 s and a margin: SWF may give them a task at any moment),
        running tasks for ``drain_timeout`` seconds (the option's by default); then handlers are
        asked to stop, and given up ``cancel_grace`` seconds later. Idempotent. RuntimeError
        from a handler or an event loop, which it would block: use ``request_stop`` there.
        """
        self._refuse_blocking()
        running = self._checked()
        if running is None:
            return []
        running.request_stop(drain_timeout)
        running.wait(None)
        running.raise_error()
        return running.finished.result()

    def wait(self, timeout: float | None = None) -> bool:
        """Block until the worker has ended, ``timeout`` seconds at most: whether it has.
        Raises the fatal error that ended it."""
        running = self._checked()
        if running is None:
            raise RuntimeError("the worker has not been started")
        ended = running.wait(timeout)
        if ended:
            running.raise_error()
        return ended

    async def wait_async(self) -> None:
        """Return when the worker has ended; raises the fatal error that ended it."""
        running = self._checked()
        if running is None:
            raise RuntimeError("the worker has not been started")
        await asyncio.shield(asyncio.wrap_future(running.finished))
        running.raise_error()

    def __enter__(self) -> Self:
        refuse_in_event_loop("with worker:")
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.stop()
        except SwfWorkerError:
            if error is None:  # never hide what the body raised
                raise

    async def __aenter__(self) -> Self:
        self._entered_on = asyncio.get_running_loop()
        await asyncio.to_thread(self.start)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.request_stop()
        try:
            await self.wait_async()
        except SwfWorkerError:
            if error is None:
                raise

    def _checked(self) -> RunningWorker | None:
        if self._running is not None and os.getpid() != self._pid:
            raise RuntimeError(
                "this process was forked from the worker's after its start: the worker's threads "
                "are not here; start workers after the fork"
            )
        return self._running

    def _refuse_blocking(self) -> None:
        if current.get(None) is not None:
            raise RuntimeError("stop() in a handler would wait for itself: use request_stop()")
        if self._running is not None and self._running.finishes_here():
            raise RuntimeError("stop() in on_stop would wait for itself: the worker is stopping")
        if running_loop() is not None:
            raise RuntimeError(
                "stop() would block this event loop: use request_stop() and `await wait_async()`"
            )
