"""One worker at work: puts polls, tasks, beats and the ladder of its stop together.

A poll's task comes in at ``_take``; ``task_run.TaskRun`` takes it to its end; ``_task_over`` is
told. The ladder's decisions are ``core/lifecycle.py``'s.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any

from ..activity import ActivityDefinition
from ..clock import now
from ..core import lifecycle
from ..core.execution import (
    Event,
    GivenUp,
    HandlerFailed,
    Phase,
    ProcessExiting,
    Redelivered,
    RetryDue,
)
from ..core.heartbeats import INTERVAL_UNKNOWN, SENDERS, ProgressBudget
from ..core.lifecycle import Command
from ..core.pollers import PollPlan
from ..core.registry import Registry
from ..errors import (
    ConfigurationError,
    ServiceError,
    SwfWorkerError,
)
from ..failure import FailureWording
from ..observations import (
    DrainEnded,
    InternalError,
    Observer,
    ProgramEnded,
    StopOverdue,
    TaskRepeated,
    TaskStarted,
    ThreadReported,
    WorkerReported,
    WorkerStarted,
    WorkerStopped,
    WorkerStopping,
)
from ..options import Options, default_identity
from ..outcome import FailureReason
from ..service.api import Polled, Timers
from ..task import ActivityTask, ActivityType, CancelReason
from .heartbeats.heartbeater import Heartbeater
from .heartbeats.registered_timeouts import TimeoutLookups
from .platform import ANSWERERS, Platform
from .polling.open_tasks import OpenTasks
from .polling.poller import Poller
from .runners.runners import Runners
from .stopping.lifecycle_driver import LifecycleDriver
from .tasks.task_run import Runner, TaskRun, TaskServices, stack_of
from .threads.thread_pool import IdleThreadsFirst

LOOKUPS_BEFORE_POLLS = 5.0
"""How long the first polls wait for the look-ups of heartbeat timeouts, at most."""
LOOKUP_THREADS = 2
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


@dataclass(frozen=True, slots=True)
class ServedType:
    """What a task needs that is the same for all of its type."""

    definition: ActivityDefinition | None = None
    runner: Runner | None = None
    interval: float = INTERVAL_UNKNOWN
    time_limit: float | None = None


class Engine:
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
        exits_after: bool,
    ) -> None:
        self.options = options
        self.driver = driver
        self.finished: Future[list[ActivityTask]] = Future()
        self.error: SwfWorkerError | None = None
        self.drain_timeout = options.drain_timeout
        self.cancel_grace = options.cancel_grace
        self._exits_after = exits_after
        self.left: list[threading.Thread] = []
        """Threads that did not end with the worker: a handler runs in them."""
        self._on_start_done = False
        self._finisher: threading.Thread | None = None
        self._registry = registry
        self._hooks = hooks
        self._observers = platform.observer_thread(observers)
        self._observe = self._observers.tell
        self._unwanted = self._observers.unwanted
        self._platform = platform
        self._open_tasks = OpenTasks()
        self._served: dict[ActivityType, ServedType] = {}
        self._task_ended: threading.Event | None = None
        """Somebody waits for tasks to end: the program does."""
        self._closed = False
        self._wording = FailureWording(options.failure_tracebacks)
        self._build()
        driver.members.append(self)

    # --- building -------------------------------------------------------------------------------

    def _build(self) -> None:
        options, platform, error = self.options, self._platform, self.internal_error
        self._timers = platform.timers(error)
        self._service = platform.service(options, self._timers, self._observe)
        self._backoff = platform.backoff(options.retry_policy)
        # Polls and plain handlers share one crew: together they never exceed the slots.
        self._slot_pool = platform.pool("slot", options.max_concurrent_activities, error)
        self._beat_pool = platform.pool("beat", SENDERS, error)
        self._answer_pool = platform.pool("answer", ANSWERERS, error)
        self._lookup_pool = platform.pool("lookup", LOOKUP_THREADS, error)
        self._pools = (self._slot_pool, self._beat_pool, self._answer_pool, self._lookup_pool)
        self._runners = Runners(
            self._definitions(),
            options,
            platform,
            slots=self._slot_pool,
            timers=self._timers,
            backoff=self._backoff,
            wording=self._wording,
            observe=self._observe,
            on_error=error,
            on_process_start=self._hooks.on_process_start,
            on_loop_closed=self._loop_closed,
        )
        self._build_parts()

    def _definitions(self) -> list[ActivityDefinition]:
        return [*self._registry, *([self._hooks.fallback] if self._hooks.fallback else [])]

    def _build_parts(self) -> None:
        clock = self._platform.clock
        self._heartbeater = Heartbeater(
            service=self._service,
            clock=clock,
            timers=self._timers,
            backoff=self._backoff,
            senders=self._beat_pool,
            budget=ProgressBudget(self.options.progress_beats_per_second),
            observe=self._observe,
            unwanted=self._unwanted,
        )
        self._lookups = TimeoutLookups(
            self.options.heartbeat_interval,
            service=self._service,
            pool=self._lookup_pool,
            timers=self._timers,
            backoff=self._backoff,
            observe=self._observe,
            on_known=self._interval_known,
        )
        self._poller = Poller(
            service=self._service,
            plan=PollPlan(most=self.options.polls),
            slots=self.options.max_concurrent_activities,
            clock=clock,
            timers=self._timers,
            backoff=self._backoff,
            pool=self._slot_pool,
            observe=self._observe,
            unwanted=self._unwanted,
            on_task=self._take,
            on_accepted=self._poll_accepted,
            on_refused=self._refused,
            on_change=self._count,
        )
        self._services = TaskServices(
            service=self._service,
            clock=clock,
            timers=self._timers,
            backoff=self._backoff,
            answers=IdleThreadsFirst(self._answer_pool, self._slot_pool),
            heartbeater=self._heartbeater,
            observe=self._observe,
            task_over=self._task_over,
            free_slot=self._poller.free_slot,
            worker_stopping=self.stopping,
            cancel_grace=self.options.cancel_grace,
            wording=self._wording,
        )

    # --- the ladder -----------------------------------------------------------------------------

    def prepare(self) -> None:
        """Start the threads, run ``on_start``, look up heartbeat timeouts. Raises what
        ``on_start`` raises, with everything ended again."""
        try:
            for pool in (self._slot_pool, self._beat_pool, self._answer_pool):
                pool.start()
            self._runners.open()
            self._run_hook(self._hooks.on_start())
            self._on_start_done = True
            self._lookups.start(self._registry)
            self._lookups.wait(LOOKUPS_BEFORE_POLLS)
        except BaseException:
            if self._on_start_done:
                self._run_on_stop()
            self._close()
            self._observers.close()
            self.finished.set_result([])
            self.driver.tell(lifecycle.StopAsked(once=True))  # the others on it end, too
            raise

    def announce(self) -> None:
        """Tell observers that polls are about to be opened."""
        options, types = self.options, self._registry.types
        identity = options.identity or default_identity()
        why = self._service.why_boto3
        calls = "direct" if why is None else f"boto3: {why}"
        self._observe(WorkerStarted(options.domain, options.task_list, identity, types, calls))

    def request_stop(self, drain_timeout: float | None = None) -> None:
        """Stop, once; ``drain_timeout`` in place of the option's. Never blocks."""
        was_stopping = self.stopping()
        if drain_timeout is not None:
            self.drain_timeout = drain_timeout
        self.driver.request_stop()
        if drain_timeout is not None and was_stopping:
            self.driver.drain_changed()

    def stopping(self) -> bool:
        """Whether the worker was told to stop, or has failed."""
        return self.driver.state.stopping

    @property
    def timers(self) -> Timers:
        """What runs things later."""
        return self._timers

    def counts(self) -> tuple[int, int]:
        """Open polls, and tasks that are not over."""
        return self._poller.open_polls, len(self._open_tasks)

    def perform(self, command: Command) -> None:
        """This worker's part of a step of the ladder."""
        match command:
            case Command.OPEN_POLLS:
                self._poller.open()
            case Command.CLOSE_POLLING:
                self._poller.close()
                self._lookups.close()
                self._runners.worker_stopping()
                self._observe(WorkerStopping(*self.counts(), self.driver.longest_stop))
            case Command.ASK_HANDLERS:
                self._observe(DrainEnded(len(self._open_tasks), self._poller.open_polls))
                self._apply_to_all(lambda run: run.stop_cause(CancelReason.WORKER_SHUTDOWN))
            case Command.ANSWER_RUNNING:
                self._apply_to_all(lambda run: run.apply(self._last_event(run)))
            case Command.GIVE_UP:
                self._apply_to_all(lambda run: run.apply(GivenUp()))
            case Command.FINISH:
                self._begin_finish()

    def _last_event(self, run: TaskRun) -> Event:
        if run.state.phase is Phase.WAITING:
            return RetryDue()  # no backoff any more: these are its last seconds
        if run.state.phase is Phase.RUNNING:
            if self.options.on_drain_timeout == "abandon":
                return GivenUp()
            if not self._exits_after and not run.state.policy.killable:
                return GivenUp()
        return ProcessExiting()

    def _apply_to_all(self, action: Callable[[TaskRun], object]) -> None:
        for run in self._open_tasks.open_runs():
            action(run)

    def _count(self) -> None:
        self.driver.tell(lifecycle.Counts)

    def _poll_accepted(self) -> None:
        self.driver.tell(lifecycle.PollAccepted())

    def _refused(self, error: ServiceError) -> bool:
        if self._poller.accepted or self.stopping():
            return False
        fatal = self._service.fatal_at_start(error)
        if fatal is None:
            return False
        self._fail(fatal)
        return True

    def _loop_closed(self) -> None:
        if self.error is None and (self._runners.on_loop or not self.stopping()):
            self._fail(
                ConfigurationError(
                    "the event loop of event_loop= was closed while the worker ran: stop the "
                    "worker before, or leave `async with worker:` first"
                )
            )

    def _fail(self, error: SwfWorkerError) -> None:
        self.error = error
        self.driver.tell(lifecycle.Fatal())
        tell = self.options.on_fatal_error
        if tell is None:
            return

        def call() -> None:
            try:
                tell(error)
            except BaseException as broken:
                self.internal_error(broken, "on_fatal_error")

        try:
            self._platform.start_thread("fatal-error", call)
        except RuntimeError:  # no more threads
            call()

    # --- tasks ----------------------------------------------------------------------------------

    def _take(self, polled: Polled) -> None:
        task = polled.task
        assert task is not None
        if not self._open_tasks.reserve(task.task_token):
            self._repeated(task)
            return
        served = None if polled.missing else self._served.get(task.activity_type)
        failure: Event | None = None
        if served is None:
            served, failure = self._first_of_its_type(polled, task)
        driver = self.driver.state
        if driver.fails_new_tasks:
            failure = self._shutdown_event()
        run = TaskRun(self._services, task, served.definition, served.runner, served.time_limit)
        self._open_tasks.enter(run)
        if failure is not None:
            run.skip(failure, served.interval)
            return
        if task.activity_type not in self._served and served.definition is not None:
            served = self._serving(served.definition)  # its look-up may have ended meanwhile
            run.adopt(served.interval, served.time_limit)
        if TaskStarted not in self._unwanted:
            self._observe(TaskStarted(task))
        run.start(served.interval)
        stepped = self.driver.state is not driver
        if stepped and self.driver.state.fails_new_tasks:
            run.stop_cause(CancelReason.WORKER_SHUTDOWN)  # the drain ended while it was taken

    def _first_of_its_type(
        self, polled: Polled, task: ActivityTask
    ) -> tuple[ServedType, Event | None]:
        """What serves a task whose type isn't known to be settled; or how the task fails."""
        if polled.missing:
            what = f"the poll's answer lacks {', '.join(polled.missing)}"
            return ServedType(), self._sdk_failure(FailureReason.MALFORMED_TASK, what)
        definition = self._registry.get(task.activity_type)
        if definition is not None:
            settled = not self._lookups.is_pending(definition.type)
            served = self._serving(definition)
            if settled:
                self._served[definition.type] = served
            return served, None
        if self._hooks.fallback is not None:
            return self._serving(replace(self._hooks.fallback, type=task.activity_type)), None
        why = self._registry.why_not(task.activity_type)
        return ServedType(), self._sdk_failure(FailureReason.ACTIVITY_NOT_REGISTERED, why)

    def _serving(self, definition: ActivityDefinition) -> ServedType:
        return ServedType(
            definition,
            self._runners.runner(definition),
            self._lookups.interval(definition),
            self._lookups.time_limit(definition),
        )

    def _sdk_failure(self, reason: FailureReason, message: str) -> Event:
        return HandlerFailed(self._wording.of_sdk(reason, message))

    def _shutdown_event(self) -> Event:
        if self.options.on_drain_timeout == "abandon":
            return GivenUp()
        return self._sdk_failure(
            FailureReason.WORKER_SHUTDOWN, "the worker was stopping when the task came"
        )

    def _repeated(self, task: ActivityTask) -> None:
        """SWF delivered a token again: it doesn't run again, but an answer that was not accepted
        is sent again."""
        self._poller.free_slot()
        ended = self._open_tasks.reopen(task.task_token)
        if ended is not None:
            ended.apply(Redelivered())
        self._observe(TaskRepeated(task, answer_sent_again=ended is not None))

    def _task_over(self, run: TaskRun) -> None:
        """A task is over for this worker."""
        self._open_tasks.close(run)
        if self._task_ended is not None:
            self._task_ended.set()
        # Before a stop nothing follows from the counts; the stop itself reads them once more.
        if self.driver.state.phase in lifecycle.STOPPING:
            self._count()

    def _interval_known(self, activity_type: ActivityType) -> None:
        definition = self._registry.get(activity_type)
        assert definition is not None
        served = self._serving(definition)
        for run in self._open_tasks.open_runs():
            if run.task.activity_type == activity_type:
                run.adopt(served.interval, served.time_limit)

    def unfinished(self) -> tuple[int, list[ActivityTask]]:
        """Open polls, and tasks that are not over: what an immediate exit abandons."""
        return self._poller.open_polls, [run.task for run in self._open_tasks.open_runs()]

    def report(self, *, threads: bool = True) -> None:
        """Have told what runs now, and where every thread of the process is."""
        runs = self._open_tasks.open_runs()
        self._observe(
            WorkerReported(self.driver.state.phase.value, self._poller.open_polls, len(runs))
        )
        for run in runs:
            self._observe(run.report())
        self._runners.report()
        for thread in threading.enumerate() if threads else ():
            self._observe(ThreadReported(thread.name, stack_of(thread.ident)))

    # --- the end --------------------------------------------------------------------------------

    def wait(self, timeout: float | None) -> bool:
        """Block until the end; False when ``timeout`` seconds were not enough."""
        try:
            self.finished.result(timeout)
        except TimeoutError:
            return False
        if self._finisher is not None and not self.finishes_here():
            self._finisher.join()
        return True

    def _begin_finish(self) -> None:
        if self.finished.done():
            return  # its start failed
        try:
            self._platform.start_thread("stop", self._finish)
        except RuntimeError as error:  # no more threads: here, then
            self.internal_error(error)
            self._finish()

    def _finish(self) -> None:
        self._finisher = threading.current_thread()
        self._run_on_stop()
        abandoned = list(self._open_tasks.abandoned)
        try:
            self._close()
            self._observe(WorkerStopped(tuple(abandoned), str(self.error) if self.error else None))
            self._observers.close()
        finally:
            self.finished.set_result(abandoned)

    def _run_on_stop(self) -> None:
        try:
            self._run_hook(self._hooks.on_stop())
        except BaseException as error:
            self.internal_error(error, "on_stop")

    def program_ends(self) -> None:
        """Have told what is abandoned: the program has ended, and never stopped the worker. Answers
        that are under way get a moment."""
        ended = self._task_ended = threading.Event()
        until = now() + LAST_MOMENT
        while now() < until and any(
            run.state.phase in (Phase.SENDING, Phase.WAITING)
            for run in self._open_tasks.open_runs()
        ):
            ended.wait(until - now())
            ended.clear()
        open_polls, tasks = self.unfinished()
        self._observe(ProgramEnded(tuple(tasks), open_polls))
        self._observers.close()

    def overdue(self) -> None:
        """Have told that the worker's time is over and its end hangs, in ``on_stop`` say."""
        finisher = self._finisher
        self._observe(StopOverdue(stack_of(finisher.ident if finisher is not None else None)))
        self._observers.close()

    def finishes_here(self) -> bool:
        """Whether the calling thread is the one that ends the worker."""
        return threading.current_thread() is self._finisher

    def _close(self) -> None:
        if self._closed:
            return
        self._closed = True
        threads: list[threading.Thread | None] = []
        self._service.close()  # also cuts the beats that are under way
        for pool in self._pools:
            threads.extend(pool.close())
        threads.append(self._runners.close())
        threads.append(self._timers.close())
        threads.append(self._platform.close())
        # A handler that was abandoned holds its thread: that is told, not waited for.
        until = now() + (0.1 if self._open_tasks.abandoned or self._poller.running else _JOIN)
        for thread in threads:
            if thread is not None and thread is not threading.current_thread():
                thread.join(max(0.0, until - now()))
                if thread.is_alive():
                    self.left.append(thread)

    def _run_hook(self, result: Any) -> None:
        if hasattr(result, "__await__"):

            async def awaited() -> None:
                await result

            self._runners.loop.submit(awaited()).result()

    # --- telling --------------------------------------------------------------------------------

    def internal_error(self, error: BaseException, where: str = "swf_worker") -> None:
        """Something of ours or of a hook broke, and harmed no task."""
        self._observe(InternalError(where, error))
