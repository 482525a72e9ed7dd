"""Handlers in processes of their own: they may block, hold the GIL, leak or crash."""

from __future__ import annotations

import errno
import signal
import threading
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

from ...context import causes_of
from ...core.messages import (
    HandlerCanceled,
    HandlerFailed,
    ProcessDied,
)
from ...errors import ConfigurationError
from ...observations import (
    HandlerLeft,
    HandlerLogged,
    HandlerNotStarted,
    HandlerProcessDied,
    HandlerRecorded,
    Observation,
)
from ...outcome import Failed, FailureReason
from ...service.api import Backoff, Timers
from ...task import ActivityType
from ...text import how_it_ended
from ..children import wire
from ..children.child_process import Child
from ..children.pool import ChildPool
from ..children.setup import ChildSetup, begin
from ..tasks.invocation import Ended
from ..tasks.task_run import TaskRun
from ..threads.clock import StartThread
from .child_task import ChildTask
from .crashes import Crashes

_STDERR_LINES = 20
_MOST_UNBEGUN = 3
"""Processes that may die before they have begun with a task; with the last, the task fails."""
_EXHAUSTED = (errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE)


@dataclass(slots=True)
class ProcessRunner:
    """Gives each task a child of its own while it runs: the ``Owner`` of the pool's children. They
    can be killed."""

    killable = True

    setup: ChildSetup
    types: list[ActivityType]
    most: int
    most_tasks: int | None
    observe: Callable[[Observation], None]
    timers: Timers
    backoff: Backoff
    now: Callable[[], float]
    _pool: ChildPool | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _idle: list[Child] = field(default_factory=list)
    _starting: int = 0
    _waiting: deque[TaskRun] = field(default_factory=deque)
    _running: dict[TaskRun, ChildTask] = field(default_factory=dict)
    _died_before: WeakKeyDictionary[TaskRun, int] = field(default_factory=WeakKeyDictionary)
    """How many processes have died before they began with a task."""
    _crashes: dict[ActivityType, Crashes] = field(default_factory=lambda: defaultdict(Crashes))
    _failed_starts: Crashes = field(default_factory=Crashes)
    _left_by: dict[ActivityType, set[str]] = field(default_factory=lambda: defaultdict(set))
    _first: threading.Event = field(default_factory=threading.Event)
    _first_failed: str | None = None
    _closed: bool = False
    _numbers: int = 0
    _assign_at: float | None = None

    # --- the pool's life ------------------------------------------------------------------------

    def open(self, start_thread: StartThread, on_error: Callable[[BaseException], None]) -> None:
        """Start the first child, and wait until it has loaded the worker's modules:
        ConfigurationError if it can't."""
        self._pool = ChildPool(begin(self.setup), self, start_thread, on_error)
        self._starting += 1
        self._pool.start()
        self._first.wait()  # the pool gives up a start that takes too long
        if self._first_failed is not None:
            raise ConfigurationError(
                "a handler process can't be started (isolation='process'): "
                f"{self._first_failed}. It must be able to import every module that these "
                "handlers, converters and wrappers are defined in, and a main module must start "
                "its worker under `if __name__ == '__main__':`"
            )

    def close(self) -> threading.Thread | None:
        """End all children."""
        self._closed = True
        return self._pool.close() if self._pool is not None else None

    def worker_stopping(self) -> None:
        """Tell the handlers that the worker drains."""
        if self._pool is not None:
            self._pool.say_to_all(wire.WorkerStopping())

    def report(self) -> None:
        """Have every child write the stacks of its threads to stderr."""
        if self._pool is not None:
            self._pool.signal_all(signal.SIGUSR1)

    # --- a task's way ---------------------------------------------------------------------------

    def start(self, run: TaskRun) -> None:
        """Run the handler in a free child; it waits for one if there is none."""
        with self._lock:
            self._waiting.append(run)
        self._assign()
        if run.context.should_stop:  # asked before it came here
            self._withdraw(run)
        if run.state.killed_for is not None:
            self.kill(run)

    def _assign(self) -> None:
        """Give waiting tasks to idle children, and start children for the others."""
        with self._lock:
            if self._closed or self._pool is None:
                return
            now = self.now()
            held = deque[TaskRun]()
            wanted = 0
            while self._waiting:
                run = self._waiting.popleft()
                if self._crashes[run.task.activity_type].not_before > now:
                    held.append(run)  # its handlers crash: slower, and nobody else waits for it
                elif self._idle:
                    self._give(run, self._idle.pop())
                else:
                    held.append(run)
                    wanted += 1
            self._waiting = held
            self._start_children(wanted, now)
            self._assign_later(now)

    def _start_children(self, wanted: int, now: float) -> None:
        assert self._pool is not None
        if self._failed_starts.not_before > now:
            return  # none can be started at present
        ending = sum(self._is_last(each.child) for each in self._running.values())
        room = self.most + ending - len(self._running) - len(self._idle) - self._starting
        for _ in range(max(0, min(wanted + ending - self._starting - len(self._idle), room))):
            self._starting += 1
            self._pool.start()

    def _is_last(self, child: Child) -> bool:
        return self.most_tasks is not None and child.tasks_done + 1 >= self.most_tasks

    def _assign_later(self, now: float) -> None:
        moments = [self._crashes[run.task.activity_type].not_before for run in self._waiting]
        moments.append(self._failed_starts.not_before)
        later = [moment for moment in moments if moment > now]
        armed = self._assign_at is not None and now < self._assign_at <= min(later, default=now)
        if self._waiting and later and not armed:
            self._assign_at = min(later)
            self.timers.call_later(self._assign_at - now, self._assign)

    def _give(self, run: TaskRun, child: Child) -> None:
        assert self._pool is not None
        self._numbers += 1
        child_task = ChildTask(run, child, self._numbers, self.now())
        self._running[run] = child_task
        remaining = run.time_remaining()
        frame = wire.Run(
            child_task.number,
            self.types.index(run.task.activity_type),
            wire.task_text(run.task),
            remaining,
            run.worker_stopping(),
            [dict(each) for each in run.carriers],
        )
        self._pool.give(child, child_task, frame)
        self._ask(child_task)

    def _withdraw(self, run: TaskRun) -> bool:
        with self._lock:
            if run not in self._waiting:
                return False
            self._waiting.remove(run)
        run.handler_ended(Ended(HandlerCanceled()))
        return True

    def ask(self, run: TaskRun, *, interrupt: bool) -> None:
        """A task that still waits for a child ends; a handler is told."""
        if self._withdraw(run):
            return
        with self._lock:
            child_task = self._running.get(run)
        if child_task is not None:
            self._ask(child_task)

    def _ask(self, child_task: ChildTask) -> None:
        assert self._pool is not None
        reasons = [reason.value for reason in causes_of(child_task.run.context)]
        if reasons:
            self._pool.say(child_task.child, child_task, wire.Ask(reasons))

    def kill(self, run: TaskRun) -> None:
        """Announce a SIGTERM, send it, and SIGKILL a second later."""
        with self._lock:
            child_task = self._running.get(run)
        if child_task is not None and self._pool is not None:
            self._pool.terminate(child_task.child, child_task, wire.Terminate())

    def stack(self, run: TaskRun) -> str:
        """Where to look."""
        with self._lock:
            child_task = self._running.get(run)
        if child_task is None:
            return "(waits for a handler process)"
        return f"(in process {child_task.child.pid}, which writes its stacks to stderr)"

    # --- what the pool tells, in its thread -----------------------------------------------------

    def child_ready(self, child: Child) -> None:
        """A child has loaded everything."""
        with self._lock:
            self._starting -= 1
            self._idle.append(child)
            self._failed_starts = Crashes()
        self._first.set()
        self._assign()

    def child_free(self, child: Child, ended: Ended) -> None:
        """A child's task has ended."""
        assert self._pool is not None
        with self._lock:
            child_task = self._of(child)
            left = child_task.left if child_task is not None else None
            retired = not child.state.takes_tasks or (
                self.most_tasks is not None and child.tasks_done >= self.most_tasks
            )
            retired = retired or (left is not None and bool(left.stuck))
            if not retired:
                self._idle.append(child)  # before its task's end makes others look for one
            if child_task is not None:
                del self._running[child_task.run]
                self._crashes.pop(child_task.run.task.activity_type, None)
        if retired and child.state.takes_tasks:
            self._pool.retire(child)
        if left is not None:
            self._tell_once(left)
        if child_task is not None:
            child_task.run.handler_ended(ended)
        self._assign()

    def _tell_once(self, left: HandlerLeft) -> None:
        """What was put back, once a type; each process that had to be replaced."""
        known = self._left_by[left.activity.activity_type]
        if left.stuck or not known.issuperset(left.put_back):
            known.update(left.put_back)
            self.observe(left)

    def child_gone(self, child: Child) -> None:
        """A child has died, or has ended as it should."""
        wait = 0.0
        failed: list[TaskRun] = []
        unbegun: TaskRun | None = None
        how = child.state.why_unusable or how_it_ended(child.code)
        with self._lock:
            if child in self._idle:
                self._idle.remove(child)
            child_task = self._of(child)
            if not child.state.loaded:
                self._starting -= 1
                if not self._failed_starts.are_known(child.started_at):
                    wait = self._failed_starts.add(self.now(), self.backoff)
                failed = self._given_up(child.started_at)
            if child_task is not None:
                del self._running[child_task.run]
            if child_task is not None and self._goes_elsewhere(child_task):
                unbegun, child_task = child_task.run, None
                self._waiting.appendleft(unbegun)
            elif child_task is not None:
                crashes = self._crashes[child_task.run.task.activity_type]
                by_itself = child_task.run.state.killed_for is None
                if by_itself and not crashes.are_known(child_task.given_at):
                    wait = crashes.add(self.now(), self.backoff)
        if not self._first.is_set():
            self._first_failed = child.state.why_unusable or f"it {how_it_ended(child.code)}"
            self._first.set()
        elif child.state.takes_tasks and not self._closed:
            task = child_task.run.task if child_task is not None else None
            self.observe(HandlerProcessDied(child.pid, how, task, last_lines(child), wait))
        if child_task is not None:
            child_task.run.handler_ended(Ended(ProcessDied(_died(child_task.run, child))))
        if unbegun is not None and unbegun.context.should_stop:
            self._withdraw(unbegun)
        self._fail(failed, how, last_lines(child))
        self._assign()

    def _goes_elsewhere(self, child_task: ChildTask) -> bool:
        """Whether a task, whose process has died, runs in another one: nothing of it has run."""
        run = child_task.run
        if child_task.began or self._closed or run.state.killed_for is not None:
            return False
        died = self._died_before.pop(run, 0) + 1
        if died == _MOST_UNBEGUN:
            return False
        self._died_before[run] = died
        return True

    def _of(self, child: Child) -> ChildTask | None:
        """Whose task it was given. (``child.task`` may not tell yet: it died meanwhile.)"""
        return next((each for each in self._running.values() if each.child is child), None)

    def child_logged(self, frame: wire.Logged) -> None:
        """A handler, or something that it left behind, logged."""
        self.observe(
            HandlerLogged(frame.level, frame.event, frame.fields, frame.logger, frame.created)
        )

    def child_recorded(self, frame: wire.Recorded) -> None:
        """A handler logged something with the standard library."""
        self.observe(HandlerRecorded(frame.record, frame.fields))

    def child_failed_to_start(self, error: Exception) -> None:
        """The machine gives no more processes, or the interpreter is gone."""
        exhausted = isinstance(error, OSError) and error.errno in _EXHAUSTED
        with self._lock:
            self._starting -= 1
            wait = self._failed_starts.add(self.now(), self.backoff) or self.backoff.wait(1)
            self._failed_starts.not_before = self.now() + wait
            failed = self._given_up(self.now(), at_once=not exhausted)
        if not self._first.is_set():
            self._first_failed = str(error)
            self._first.set()
        self.observe(HandlerProcessDied(None, f"can't be started: {error}", None, "", wait))
        self._fail(failed, f"{type(error).__name__}: {error}", "")
        self._assign()

    def _given_up(self, began: float, *, at_once: bool = True) -> list[TaskRun]:
        """A start failed that began then. Whoever waited for it, where it was one too many."""
        too_many = self._failed_starts.are_too_many(began, self.now(), at_once=at_once)
        if self._closed or not too_many:
            return []
        failed, self._waiting = list(self._waiting), deque()
        return failed

    def _fail(self, runs: list[TaskRun], how: str, stderr: str) -> None:
        starts = self._failed_starts.count
        for run in runs:
            self.observe(HandlerNotStarted(run.task, starts, how))
            failed = run.wording.of_sdk(
                FailureReason.HANDLER_NOT_STARTED,
                f"no process can be started for the handler ({starts} in a row failed): {how}",
                details={"starts": starts, "stderr": stderr},
            )
            run.handler_ended(Ended(HandlerFailed(failed)))


def _died(run: TaskRun, child: Child) -> Failed:
    return run.wording.of_sdk(
        FailureReason.HANDLER_DIED,
        f"the handler's process {how_it_ended(child.code)}",
        details={"exit": child.code, "stderr": last_lines(child)},
    )


def last_lines(child: Child) -> str:
    """The end of its stderr."""
    text = bytes(child.stderr_tail).decode(errors="replace")
    return "\n".join(text.splitlines()[-_STDERR_LINES:])
