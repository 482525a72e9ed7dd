"""Plain functions, in slot threads."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from functools import partial

from ..tasks.invocation import Ended, Invocation
from ..tasks.task_run import TaskRun, stack_of
from ..threads.thread_pool import Job, Pool


class ThreadRunner:
    """A thread can't be killed, nor interrupted: its handler asks ``context.should_stop``."""

    killable = False

    def __init__(self, slots: Pool, invocation_of: Callable[[TaskRun], Invocation]) -> None:
        self._slots = slots
        self._invocation_of = invocation_of

    def start(self, run: TaskRun) -> None:
        """Run the handler in a slot thread, which then also sends the answer."""
        invocation = self._invocation_of(run)

        def call() -> Ended:
            run.thread_id = threading.get_ident()
            blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
            run.handler_begins()
            try:
                return invocation.run()
            finally:
                run.thread_id = None
                # What it has blocked in its thread is not for the next one.
                signal.pthread_sigmask(signal.SIG_SETMASK, blocked)

        self._slots.submit(Job(call, partial(run.handler_ended, inline=True)))

    def ask(self, run: TaskRun, *, interrupt: bool) -> None:
        """The context says it."""

    def kill(self, run: TaskRun) -> None:
        """Never asked of a thread."""
        raise AssertionError("a thread can't be killed")

    def stack(self, run: TaskRun) -> str:
        """Where the handler is now."""
        return stack_of(run.thread_id)
