"""One worker's tasks: poll, take, run, answer.

1. **Poll.** ``polling/poller.py`` reserves a slot, holds a poll open in that slot's thread, and
   gives what it brings to ``Engine.take``.
2. **Take.** ``Engine.take``: a token that was seen before isn't run again. A task that can't be
   run, because nothing serves its type or the worker is stopping, is refused; any other is run.
3. **Run.** ``tasks/task_run.py`` schedules the task's heartbeats and has the handler started where
   its type runs: in the slot's thread, on the event loop or in a process (``runners/``). There
   ``tasks/invocation.py`` decodes, calls, encodes, and reports how the handler ended.
4. **Answer.** ``core/execution.py`` decides. ``TaskRun`` sends the answer and sends it again, with
   the task's heartbeats going on (``heartbeats/``); then it is over, and its slot is free to poll.

When the worker stops, ``core/lifecycle.py`` says what is next (``stopping/lifecycle_driver.py``
drives it), and ``Engine.perform`` has it done for the tasks of this worker.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from ..clock import now
from ..core import lifecycle
from ..core.execution import Phase
from ..core.lifecycle import Command, Lifecycle
from ..core.messages import (
    CameTooLate,
    Event,
    GivenUp,
    HandlerFailed,
    HandlersTimeOver,
    Redelivered,
    Unfinished,
)
from ..core.registry import Registry
from ..definition import ActivityDefinition
from ..errors import ConfigurationError, ServiceError, SwfWorkerError
from ..observations import (
    DrainEnded,
    InternalError,
    Observer,
    TaskRepeated,
    TaskStarted,
    ThreadReported,
    WorkerReported,
    WorkerStopping,
)
from ..options import Options
from ..outcome import FailureReason
from ..service.api import Polled, Timers
from ..task import ActivityTask, ActivityType, CancelReason
from .assembly import Parts, assemble
from .journal.entries import Entry
from .platform import Platform
from .stopping.lifecycle_driver import LifecycleDriver
from .tasks.task_run import ServedType, TaskRun, stack_of

TO_LEAVE_NOW = "another signal ends the drain, a third the process"
_NOT_RUN = ServedType()


class Engine:
    """Runs the tasks of one worker, from its start to its stop: a ``Member`` of the lifecycle's
    driver, and the ``EngineCallbacks`` of its own parts."""

    def __init__(
        self,
        options: Options,
        registry: Registry,
        fallback: ActivityDefinition | None,
        observers: Sequence[Observer],
        platform: Platform,
        driver: LifecycleDriver,
        *,
        process_exits: bool,
        on_process_start: Callable[[], object] | None,
        on_fatal: Callable[[SwfWorkerError], None],
        on_finish: Callable[[], None],
    ) -> None:
        self.drain_timeout = options.drain_timeout
        self.cancel_grace = options.cancel_grace
        self.driver = driver
        self._on_fatal = on_fatal
        self._on_finish = on_finish
        self._unfinished = Unfinished.of(options.on_drain_timeout, process_exits=process_exits)
        self._to_leave_now = TO_LEAVE_NOW if process_exits else None
        self._task_ended: threading.Event | None = None
        """Somebody waits for tasks to end."""
        self.parts: Parts = assemble(
            options, registry, fallback, observers, platform, self, on_process_start
        )
        self._open_tasks = self.parts.open_tasks
        self._served_types = self.parts.served_types
        self._services = self.parts.task_services
        self._surroundings = self.parts.surroundings or None
        self._unwanted = self.parts.observers.unwanted
        self._observe = self.parts.observers.tell
        driver.members.append(self)

    # --- one task's way -------------------------------------------------------------------------

    def poll(self) -> None:
        """1. Open polls, as many as the flow of tasks needs; each brings its task to ``take``."""
        self.parts.poller.open()

    def take(self, polled: Polled) -> None:
        """2. Run the task that a poll brought, or refuse it."""
        task = polled.task
        assert task is not None
        if not self._open_tasks.reserve(task.task_token):
            self._send_again(task)
            return
        worker = self.driver.state
        served = None if polled.missing else self._served_types.of(task.activity_type)
        if served is None or worker.fails_new_tasks:
            self._refuse(polled, task, served or _NOT_RUN)
        else:
            self._run(task, served, worker)

    def _run(self, task: ActivityTask, served: ServedType, worker: Lifecycle) -> None:
        """3. Start its heartbeats and its handler, whose end is its answer."""
        run = TaskRun(self._services, task, served)
        if self._surroundings is not None and served.definition is not None:
            run.around, run.carriers = self._surroundings.of(task, served.definition)
        self._open_tasks.enter(run)
        if not served.final:  # its look-up may have ended before the task was there to be told
            run.adopt(self._served_types.of(task.activity_type) or served)
        if TaskStarted not in self._unwanted:
            self._observe(TaskStarted(task))
        run.start()
        stepped = self.driver.state is not worker
        if stepped and self.driver.state.fails_new_tasks:
            run.stop_cause(CancelReason.WORKER_SHUTDOWN)  # the drain ended while it was taken

    def take_up(self, entry: Entry) -> None:
        """An answer that an earlier worker has left in the journal: it is sent as that one would
        have sent it. Its task never runs again."""
        if self._open_tasks.reserve(entry.task.task_token):
            served = self._served_types.of(entry.task.activity_type) or _NOT_RUN
            run = TaskRun(self._services, entry.task, served)
            self._open_tasks.enter(run)
            run.take_up(entry.outcome, ambiguous=entry.may_be_accepted)

    def task_over(self, run: TaskRun) -> None:
        """4. It is answered, or over without an answer; ``run.state`` says which."""
        self._open_tasks.close(run)
        if self._task_ended is not None:
            self._task_ended.set()
        # Before a stop nothing follows from the counts; the stop itself reads them once more.
        if self.driver.state.phase in lifecycle.STOPPING:
            self.counts_changed()

    def _refuse(self, polled: Polled, task: ActivityTask, served: ServedType) -> None:
        """A task that isn't run: answered all the same, so that its decider hears why."""
        run = TaskRun(self._services, task, served)
        self._open_tasks.enter(run)
        run.refuse(self._why_not(polled, task))

    def _why_not(self, polled: Polled, task: ActivityTask) -> Event:
        if self.driver.state.fails_new_tasks:
            return CameTooLate(self._unfinished)
        if polled.missing:
            reason = FailureReason.MALFORMED_TASK
            why = f"the poll's answer lacks {', '.join(polled.missing)}"
        else:
            reason = FailureReason.ACTIVITY_NOT_REGISTERED
            why = self._served_types.why_not(task.activity_type)
        return HandlerFailed(self._services.wording.of_sdk(reason, why))

    def _send_again(self, task: ActivityTask) -> None:
        """SWF delivered a token again: it doesn't run again, but an answer that was not accepted
        is sent again."""
        self.parts.poller.free_slot()
        ended = self._open_tasks.reopen(task.task_token)
        self._observe(TaskRepeated(task, answer_sent_again=ended is not None))
        if ended is not None:
            ended.apply(Redelivered())

    # --- what the parts tell --------------------------------------------------------------------

    def poll_accepted(self) -> None:
        """SWF took this worker's first poll: from now on nothing is fatal."""
        self.driver.tell(lifecycle.PollAccepted())

    def poll_refused(self, error: ServiceError) -> bool:
        """A poll failed: whether that ends the worker."""
        if self.parts.poller.accepted or self.is_stopping():
            return False
        fatal = self.parts.service.fatal_at_start(error)
        if fatal is not None:
            self._on_fatal(fatal)
        return fatal is not None

    def counts_changed(self) -> None:
        """Fewer polls are open, or tasks are not over."""
        self.driver.recount()

    def type_is_known(self, activity_type: ActivityType) -> None:
        """The look-up of what a type is registered with has ended."""
        for run in self._open_tasks.open_runs():
            if run.task.activity_type == activity_type:
                served = self._served_types.of(activity_type)
                assert served is not None  # it was, when the task was taken
                run.adopt(served)

    def loop_closed(self) -> None:
        """The event loop is gone: its owner may close it, once nothing of the worker's is on it."""
        if self.parts.runners.on_loop or not self.is_stopping():
            self._on_fatal(
                ConfigurationError(
                    "the event loop of event_loop= was closed while the worker ran: stop the "
                    "worker before, or leave `async with worker:` first"
                )
            )

    def is_served(self) -> bool:
        """Whether SWF takes its polls, as far as that can be told."""
        return self.parts.poller.is_served()

    def internal_error(self, error: BaseException, where: str = "swf_worker") -> None:
        """Something of ours or of a hook broke, and harmed no task."""
        self._observe(InternalError(where, error))

    # --- the worker's stop ----------------------------------------------------------------------

    def is_stopping(self) -> bool:
        """Whether the worker was told to stop, or has failed."""
        return self.driver.state.stopping

    @property
    def timers(self) -> Timers:
        """What runs things later."""
        return self.parts.timers

    def counts(self) -> tuple[int, int]:
        """Open polls, and tasks that are not over."""
        return self.parts.poller.open_polls, len(self._open_tasks)

    def perform(self, command: Command) -> None:
        """This worker's part of a step of its life."""
        match command:
            case Command.OPEN_POLLS:
                self.poll()
            case Command.CLOSE_POLLING:
                self.parts.poller.close()
                self.parts.timeouts.close()
                self.parts.runners.worker_stopping()
                self._observe(
                    WorkerStopping(*self.counts(), self.driver.longest_stop, self._to_leave_now)
                )
            case Command.ASK_HANDLERS:
                self._observe(DrainEnded(len(self._open_tasks), self.parts.poller.open_polls))
                for run in self._open_tasks.open_runs():
                    run.stop_cause(CancelReason.WORKER_SHUTDOWN)
            case Command.ANSWER_RUNNING:
                self._tell_all(HandlersTimeOver(self._unfinished))
            case Command.GIVE_UP:
                self._tell_all(GivenUp())
            case Command.FINISH:
                self._on_finish()

    def _tell_all(self, event: Event) -> None:
        for run in self._open_tasks.open_runs():
            run.apply(event)

    def wait_for_answers(self, seconds: float) -> None:
        """Give the answers that are under way so long."""
        ended = self._task_ended = threading.Event()
        until = now() + seconds
        while now() < until and any(
            run.state.phase in (Phase.SENDING, Phase.WAITING)
            for run in self._open_tasks.open_runs()
        ):
            ended.wait(until - now())
            ended.clear()

    # --- reports --------------------------------------------------------------------------------

    def unfinished(self) -> tuple[int, list[ActivityTask]]:
        """Open polls, and tasks that are not over: what an immediate exit abandons."""
        return self.parts.poller.open_polls, [run.task for run in self._open_tasks.open_runs()]

    def report(self, *, threads: bool = True) -> None:
        """Have told what runs now, and where every thread of the process is."""
        runs = self._open_tasks.open_runs()
        phase = self.driver.state.phase.value
        self._observe(WorkerReported(phase, self.parts.poller.open_polls, len(runs)))
        for run in runs:
            self._observe(run.report())
        self.parts.runners.report()
        for thread in threading.enumerate() if threads else ():
            self._observe(ThreadReported(thread.name, stack_of(thread.ident)))
