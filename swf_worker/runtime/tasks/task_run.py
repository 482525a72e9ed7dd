"""One task's shell: takes what happens, asks the machine, and does what it says.

It decides nothing. Events come from any thread: the handler's, the senders', the scheduler's.
One lock makes them one line; under it nothing blocks.
"""

from __future__ import annotations

import sys
import threading
import traceback
from collections.abc import Callable, Container, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from ...context import ActivityContext, ask_to_stop
from ...core import execution, messages, verdicts
from ...core.execution import Execution, Phase
from ...core.heartbeats import INTERVAL_UNKNOWN
from ...core.kept_answers import kept
from ...core.messages import Disposition, Event
from ...definition import ActivityDefinition
from ...errors import ServiceError
from ...failure import FailureWording
from ...observations import (
    AnswerRetried,
    DetailsShortened,
    HandlerStarted,
    HandlerStuck,
    InternalError,
    Observation,
    StopAsked,
    TaskDecided,
    TaskEnded,
    TaskReported,
)
from ...outcome import Outcome
from ...service.api import Backoff, SwfService, Timer, Timers
from ...status import HeartbeatStatus, RunningTask, named
from ...task import ActivityTask, CancelReason
from ..heartbeats.heartbeater import Heartbeater, TaskBeats
from ..journal.keeper import Journal
from ..threads.clock import Clock
from ..threads.thread_pool import Job, Pool
from .attempt import Attempt
from .invocation import Ended


class Runner(Protocol):
    """Where a handler runs. Runners differ in how they start, interrupt and kill; no more."""

    killable: bool

    def start(self, run: TaskRun) -> None:
        """Run the handler; call ``run.handler_ended`` when it has ended."""

    def ask(self, run: TaskRun, *, interrupt: bool) -> None:
        """The context says that the handler should stop: have it heard. ``interrupt``: a handler
        that waits is to notice (an async one gets a CancelledError)."""

    def kill(self, run: TaskRun) -> None:
        """Kill the handler's process."""

    def stack(self, run: TaskRun) -> str:
        """Where the handler is, for a report."""


@dataclass(frozen=True, slots=True)
class ServedType:
    """What is the same for all tasks of a type. Without a definition: of one that isn't run."""

    definition: ActivityDefinition | None = None
    runner: Runner | None = None
    interval: float = INTERVAL_UNKNOWN
    """Seconds between heartbeats."""
    time_limit: float | None = None
    """The registered start-to-close timeout: an estimate."""
    final: bool = True
    """No look-up will change it."""


@dataclass(frozen=True, slots=True)
class TaskServices:
    """What every task run needs."""

    service: SwfService
    clock: Clock
    timers: Timers
    backoff: Backoff
    answers: Pool
    """The threads that send what no slot thread sends."""
    heartbeater: Heartbeater
    observe: Callable[[Observation], None]
    task_over: Callable[[TaskRun], None]
    """It is over for this worker."""
    free_slot: Callable[[], None]
    """It is over, and its handler has ended."""
    worker_stopping: Callable[[], bool]
    cancel_grace: float
    wording: FailureWording
    place: Mapping[str, str]
    """What each task's lines say of where it was polled."""
    journal: Journal | None = None
    """Where answers are kept until SWF has accepted them."""
    unwanted: Container[type[Observation]] = frozenset()
    """Records that nobody wants aren't made."""


