"""``ActivityWorker``: the public face. It puts the parts together; the engine does the work."""

from __future__ import annotations

import asyncio
import atexit
import inspect
import os
import sys
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import FunctionType, TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

from .activity import ActivityDefinition, ActivityMark, activity, define
from .clock import now
from .context import ActivityContext, current
from .converter import Converter
from .core import lifecycle
from .core.registry import Registry
from .errors import ActivityNotRegisteredError, ConfigurationError, SwfWorkerError
from .instrumentation.logs import LogObserver, say
from .observations import Observer
from .options import OPTION_NAMES, Duration, Options, RetryPolicy, Wrapper
from .registration import fallback_definition, mark_or_refuse, marked_methods, process_hook
from .runtime.children import role
from .runtime.children.setup import check_definition, check_wrappers, pickled_or_refused
from .runtime.engine import Engine, Hooks
from .runtime.platform import Platform
from .runtime.process.interpreter import PATH, interpreter
from .runtime.process.streams import make_standard_streams_safe
from .runtime.stopping.control_thread import ControlThread, control_thread
from .runtime.stopping.lifecycle_driver import LifecycleDriver
from .runtime.stopping.process_exit import LEFT, ExitPlan, ProcessExit, left_behind
from .runtime.stopping.signals import StoppedEarly, signal_inbox
from .runtime.until_stopped import check_main_thread, check_not_loading, run_until_stopped
from .task import ActivityTask

if TYPE_CHECKING:
    import boto3
    from botocore.config import Config

Handler = Callable[..., Any]


