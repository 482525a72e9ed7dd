"""``max_concurrent`` of an activity: a runner that starts so many handlers at once."""

from __future__ import annotations

import threading
from collections.abc import Callable

from ...core.messages import HandlerCanceled
from ...observations import Observation, TaskHeld
from ..tasks.invocation import Ended
from ..tasks.task_run import Runner, TaskRun


class LimitedRunner:
    """Another runner's handlers of one type, ``most`` at once. A task over it waits in its slot,
    with its beats, and is started in the order of arrival. Asked to stop while it waits, it never
    runs: that counts as a handler that stopped when it was asked to."""

    def __init__(self, runner: Runner, most: int, observe: Callable[[Observation], None]) -> None:
        self.killable = runner.killable
        self._runner = runner
        self._most = most
        self._observe = observe
        self._lock = threading.Lock()
        self._running: set[TaskRun] = set()
        self._waiting: dict[TaskRun, None] = {}

    def start(self, run: TaskRun) -> None:
        """Run the handler now, or when others have ended."""
        run.on_handler_end = self._ended
        with self._lock:
            held = len(self._running) >= self._most
            if held:
                self._waiting[run] = None
            else:
                self._running.add(run)
        if not held:
            self._runner.start(run)
            return
        self._observe(TaskHeld(run.task, self._most))
        if run.context.should_stop:  # asked before it came here
            self._withdraw(run)

    def _ended(self, run: TaskRun) -> None:
        """The task that has waited longest is next."""
        with self._lock:
            if run not in self._running:
                return  # it never ran
            self._running.discard(run)
            following = next(iter(self._waiting), None)
            if following is not None:
                del self._waiting[following]
                self._running.add(following)
        if following is not None:
            following.launch(self._runner)

    def _withdraw(self, run: TaskRun) -> bool:
        with self._lock:
            if run not in self._waiting:
                return False
            del self._waiting[run]
        run.handler_ended(Ended(HandlerCanceled()))
        return True

    def ask(self, run: TaskRun, *, interrupt: bool) -> None:
        """A task that waits ends; a handler that runs hears of it."""
        if not self._withdraw(run):
            self._runner.ask(run, interrupt=interrupt)

    def kill(self, run: TaskRun) -> None:
        """Kill the handler's process."""
        self._runner.kill(run)

    def stack(self, run: TaskRun) -> str:
        """Where the handler is."""
        if run in self._waiting:
            return f"(waits: {self._most} of its type run, and max_concurrent allows no more)"
        return self._runner.stack(run)
