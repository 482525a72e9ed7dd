"""One worker at work: puts polls, tasks, beats and the ladder of its stop together.

A poll's task comes in at ``_take``; ``task_run.TaskRun`` takes it to its end; ``task_over`` and
``slot_free`` are told. The ladder's decisions are ``core/lifecycle.py``'s.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any

from ..activity import ActivityDefinition
from ..core import lifecycle
from ..core.execution import (
    Disposition,
    Event,
    GivenUp,
    HandlerFailed,
    Phase,
    ProcessExiting,
    Redelivered,
)
from ..core.heartbeats import INTERVAL_UNKNOWN, SENDERS, ProgressBudget
from ..core.lifecycle import LAST_ANSWERS, POLL_LIMIT, Command, Lifecycle
from ..core.pollers import PollPlan
from ..core.registry import Registry
from ..errors import ActivityNotRegisteredError, ServiceError, SwfWorkerError
from ..failure import FailureWording
from ..observations import (
    DrainEnded,
    InternalError,
    Observation,
    Observer,
    TaskRepeated,
    TaskStarted,
    WorkerStarted,
    WorkerStopped,
    WorkerStopping,
)
from ..options import Options
from ..outcome import FailureReason
from ..service.api import Polled
from ..task import ActivityTask, ActivityType, CancelReason
from .heartbeater import Heartbeater
from .invoke import Invocation
from .lookups import Lookups
from .poller import Poller
from .runners.aio import AsyncRunner, LoopThread
from .runners.thread import ThreadRunner
from .seams import ANSWERERS, Seams
from .task_run import Runner, Shop, TaskRun

REMEMBERED_TOKENS = 10_000
LOOKUPS_BEFORE_POLLS = 5.0
"""How long the first polls wait for the look-ups of heartbeat timeouts, at most."""
_JOIN = 5.0


@dataclass(frozen=True, slots=True)
class Hooks:
    """The overridable methods of ActivityWorker; a hook may return an awaitable."""

    on_start: Callable[[], Any]
    on_stop: Callable[[], Any]
    on_process_start: Callable[[], Any]
    fallback: ActivityDefinition | None
    """``handle_unregistered``, if it is overridden."""


class Engine:
    """Runs one worker once."""

    def __init__(
        self,
        options: Options,
        registry: Registry,
        hooks: Hooks,
        observers: Sequence[Observer],
        seams: Seams,
        *,
        exits_after: bool,
    ) -> None:
        self.options = options
        self.finished: Future[list[ActivityTask]] = Future()
        self.error: SwfWorkerError | None = None
        self.on_exit_now: Callable[[], None] = lambda: None
        self._exits_after = exits_after
        self._drain_timeout = options.drain_timeout
        self._finisher: threading.Thread | None = None
        self._registry = registry
        self._hooks = hooks
        self._observers = observers
        self._seams = seams
        self._lock = threading.Lock()
        self._life = Lifecycle()
        self._todo: deque[Command] = deque()
        self._performing = False
        self._runs: dict[str, TaskRun] = {}
        self._remembered: OrderedDict[str, TaskRun | None] = OrderedDict()
        self._abandoned: list[ActivityTask] = []
        self._wording = FailureWording(options.failure_tracebacks)
        self._build()

    # --- building -------------------------------------------------------------------------------

    def _build(self) -> None:
        options, seams, error = self.options, self._seams, self._internal_error
        self._timers = seams.timers(error)
        self._service = seams.service(options, self._timers)
        self._backoff = seams.backoff(options.retry_policy)
        # Polls and plain handlers share one crew: together they never exceed the slots.
        self._slot_crew = seams.crew("slot", options.max_concurrent_activities, error)
        self._beat_crew = seams.crew("beat", SENDERS, error)
        self._answer_crew = seams.crew("answer", ANSWERERS, error)
        self._crews = (self._slot_crew, self._beat_crew, self._answer_crew)
        self._loop: LoopThread | None = None
        self._async_runner: AsyncRunner | None = None
        self._thread_runner = ThreadRunner(self._slot_crew, self._invocation)
        self._build_parts()

    def _build_parts(self) -> None:
        clock = self._seams.clock
        self._heartbeater = Heartbeater(
            service=self._service,
            clock=clock,
            timers=self._timers,
            backoff=self._backoff,
            senders=self._beat_crew,
            budget=ProgressBudget(self.options.progress_beats_per_second),
            observe=self._observe,
        )
        self._lookups = Lookups(
            self.options.heartbeat_interval,
            service=self._service,
            crew=self._beat_crew,
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
            crew=self._slot_crew,
            observe=self._observe,
            on_task=self._take,
            on_accepted=self._poll_accepted,
            on_refused=self._refused,
            on_change=self._count,
        )
        self._shop = Shop(
            service=self._service,
            clock=clock,
            timers=self._timers,
            backoff=self._backoff,
            answers=self._answer_crew,
            heartbeater=self._heartbeater,
            observe=self._observe,
            keeper=self,
            cancel_grace=self.options.cancel_grace,
            wording=self._wording,
        )

    @property
    def loop(self) -> LoopThread:
        """The worker's event loop, started when it is first needed."""
        if self._loop is None:
            self._loop = LoopThread(self._seams.start_thread)
        return self._loop

    def _invocation(self, run: TaskRun) -> Invocation:
        assert run.definition is not None
        return Invocation(run.definition, run.context, self.options.wrappers, self._wording)

    def _runner(self, definition: ActivityDefinition) -> Runner:
        if not definition.is_async:
            return self._thread_runner
        if self._async_runner is None:
            self._async_runner = AsyncRunner(self.loop, self._invocation, self._internal_error)
        return self._async_runner

    # --- the ladder -----------------------------------------------------------------------------

    def prepare(self) -> None:
        """Start the threads, run ``on_start``, look up heartbeat timeouts. Raises what
        ``on_start`` raises, with everything ended again."""
        try:
            for crew in self._crews:
                crew.start()
            for definition in self._registry:
                self._runner(definition)
            self._run_hook(self._hooks.on_start())
            self._lookups.start(self._registry)
            self._lookups.wait(LOOKUPS_BEFORE_POLLS)
        except BaseException:
            self._close()
            raise

    def open(self) -> None:
        """Open the first poll."""
        self._observe(
            WorkerStarted(
                self.options.domain,
                self.options.task_list,
                self.options.identity,
                self._registry.types,
            )
        )
        self._tell(lifecycle.Started())

    def request_stop(self, drain_timeout: float | None = None) -> None:
        """Stop, once; ``drain_timeout`` in place of the option's. Never blocks."""
        if drain_timeout is not None:
            self._drain_timeout = drain_timeout
        if not self._life.stopping:
            self._tell(lifecycle.StopAsked())
        elif drain_timeout is not None:
            self._arm(lifecycle.Phase.DRAINING, drain_timeout)

    def signaled(self) -> None:
        """A signal: one more step down the ladder."""
        self._tell(lifecycle.StopAsked())

    def stopping(self) -> bool:
        """Whether the worker was told to stop, or has failed."""
        return self._life.stopping

    def _tell(self, event: lifecycle.Event | None) -> None:
        """Take an event; None for new counts, which are read under the lock: a count that was
        read earlier and told later would hide the last change."""
        with self._lock:
            if event is None:
                event = lifecycle.Counts(self._poller.open_polls, len(self._runs))
            self._life, commands = lifecycle.step(self._life, event)
            self._todo.extend(commands)
            if self._performing:
                return
            self._performing = True
        # Outside the lock, one performer at a time: performing tells us more events.
        while (command := self._next_command()) is not None:
            try:
                self._perform(command)
            except Exception as error:  # a stop must go on, whatever breaks in it
                self._internal_error(error)

    def _next_command(self) -> Command | None:
        with self._lock:
            if self._todo:
                return self._todo.popleft()
            self._performing = False
            return None

    def _perform(self, command: Command) -> None:
        match command:
            case Command.OPEN_POLLS:
                self._poller.open()
            case Command.CLOSE_POLLING:
                self._poller.close()
                self._lookups.close()
                self._arm(lifecycle.Phase.DRAINING, self._drain_timeout)
                self._announce_stop()
                self._count()
            case Command.ASK_HANDLERS:
                self._observe(DrainEnded(len(self._runs)))
                self._apply_to_all(lambda run: run.stop_cause(CancelReason.WORKER_SHUTDOWN))
                self._arm(lifecycle.Phase.ASKING, self.options.cancel_grace)
            case Command.ANSWER_RUNNING:
                self._apply_to_all(lambda run: run.apply(self._last_event(run)))
                self._arm(lifecycle.Phase.ANSWERING, LAST_ANSWERS)
            case Command.GIVE_UP:
                self._apply_to_all(lambda run: run.apply(GivenUp()))
            case Command.EXIT_NOW:
                self.on_exit_now()
            case Command.FINISH:
                self._finisher = self._seams.start_thread("stop", self._finish)

    def _last_event(self, run: TaskRun) -> Event:
        running = run.state.phase is Phase.RUNNING
        if running and (self.options.on_drain_timeout == "abandon" or not self._exits_after):
            return GivenUp()
        return ProcessExiting()

    def _arm(self, phase: lifecycle.Phase, seconds: float) -> None:
        self._timers.call_later(seconds, lambda: self._tell(lifecycle.TimerOver(phase)))

    def _apply_to_all(self, action: Callable[[TaskRun], object]) -> None:
        for run in list(self._runs.values()):
            action(run)

    def _announce_stop(self) -> None:
        longest = max(POLL_LIMIT, self._drain_timeout)
        self._observe(
            WorkerStopping(
                self._poller.open_polls,
                len(self._runs),
                longest + self.options.cancel_grace + LAST_ANSWERS,
            )
        )

    def _count(self) -> None:
        # Before a stop nothing follows from the counts; the stop itself reads them once more.
        if self._life.stopping:
            self._tell(None)

    def _poll_accepted(self) -> None:
        if self._life.phase is lifecycle.Phase.STARTING:
            self._tell(lifecycle.PollAccepted())

    def _refused(self, error: ServiceError) -> bool:
        if self._life.phase is not lifecycle.Phase.STARTING:
            return False
        fatal = self._service.fatal_at_start(error)
        if fatal is None:
            return False
        self.error = fatal
        self._tell(lifecycle.Fatal())
        return True

    # --- tasks ----------------------------------------------------------------------------------

    def _take(self, polled: Polled) -> None:
        task = polled.task
        assert task is not None
        if self._is_repeat(task):
            self._poller.free_slot()
            return
        definition, failure = self._definition_of(polled)
        if self._life.fails_new_tasks:
            failure = self._shutdown_event()
        runner = self._runner(definition) if definition else None
        limit = self._lookups.time_limit(definition) if definition else None
        run = TaskRun(self._shop, task, definition, runner, limit)
        self._runs[task.task_token] = run
        interval = self._lookups.interval(definition) if definition else INTERVAL_UNKNOWN
        if failure is not None:
            run.skip(failure, interval)
        else:
            self._observe(TaskStarted(task))
            run.start(interval)
        if self._life.fails_new_tasks and failure is None:
            run.stop_cause(CancelReason.WORKER_SHUTDOWN)  # the drain ended while it was taken

    def _definition_of(self, polled: Polled) -> tuple[ActivityDefinition | None, Event | None]:
        task = polled.task
        assert task is not None
        if polled.missing:
            what = f"the poll's answer lacks {', '.join(polled.missing)}"
            return None, self._sdk_failure(FailureReason.MALFORMED_TASK, what)
        try:
            return self._registry.find(task.activity_type), None
        except ActivityNotRegisteredError as error:
            if self._hooks.fallback is not None:
                return replace(self._hooks.fallback, type=task.activity_type), None
            return None, self._sdk_failure(FailureReason.ACTIVITY_NOT_REGISTERED, str(error))

    def _sdk_failure(self, reason: FailureReason, message: str) -> Event:
        return HandlerFailed(self._wording.of_sdk(reason, message))

    def _shutdown_event(self) -> Event:
        if self.options.on_drain_timeout == "abandon":
            return GivenUp()
        return self._sdk_failure(
            FailureReason.WORKER_SHUTDOWN, "the worker was stopping when the task came"
        )

    def _is_repeat(self, task: ActivityTask) -> bool:
        token = task.task_token
        with self._lock:
            known = token in self._runs or token in self._remembered
            ended = self._remembered.get(token)
            if ended is not None:
                self._runs[token] = ended  # its answer may have to be sent again
        if ended is not None:
            ended.apply(Redelivered())
            if ended.state.phase is Phase.ENDED:
                self._runs.pop(token, None)
        if known:
            self._observe(TaskRepeated(task, answer_sent_again=token in self._runs))
        return known

    def task_over(self, run: TaskRun) -> None:
        """A task is over for this worker."""
        token, disposition = run.task.task_token, run.state.disposition
        with self._lock:
            self._runs.pop(token, None)
            accepted = disposition is Disposition.ACCEPTED
            self._remembered[token] = None if accepted else run
            self._remembered.move_to_end(token)
            while len(self._remembered) > REMEMBERED_TOKENS:
                self._remembered.popitem(last=False)
            if disposition is Disposition.ABANDONED:
                self._abandoned.append(run.task)
        self._count()

    def slot_free(self, run: TaskRun) -> None:
        """A task is over and its handler has ended."""
        self._poller.free_slot()

    def _interval_known(self, activity_type: ActivityType) -> None:
        definition = self._registry.find(activity_type)
        interval = self._lookups.interval(definition)
        limit = self._lookups.time_limit(definition)
        for run in list(self._runs.values()):
            if run.task.activity_type == activity_type:
                run.adopt(interval, limit)

    def unfinished(self) -> tuple[int, list[ActivityTask]]:
        """Open polls, and tasks that are not over: what an immediate exit abandons."""
        return self._poller.open_polls, [run.task for run in list(self._runs.values())]

    # --- the end --------------------------------------------------------------------------------

    def wait(self, timeout: float | None) -> bool:
        """Block until the end; False when ``timeout`` seconds were not enough."""
        try:
            self.finished.result(timeout)
        except TimeoutError:
            return False
        if self._finisher is not None:
            self._finisher.join()
        return True

    def _finish(self) -> None:
        try:
            self._run_hook(self._hooks.on_stop())
        except Exception as error:
            self._internal_error(error, "on_stop")
        self._close()
        abandoned = list(self._abandoned)
        self._observe(WorkerStopped(tuple(abandoned), str(self.error) if self.error else None))
        self.finished.set_result(abandoned)

    def _close(self) -> None:
        threads: list[threading.Thread | None] = []
        self._service.close()  # also cuts the beats that are under way
        for crew in self._crews:
            threads.extend(crew.close())
        if self._loop is not None:
            threads.append(self._loop.close())
        threads.append(self._timers.close())
        # A handler that was abandoned holds its thread: that is told, not waited for.
        patience = 0.1 if self._abandoned or self._poller.running else _JOIN
        for thread in threads:
            if thread is not None and thread is not threading.current_thread():
                thread.join(patience)

    def _run_hook(self, result: Any) -> None:
        if hasattr(result, "__await__"):

            async def awaited() -> None:
                await result

            self.loop.submit(awaited()).result()

    # --- telling --------------------------------------------------------------------------------

    def _observe(self, record: Observation) -> None:
        for observer in self._observers:
            try:
                observer.observe(record)
            except Exception as error:  # never touches a task
                if not isinstance(record, InternalError):
                    self._internal_error(error, f"the observer {type(observer).__name__}")

    def _internal_error(self, error: BaseException, where: str = "swf_worker") -> None:
        self._observe(InternalError(where, error))