class ActivityWorker:
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
    """

    domain: str
    task_list: str
    activities: Sequence[Handler]
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
    wrappers: Sequence[Wrapper]
    observers: Sequence[Observer]
    retry_policy: RetryPolicy
    event_loop: asyncio.AbstractEventLoop | Literal["current"] | None
    on_fatal_error: Callable[[SwfWorkerError], object] | None
    calls: Literal["boto3"] | None

    def __init__(
        self,
        *,
        domain: str | None = None,
        task_list: str | None = None,
        activities: Iterable[Handler] | None = None,
        session: boto3.Session | None = None,
        region_name: str | None = None,
        endpoint_url: str | None = None,
        client_config: Config | None = None,
        identity: str | None = None,
        max_concurrent_activities: int | None = None,
        max_concurrent_polls: int | None = None,
        heartbeat_interval: float | None = None,
        drain_timeout: float | None = None,
        cancel_grace: float | None = None,
        on_drain_timeout: Literal["fail", "abandon"] | None = None,
        max_tasks_per_child: int | None = None,
        progress_beats_per_second: float | None = None,
        failure_tracebacks: bool | None = None,
        converter: Converter | None = None,
        wrappers: Sequence[Wrapper] | None = None,
        observers: Sequence[Observer] | None = None,
        retry_policy: RetryPolicy | None = None,
        event_loop: asyncio.AbstractEventLoop | Literal["current"] | None = None,
        on_fatal_error: Callable[[SwfWorkerError], object] | None = None,
        calls: Literal["boto3"] | None = None,
    ) -> None:
        given = {name: value for name, value in locals().items() if name in OPTION_NAMES}
        self._given = {name: value for name, value in given.items() if value is not None}
        self._overrides: dict[str, Any] = {}
        self._platform = Platform()
        self._engine: Engine | None = None
        self._pid = os.getpid()
        self._entered_on: asyncio.AbstractEventLoop | None = None
        self.configure({})
        self._registry = Registry()
        for method, mark in marked_methods(self, ActivityWorker):
            self._register(method, mark)
        own = activities if activities is not None else getattr(type(self), "activities", ())
        if isinstance(own, str) or not isinstance(own, Iterable):
            raise ConfigurationError(f"activities is {own!r}: a list of functions is needed")
        for function in own:
            self._register(function, mark_or_refuse(function))
        self._check_processes()

    # --- registration ---------------------------------------------------------------------------

    @property
    def definitions(self) -> tuple[ActivityDefinition, ...]:
        """The registered activities, validated."""
        return tuple(self._registry)

    def activity(
        self,
        function: Any = None,
        /,
        *,
        name: str | None = None,
        version: str = "",
        isolation: Literal["thread", "process"] = "thread",
        heartbeat_interval: float | None = None,
        deadline: float | None = None,
        heartbeat_deadline: float | None = None,
        heartbeat_timeout: Duration | None = None,
        start_to_close_timeout: Duration | None = None,
        schedule_to_start_timeout: Duration | None = None,
        schedule_to_close_timeout: Duration | None = None,
        default_task_list: str | None = None,
        description: str | None = None,
        max_concurrent: int | None = None,
        converter: Converter | None = None,
        input: Literal["whole", "members"] | None = None,  # noqa: A002 (the contract's name)
        manual_completion: bool = False,
        cancel_kills: bool = False,
    ) -> Callable[[Handler], Handler]:
        """Register a handler on this worker: ``swf_worker.activity``, which documents the
        arguments, and ``activities=`` in one. RuntimeError once the worker has started."""
        mark = activity(
            function,
            name=name,
            version=version,
            isolation=isolation,
            heartbeat_interval=heartbeat_interval,
            deadline=deadline,
            heartbeat_deadline=heartbeat_deadline,
            heartbeat_timeout=heartbeat_timeout,
            start_to_close_timeout=start_to_close_timeout,
            schedule_to_start_timeout=schedule_to_start_timeout,
            schedule_to_close_timeout=schedule_to_close_timeout,
            default_task_list=default_task_list,
            description=description,
            max_concurrent=max_concurrent,
            converter=converter,
            input=input,
            manual_completion=manual_completion,
            cancel_kills=cancel_kills,
        )(lambda: None)  # the mark alone: a bound method couldn't carry it

        def register(function: Handler) -> Handler:
            if self._engine is not None:
                raise RuntimeError("the worker has started: register handlers before")
            self._register(function, mark_or_refuse(mark))
            return function

        return register

    def _register(self, function: Handler, mark: ActivityMark) -> None:
        if not isinstance(mark.version, str):
            raise ConfigurationError(f"{function!r}: version is {mark.version!r}: it must be text")
        self._registry.add(define(function, mark, self._options.converter))

    @property
    def _has_processes(self) -> bool:
        return any(definition.mode == "process" for definition in self._registry)

    def _check_processes(self) -> None:
        """What handler processes need must be importable there."""
        if self._has_processes:
            check_wrappers(self._options.wrappers)
            pickled_or_refused(
                f"{type(self).__name__}.on_process_start", process_hook(self, ActivityWorker)
            )
            for definition in self._registry:
                if definition.mode == "process":
                    check_definition(definition)

    def configure(self, overrides: Mapping[str, Any]) -> None:
        """Settle the options: ``overrides`` of this and earlier calls, else arguments, else class
        attributes, else defaults. (The command line's flags come in here.) RuntimeError after
        the start."""
        if self._engine is not None:
            raise RuntimeError("the worker has started: its options are settled")
        self._overrides.update(overrides)
        settled: dict[str, Any] = {}
        for name in OPTION_NAMES:
            for source in (self._overrides, self._given, _ClassAttributes(self)):
                if source.get(name) is not None:
                    settled[name] = source[name]
                    break
        missing = [name for name in ("domain", "task_list") if name not in settled]
        if missing:
            raise ConfigurationError(
                f"{type(self).__name__} needs {' and '.join(missing)}: give "
                f"{', '.join(f'{name}=' for name in missing)}, or a class attribute"
            )
        self._options = Options(**settled)
        for name in OPTION_NAMES:
            setattr(self, name, getattr(self._options, name))

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
        return self._engine.error if self._engine is not None else None

    @property
    def is_running(self) -> bool:
        """Whether it polls or has tasks: from the start of its polls to the end of its stop."""
        engine = self._engine
        if engine is None or os.getpid() != self._pid or engine.finished.done():
            return False
        return engine.driver.state.phase is not lifecycle.Phase.NEW

    # --- running --------------------------------------------------------------------------------

    def run(self) -> int:
        """Start, handle SIGTERM and SIGINT, and block until stopped. In the main thread only.

        Returns 0 when every task taken was answered, handed over or closed by SWF, and 3 when
        tasks were abandoned. Raises the fatal error of a start that SWF refused
        (ConfigurationError, UnknownResourceFault, OperationNotPermittedFault, …). The first
        signal drains, the second ends the drain, the third exits the process at once with 3.
        SIGUSR1 logs the running tasks and the stacks of all threads.
        """
        return run_workers([self])

    def start(self) -> None:
        """Start polling in threads of the worker's own, and return when polls are being opened.
        Touches no signals. What SWF refuses is raised later, by ``wait`` or ``stop``, and given to
        ``on_fatal_error`` at once. RuntimeError on the event loop that the handlers are to run on,
        which it would block: use ``async with worker:``."""
        check_not_loading("start()")
        self._refuse_on_own_loop()
        engine = self._prepare(LifecycleDriver(), exits_after=False)
        atexit.register(self._at_exit)
        engine.finished.add_done_callback(lambda _: atexit.unregister(self._at_exit))
        engine.announce()
        engine.driver.open()

    def _at_exit(self) -> None:
        if self._engine is not None and self.is_running:
            self._engine.program_ends()

    def _prepare(
        self, driver: LifecycleDriver, *, exits_after: bool, among: bool = False
    ) -> Engine:
        self._check_constructed()
        if self._engine is not None:
            raise RuntimeError("a worker runs once: construct a new one to run again")
        if not len(self._registry) and self._fallback() is None:
            raise ConfigurationError(
                "the worker has no handlers: give activities=[...], mark methods with "
                "@activity, or register with @worker.activity"
            )
        if PATH in os.environ:
            raise ConfigurationError(
                f"this process was started as Python, and runs the program: {sys.executable} is no "
                "Python. Name one with multiprocessing.set_executable(...) before the start"
            )
        if role.is_child:
            raise ConfigurationError(
                "a worker can't be started in a handler process: a main module must start it under "
                "`if __name__ == '__main__':`, because handler processes import that module"
            )
        self._check_processes()  # of those that were registered since its construction, too
        if self._has_processes:
            interpreter()
        hook = process_hook(self, ActivityWorker) if self._has_processes else None
        hooks = Hooks(self.on_start, self.on_stop, hook, self._fallback())
        # Among several, the log says whose line it is.
        log = LogObserver(task_list=self._options.task_list) if among else LogObserver()
        observers = (log, *self._options.observers)
        self._pid = os.getpid()
        self._options = self._options.at_start(event_loop=self._loop_at_start())
        self.identity = self._options.identity
        self._engine = Engine(
            self._options,
            self._registry,
            hooks,
            observers,
            self._platform,
            driver,
            exits_after=exits_after,
        )
        self._engine.prepare()
        return self._engine

    def _loop_at_start(self) -> asyncio.AbstractEventLoop | None:
        loop = self._options.event_loop
        if loop != "current":
            return loop
        if self._entered_on is None:
            raise ConfigurationError(
                "event_loop='current' is the loop that `async with worker:` is in: enter it so, or "
                "give a running loop"
            )
        return self._entered_on

    def _refuse_on_own_loop(self) -> None:
        try:
            running = asyncio.get_running_loop()
        except RuntimeError:
            return
        if self._options.event_loop in (running, "current"):
            raise RuntimeError(
                "start() would block the event loop that the handlers are to run on: use "
                "`async with worker:`"
            )

    def _check_constructed(self) -> None:
        if not hasattr(self, "_registry"):
            raise ConfigurationError(
                f"{type(self).__name__}.__init__ doesn't call super().__init__(...)"
            )

    def request_stop(self) -> None:
        """Begin to stop and return at once: no new polls, open ones and running tasks are
        waited for. May be called from anywhere, handlers included."""
        engine = self._running()
        if engine is not None:
            engine.request_stop()

    def stop(self, drain_timeout: float | None = None) -> list[ActivityTask]:
        """Stop, block until the end, and return the tasks that had to be abandoned.

        Open polls are waited for (60 s and a margin: SWF may give them a task at any moment),
        running tasks for ``drain_timeout`` seconds (the option's by default); then handlers are
        asked to stop, and given up ``cancel_grace`` seconds later. Idempotent. RuntimeError
        from a handler or an event loop, which it would block: use ``request_stop`` there.
        """
        self._refuse_blocking()
        engine = self._running()
        if engine is None:
            return []
        engine.request_stop(drain_timeout)
        engine.wait(None)
        self._raise_error(engine)
        return engine.finished.result()

    def wait(self, timeout: float | None = None) -> bool:
        """Block until the worker has ended, ``timeout`` seconds at most: whether it has.
        Raises the fatal error that ended it."""
        engine = self._running()
        if engine is None:
            raise RuntimeError("the worker has not been started")
        ended = engine.wait(timeout)
        if ended:
            self._raise_error(engine)
        return ended

    async def wait_async(self) -> None:
        """Return when the worker has ended; raises the fatal error that ended it."""
        engine = self._running()
        if engine is None:
            raise RuntimeError("the worker has not been started")
        await asyncio.shield(asyncio.wrap_future(engine.finished))
        self._raise_error(engine)

    def __enter__(self) -> Self:
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

    def _running(self) -> Engine | None:
        if self._engine is not None and os.getpid() != self._pid:
            raise RuntimeError(
                "this process was forked from the worker's after its start: the worker's threads "
                "are not here; start workers after the fork"
            )
        return self._engine

    def _refuse_blocking(self) -> None:
        if current.get(None) is not None:
            raise RuntimeError("stop() in a handler would wait for itself: use request_stop()")
        if self._engine is not None and self._engine.finishes_here():
            raise RuntimeError("stop() in on_stop would wait for itself: the worker is stopping")
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return
        raise RuntimeError(
            "stop() would block this event loop: use request_stop() and `await wait_async()`"
        )

    def _raise_error(self, engine: Engine) -> None:
        if engine.error is not None:
            raise engine.error


class _ClassAttributes:
    """A subclass's options. One may be a method of it."""

    def __init__(self, worker: ActivityWorker) -> None:
        self._worker = worker

    def get(self, name: str) -> Any:
        kind = type(self._worker)
        if isinstance(inspect.getattr_static(kind, name, None), FunctionType):
            return getattr(kind, name).__get__(self._worker)
        return getattr(kind, name, None)

    __getitem__ = get


def run_workers(workers: Sequence[ActivityWorker]) -> int:
    """Run several workers in this process, as ``ActivityWorker.run`` runs one: a shared task list
    and the host's own, say. In the main thread only.

    They stop together: a signal, ``request_stop()`` of one, or a fatal error of
    one stops all; the drain has the longest ``drain_timeout`` among them, the grace the longest
    ``cancel_grace``. Returns 0 or 3 for all of them, and raises the first fatal error when all
    have ended. ConfigurationError where two of them poll the same task list with different
    handlers: SWF would give each the other's tasks.
    """
    check_not_loading("run()")
    check_main_thread()
    own, registered = threading.enumerate(), atexit._ncallbacks()
    make_standard_streams_safe()
    with signal_inbox(starting=True) as inbox, control_thread(inbox) as control:
        try:
            exit_plan = run_together(workers, control)
        except StoppedEarly:
            return 0
    seconds = max(LEFT, exit_plan.until - now())
    if left_behind(own) or atexit._ncallbacks() > registered:
        ProcessExit(say).after_main(exit_plan.code, seconds, own=own, keeps_on=exit_plan.left)
    return exit_plan.code


def run_together(workers: Sequence[ActivityWorker], control: ControlThread) -> ExitPlan:
    """``run_workers``, in a process that hears what it is told already."""
    _check_together(workers)
    driver = LifecycleDriver()
    engines: list[Engine] = []
    try:
        for worker in workers:
            engine = worker._prepare(driver, exits_after=True, among=len(workers) > 1)
            engines.append(engine)
    except BaseException:
        driver.tell(lifecycle.StopAsked(once=True))  # those that were started before it end
        for engine in engines:
            engine.wait(driver.longest_stop)
        raise
    exit_plan = run_until_stopped(engines, control)
    for worker, engine in zip(workers, engines, strict=True):
        worker._raise_error(engine)
    return exit_plan


def _check_together(workers: Sequence[ActivityWorker]) -> None:
    if not workers or not all(isinstance(worker, ActivityWorker) for worker in workers):
        raise ConfigurationError(f"run_workers needs a list of workers, not {workers!r}")
    if len({id(worker) for worker in workers}) < len(workers):
        raise ConfigurationError("run_workers was given the same worker twice")
    served: dict[tuple[Any, ...], ActivityWorker] = {}
    for worker in workers:
        worker._check_constructed()
        options = worker._options
        there = (id(options.session), options.region_name, options.endpoint_url)
        where = (*there, options.domain, options.task_list)
        other = served.setdefault(where, worker)
        if {d.type for d in other.definitions} != {d.type for d in worker.definitions}:
            raise ConfigurationError(
                f"two workers poll task list {options.task_list!r} of domain {options.domain!r} "
                "with different handlers, and SWF would give each the other's tasks: give them "
                "task lists of their own, or one worker all the handlers"
            )
