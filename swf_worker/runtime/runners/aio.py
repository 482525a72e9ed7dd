"""Async handlers, as tasks of the worker's one event loop."""

from __future__ import annotations

import asyncio
import contextvars
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from ...core.messages import HandlerCanceled, HandlerFailed
from ...outcome import FailureReason
from ..tasks.invocation import CANCEL_MARK, Ended, Invocation
from ..tasks.task_run import TaskRun
from .event_loop import HostLoop, Loop


def stack_of_coroutine(awaited: Any) -> str:
    """Where a coroutine waits, the innermost await last. (asyncio's own report tells the outermost
    frame only.)"""
    frames = []
    while awaited is not None:
        for kind in ("cr", "gi", "ag"):
            frame = getattr(awaited, f"{kind}_frame", None)
            if frame is not None:
                frames.append((frame, frame.f_lineno))
        awaited = next(
            (
                inner
                for name in ("cr_await", "gi_yieldfrom", "ag_await")
                if (inner := getattr(awaited, name, None)) is not None
            ),
            None,
        )
    return "".join(traceback.StackSummary.extract(frames).format())


class AsyncRunner:
    """A coroutine can be interrupted at its await, and not killed."""

    killable = False

    def __init__(
        self,
        loop: Loop,
        invocation_of: Callable[[TaskRun], Invocation],
        on_error: Callable[[BaseException], None],
        on_lost: Callable[[], None],
    ) -> None:
        self._loop = loop.loop
        self._is_the_hosts = isinstance(loop, HostLoop)
        self._invocation_of = invocation_of
        self._on_error = on_error
        self._on_lost = on_lost
        self._runs: set[TaskRun] = set()
        """Those that have not ended, also before their first step."""
        self._tasks: dict[TaskRun, asyncio.Task[None]] = {}  # touched on the loop only

    def start(self, run: TaskRun) -> None:
        """Run the handler as a task of the loop."""
        invocation = self._invocation_of(run)

        ended: list[Ended] = []

        async def call() -> None:
            run.handler_begins()
            ended.append(await invocation.run_async())
            self._ended(run, ended)  # here: a callback would wait for the loop's next turn

        def begin() -> None:
            task = self._loop.create_task(call(), name=f"activity {run.task.activity_id}")
            if not task.done():  # as it may be where tasks are eager
                self._tasks[run] = task
            # Canceled before its first step, the handler never ran, nor ``call``. (The task's own
            # state tells less: a handler that cancels its task and returns has returned.)
            task.add_done_callback(lambda done: None if ended else self._ended(run, ended))
            if run.state.causes:  # it was asked before it began
                task.cancel(CANCEL_MARK)

        # In a context of its own: the end of another handler may be what starts this one, and what
        # that one set is not for it.
        self._runs.add(run)
        try:
            self._loop.call_soon_threadsafe(begin, context=contextvars.Context())
        except RuntimeError:
            self.lost()

    def lost(self) -> None:
        """The loop was closed, by whoever owns it: what ran on it will never go on."""
        if self._loop.is_closed():
            self._on_lost()
            for run in list(self._runs):
                self._runs.discard(run)
                failed = run.wording.of_sdk(
                    FailureReason.WORKER_SHUTDOWN, "the event loop that it ran on was closed"
                )
                run.handler_ended(Ended(HandlerFailed(failed)))

    @property
    def running(self) -> int:
        """How many handlers have not ended."""
        return len(self._runs)

    def _ended(self, run: TaskRun, ended: list[Ended]) -> None:
        task = self._tasks.pop(run, None)
        self._runs.discard(run)
        how = ended[0] if ended else Ended(HandlerCanceled())
        try:
            if self._is_the_hosts and task is not None and task.cancelling():
                how = _by_the_host(run, how)
            run.handler_ended(how)
        except BaseException as error:  # a bug of ours must not stop the loop
            self._on_error(error)

    def ask(self, run: TaskRun, *, interrupt: bool) -> None:
        """Deliver a CancelledError that can be told from any other."""
        if not interrupt:
            return

        def deliver() -> None:
            task = self._tasks.get(run)
            if task is not None:
                task.cancel(CANCEL_MARK)

        with suppress(RuntimeError):  # it is closed: ``lost`` ends this task
            self._loop.call_soon_threadsafe(deliver)

    def kill(self, run: TaskRun) -> None:
        """Never asked of a coroutine."""
        raise AssertionError("a coroutine can't be killed")

    def stack(self, run: TaskRun) -> str:
        """Where the handler waits now."""
        task = self._tasks.get(run)
        if task is None:
            return "(not running)"
        return stack_of_coroutine(task.get_coro())


def _by_the_host(run: TaskRun, how: Ended) -> Ended:
    """``asyncio.run`` cancels all tasks of its loop when the program ends under way: that is the
    shutdown, and not the handler's doing."""
    if not isinstance(how.event, HandlerFailed) or not isinstance(
        how.error, asyncio.CancelledError
    ):
        return how
    why = "the program canceled it, as asyncio.run does with all tasks at its end"
    failed = run.wording.of_sdk(FailureReason.WORKER_SHUTDOWN, why, error=how.error)
    return Ended(HandlerFailed(failed), how.error)
