"""Async handlers, on the worker's one event loop, which has a thread of its own."""

from __future__ import annotations

import asyncio
import io
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any

from ...core.execution import HandlerCanceled
from ..clock import StartThread
from ..invoke import CANCEL_MARK, Ended
from ..task_run import TaskRun
from .invocations import InvocationOf

_FAREWELL = 2.0
"""Seconds that tasks which handlers left behind get to end when the loop is closed."""


class LoopThread:
    """An event loop in a daemon thread."""

    def __init__(self, start_thread: StartThread) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = start_thread("loop", self._run)

    def submit(self, coroutine: Coroutine[Any, Any, Any]) -> Future[Any]:
        """Run a coroutine on the loop, from another thread."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop)

    def close(self) -> threading.Thread:
        """End the loop, and what handlers left running on it; returns its ending thread."""
        self.loop.call_soon_threadsafe(self.loop.stop)
        return self._thread

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        try:
            self.loop.run_forever()
            left = asyncio.all_tasks(self.loop)
            for task in left:
                task.cancel()
            if left:
                self.loop.run_until_complete(asyncio.wait(left, timeout=_FAREWELL))
            self.loop.run_until_complete(self.loop.shutdown_asyncgens())
            executor = getattr(self.loop, "_default_executor", None)
            if executor is not None:
                executor.shutdown(wait=False)
        finally:
            asyncio.set_event_loop(None)
            self.loop.close()


class AsyncRunner:
    """A coroutine can be interrupted at its await, and not killed."""

    killable = False

    def __init__(
        self,
        loop: LoopThread,
        invocation_of: InvocationOf,
        on_error: Callable[[BaseException], None],
    ) -> None:
        self._loop = loop.loop
        self._invocation_of = invocation_of
        self._on_error = on_error
        self._tasks: dict[TaskRun, asyncio.Task[Ended]] = {}  # touched on the loop only

    def start(self, run: TaskRun) -> None:
        """Run the handler as a task of the loop."""
        invocation = self._invocation_of(run)

        def begin() -> None:
            task = self._loop.create_task(
                invocation.run_async(), name=f"activity {run.task.activity_id}"
            )
            self._tasks[run] = task
            task.add_done_callback(lambda done: self._ended(run, done))

        self._loop.call_soon_threadsafe(begin)

    def _ended(self, run: TaskRun, task: asyncio.Task[Ended]) -> None:
        self._tasks.pop(run, None)
        try:
            # Canceled before its first step, its own handling never ran.
            ended = Ended(HandlerCanceled()) if task.cancelled() else task.result()
            run.handler_ended(ended)
        except BaseException as error:  # a bug of ours must not stop the loop
            self._on_error(error)

    def interrupt(self, run: TaskRun) -> None:
        """Deliver a CancelledError that can be told from any other."""

        def deliver() -> None:
            task = self._tasks.get(run)
            if task is not None:
                task.cancel(CANCEL_MARK)

        self._loop.call_soon_threadsafe(deliver)

    def kill(self, run: TaskRun) -> None:
        """Never asked of a coroutine."""
        raise AssertionError("a coroutine can't be killed")

    def stack(self, run: TaskRun) -> str:
        """Where the handler waits now."""
        task = self._tasks.get(run)
        if task is None:
            return "(not running)"
        text = io.StringIO()
        task.print_stack(file=text)
        return text.getvalue()
