"""Async handlers, on the worker's one event loop, which has a thread of its own."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import traceback
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from ...clock import now
from ...core.messages import HandlerCanceled, HandlerFailed
from ...errors import ConfigurationError
from ...failure import FailureWording
from ...outcome import Failed, FailureReason
from ..tasks.invocation import CANCEL_MARK, Ended
from ..tasks.task_run import TaskRun
from ..threads.clock import StartThread
from ..threads.thread_pool import Job, ThreadPool
from .invocations import InvocationOf

_TO_THREAD = 32
_FAREWELL = 2.0
"""Seconds that tasks which handlers left behind get to end when the loop is closed."""


class DaemonExecutor(ThreadPoolExecutor):
    """The loop's default executor (``asyncio.to_thread``), with daemon threads: a call that never
    returns must not keep the process from exiting."""

    def __init__(
        self, start_thread: StartThread, on_error: Callable[[BaseException], None]
    ) -> None:
        super().__init__()
        self._pool = ThreadPool("to-thread", _TO_THREAD, start_thread, on_error)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run ``fn`` in a daemon thread."""
        future: Future[Any] = Future()

        def call() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(fn(*args, **kwargs))
            except BaseException as error:
                future.set_exception(error)

        self._pool.submit(Job(call, lambda _: None))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Let idle threads end."""
        self._pool.close()


def new_event_loop() -> asyncio.AbstractEventLoop:
    """A loop of ours, whose time goes on while a test's is frozen."""
    loop = asyncio.new_event_loop()
    with suppress(AttributeError):  # a loop that isn't Python's has a clock of its own
        loop.time = now  # type: ignore[method-assign]
    return loop


class LoopThread:
    """An event loop in a daemon thread."""

    def __init__(
        self, start_thread: StartThread, on_error: Callable[[BaseException], None]
    ) -> None:
        self.loop = new_event_loop()
        self._executor = DaemonExecutor(start_thread, on_error)
        self.loop.set_default_executor(self._executor)
        self._on_error = on_error
        self._closing = False
        self._thread = start_thread("loop", self._run)

    @property
    def thread_id(self) -> int | None:
        """The loop's thread."""
        return self._thread.ident

    def submit(self, coroutine: Coroutine[Any, Any, Any]) -> Future[Any]:
        """Run a coroutine on the loop, from another thread."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop)

    def close(self) -> threading.Thread:
        """End the loop, and what handlers left running on it; returns its ending thread."""
        self._closing = True
        with suppress(RuntimeError):  # it is closed already
            self.loop.call_soon_threadsafe(self.loop.stop)
        return self._thread

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        try:
            while not self._closing:
                try:
                    self.loop.run_forever()
                except BaseException as error:
                    # asyncio lets SystemExit and KeyboardInterrupt of any task out of the loop;
                    # everybody else's tasks go on.
                    self._on_error(error)
            left = asyncio.all_tasks(self.loop)
            for task in left:
                task.cancel()
            if left:
                self.loop.run_until_complete(asyncio.wait(left, timeout=_FAREWELL))
            self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        except BaseException as error:  # what handlers left behind may raise anything as it ends
            self._on_error(error)
        finally:
            asyncio.set_event_loop(None)
            self.loop.close()
            self._executor.shutdown(wait=False)


class HostLoop:
    """The program's own event loop, which runs already: its resources may belong to it. It is not
    ours to end."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        if loop.is_closed() or not loop.is_running():
            raise ConfigurationError(
                f"event_loop is {loop!r}, which does not run: give one that does, or 'current' for "
                "the one that `async with worker:` is in"
            )
        self.loop = loop
        self._thread_id: int | None = None
        loop.call_soon_threadsafe(self._note)

    def _note(self) -> None:
        self._thread_id = threading.get_ident()

    @property
    def thread_id(self) -> int | None:
        """The thread it runs in."""
        return self._thread_id

    def submit(self, coroutine: Coroutine[Any, Any, Any]) -> Future[Any]:
        """Run a coroutine on the loop, from another thread."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop)

    def close(self) -> None:
        """It goes on."""


Loop = LoopThread | HostLoop


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
        invocation_of: InvocationOf,
        on_error: Callable[[BaseException], None],
        wording: FailureWording,
        on_lost: Callable[[], None],
    ) -> None:
        self._loop = loop.loop
        self._is_the_hosts = isinstance(loop, HostLoop)
        self._invocation_of = invocation_of
        self._on_error = on_error
        self._wording = wording
        self._on_lost = on_lost
        self._runs: set[TaskRun] = set()
        """Those that have not ended, also before their first step."""
        self._tasks: dict[TaskRun, asyncio.Task[None]] = {}  # touched on the loop only

    def start(self, run: TaskRun) -> None:
        """Run the handler as a task of the loop."""
        invocation = self._invocation_of(run)

        ended: list[Ended] = []

        async def call() -> None:
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
                failed = self._wording.of_sdk(
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
                how = self._by_the_host(how)
            run.handler_ended(how)
        except BaseException as error:  # a bug of ours must not stop the loop
            self._on_error(error)

    def _by_the_host(self, how: Ended) -> Ended:
        """``asyncio.run`` cancels all tasks of its loop when the program ends under way: that is
        the shutdown, and not the handler's doing."""
        match how.event:
            case HandlerFailed(Failed(reason=FailureReason.CANCELLED_ERROR)):
                why = "the program canceled it, as asyncio.run does with all tasks at its end"
                reason = FailureReason.WORKER_SHUTDOWN
                failed = self._wording.of_sdk(reason, why, error=how.error)
                return Ended(HandlerFailed(failed), how.error)
        return how

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