class TaskRun:
    """One task from the poll's answer to its end: a ``BeatingTask`` for the heartbeater, and the
    ``TaskLink`` of the handler's context."""

    def __init__(self, services: TaskServices, task: ActivityTask, served: ServedType) -> None:
        definition, runner = served.definition, served.runner
        self.task = task
        self.definition = definition
        codecs = definition.codecs if definition else ()
        self.context = ActivityContext(task, self, codecs, services.place)
        self.around: AbstractContextManager[None] | None = None
        """What observers put around the handler, where it runs here;"""
        self.carriers: Sequence[Mapping[str, str]] = ()
        """where it runs in another process, what goes there with it."""
        self.thread_id: int | None = None
        """The thread a plain handler runs in."""
        self.on_handler_end: Callable[[TaskRun], None] | None = None
        """Somebody waits for the handler's end."""
        self._services = services
        self._runner = runner
        self._lock = threading.RLock()
        options = definition.options if definition else None
        self.state = Execution(
            execution.Policy(
                killable=runner is not None and runner.killable,
                cancel_kills=bool(options and options.cancel_kills),
                wording=services.wording.of(definition.converter, definition.codecs)
                if definition
                else services.wording,
            )
        )
        """The machine's; for reading."""
        self._since = services.clock.now()
        self._deadline = options.deadline if options else None
        self._interval = served.interval
        self._time_limit = served.time_limit
        self._beats: TaskBeats | None = None
        self._timers: list[Timer] = []
        self._retries = 0
        self._slot_freed = False
        self._decided_after = 0.0
        self._last_error: ServiceError | None = None
        self._deferred: list[Callable[[], object]] = []
        """What is to be called when the lock is free: observers, runners, the engine."""

    # --- the way in -----------------------------------------------------------------------------

    def start(self) -> None:
        """Schedule its beats and deadlines, then run its handler."""
        assert self._runner is not None
        with self._lock:
            self._beat()
            if self._deadline is not None:
                warning = min(self._services.cancel_grace, self._deadline / 10)
                self._arm(self._deadline - warning, messages.StopCause(CancelReason.TIMED_OUT))
                self._arm(self._deadline, messages.DeadlineReached())
        self.launch(self._runner)

    def refuse(self, event: Event) -> None:
        """Answer a task that is not run; ``event`` says why not."""
        with self._lock:
            self._beat()
        self.apply(event)

    def take_up(self, outcome: Outcome, *, ambiguous: bool) -> None:
        """Send the answer that an earlier worker has decided. It takes no slot."""
        with self._lock:
            self._slot_freed = True
            self.state = kept(self.state.policy, outcome, ambiguous=ambiguous)
        self.apply(messages.Redelivered())

    def launch(self, runner: Runner) -> None:
        """Run the handler in ``runner``."""
        try:
            runner.start(self)
        except Exception as error:  # no thread, no loop: this task fails, the worker lives
            self.apply(messages.HandlerFailed(self.wording.of_exception(error)))

    def handler_begins(self) -> None:
        """The runner calls the handler now."""
        if HandlerStarted not in self._services.unwanted:
            self._services.observe(HandlerStarted(self.task, self.seconds))

    @property
    def wording(self) -> FailureWording:
        """How its failures are worded: as its type's converter does it."""
        return self.state.policy.wording

    def handler_ended(self, ended: Ended, *, inline: bool = False) -> Job | None:
        """The runner's report. ``inline``: the caller's thread will send the answer."""
        return self.apply(ended.event, error=ended.error, inline=inline)

    def stop_cause(self, reason: CancelReason) -> None:
        """A beat's news, the drain's end, a lost lease."""
        self.apply(messages.StopCause(reason))

    def apply(
        self, event: Event, *, error: BaseException | None = None, inline: bool = False
    ) -> Job | None:
        """Ask the machine what ``event`` means, and do it."""
        job: Job | None = None
        with self._lock:
            before, (self.state, commands) = self.state, execution.step(self.state, event)
            if before.phase is Phase.RUNNING and self.state.phase is not Phase.RUNNING:
                seconds = self._services.clock.now() - self._since
                self._decided_after = seconds
                decided = TaskDecided(self.task, self.state.answer, seconds, error)
                self._deferred.append(partial(self._services.observe, decided))
            for command in commands:
                sending = self._perform(command)
                job = sending or job
            if self.on_handler_end and self.state.handler_done and not before.handler_done:
                self._deferred.append(partial(self.on_handler_end, self))
            over = self.state.phase is Phase.ENDED and self.state.handler_done
            if over and not self._slot_freed:
                self._slot_freed = True  # once: an answer that is sent again has no slot
                self._deferred.append(self._services.free_slot)
            deferred, self._deferred = self._deferred, []
        for call in deferred:
            call()
        if job is not None and not inline:
            self._services.answers.submit(job)
            return None
        return job

    def _perform(self, command: messages.Command) -> Job | None:
        match command:
            case messages.Send(outcome):
                return Attempt(self._services, self.task, outcome, self._answered).job
            case messages.AskToStop(reason, interrupt):
                self._ask(reason, interrupt)
            case messages.StartGrace(reason):
                self._arm(self._services.cancel_grace, messages.GraceOver(reason))
            case messages.Kill():
                assert self._runner is not None
                self._runner.kill(self)
            case messages.RetryLater():
                self._retry_later()
            case messages.StopBeats() if self._beats is not None:
                self._services.heartbeater.end(self._beats)
            case messages.StartBeats():
                self._beat()
            case messages.ReportStuck():
                assert self._runner is not None
                self._tell(HandlerStuck(self.task, self._runner.stack(self)))
            case messages.Finish(disposition):
                self._finish(disposition)
        return None

    # --- the handler ----------------------------------------------------------------------------

    def _ask(self, reason: CancelReason, interrupt: bool) -> None:
        ask_to_stop(self.context, reason)
        self._tell(StopAsked(self.task, reason))
        if self._runner is not None and not self.state.handler_done:
            self._deferred.append(partial(self._runner.ask, self, interrupt=interrupt))

    def _arm(self, delay: float, event: Event) -> None:
        self._timers.append(self._services.timers.call_later(delay, partial(self.apply, event)))

    # --- beats ----------------------------------------------------------------------------------

    def _beat(self) -> None:
        lease = self.definition.options.heartbeat_deadline if self.definition else None
        self._beats = self._services.heartbeater.watch(
            self, self._interval, self._services.clock.now(), lease
        )

    def adopt(self, served: ServedType) -> None:
        """A look-up has told what the type is registered with."""
        with self._lock:
            self._interval, self._time_limit = served.interval, served.time_limit
            if self._beats is not None:
                self._services.heartbeater.adopt_interval(self._beats, served.interval)

    # --- the answer -----------------------------------------------------------------------------

    def _answered(self, error: ServiceError | None) -> Job | None:
        if error is None:
            return self.apply(messages.AnswerAccepted())
        self._last_error = error
        return self.apply(verdicts.of_answer(error), inline=True)

    def _retry_later(self) -> None:
        error, outcome = self._last_error, self.state.answer
        assert error is not None
        assert outcome is not None
        self._retries += 1
        wait = self._services.backoff.wait(self._retries, denied=verdicts.is_denied(error))
        self._arm(wait, messages.RetryDue())
        self._tell(AnswerRetried(self.task, outcome, error, wait))

    def _finish(self, disposition: Disposition) -> None:
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        accepted = self._beats.plan.accepted if self._beats else 0
        error = None if disposition is Disposition.ACCEPTED else self._last_error
        seconds = self._services.clock.now() - self._since
        answer = seconds - self._decided_after if disposition is Disposition.ACCEPTED else None
        ended = TaskEnded(
            self.task, disposition, self.state.answer, seconds, accepted, error, answer
        )
        if self._services.journal is not None and disposition is not Disposition.ABANDONED:
            self._deferred.append(partial(self._services.journal.drop, self.task))
        self._deferred.append(partial(self._services.observe, ended))
        self._deferred.append(partial(self._services.task_over, self))

    # --- what others ask ------------------------------------------------------------------------

    @property
    def seconds(self) -> float:
        """Since the poll's answer."""
        return self._services.clock.now() - self._since

    @property
    def beats(self) -> TaskBeats | None:
        """Its heartbeats."""
        return self._beats

    def status(self) -> RunningTask:
        """What it does now, for whoever watches."""
        beats, reason = self._beats, self.context.cancel_reason
        return RunningTask(
            *named(self.task),
            self.state.phase.value,
            round(self.seconds, 3),
            self._services.heartbeater.status(beats) if beats else HeartbeatStatus(),
            reason.value if reason is not None else None,
        )

    def report(self) -> TaskReported:
        """Where it is now."""
        state, stack = self.state, None
        if self._runner is not None and not state.handler_done:
            stack = self._runner.stack(self)
        causes = tuple(sorted(state.causes))
        return TaskReported(self.task, state.phase.value, self.seconds, causes, stack)

    def _tell(self, record: Observation) -> None:
        self._deferred.append(partial(self._services.observe, record))

    # TaskLink: what the handler's context asks

    def progress(self, details: str | None) -> None:
        """The handler told its progress; after its end that means nothing."""
        beats = self._beats
        if beats is not None and self.state.phase is Phase.RUNNING:
            self._services.heartbeater.progress(beats, details)

    def shortened(self, why: str) -> None:
        """Heartbeat details didn't fit."""
        self._services.observe(DetailsShortened(self.task, why))

    def observer_broke(self, error: Exception, where: str) -> None:
        """In the handler's process, what an observer put around it."""
        self._services.observe(InternalError(where, error))

    def worker_stopping(self) -> bool:
        """Whether the worker was told to stop."""
        return self._services.worker_stopping()

    def time_remaining(self) -> float | None:
        """Until the nearest limit that is known."""
        known = [limit for limit in (self._deadline, self._time_limit) if limit is not None]
        return max(0.0, min(known) - self.seconds) if known else None


def stack_of(thread_id: int | None) -> str:
    """Where a thread is now."""
    frame: Any = sys._current_frames().get(thread_id) if thread_id is not None else None
    return "".join(traceback.format_stack(frame)) if frame is not None else "(not running)"
