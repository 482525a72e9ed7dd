"""The event loop that async handlers run on: the worker's own, in a thread, or the program's."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Literal

from ...clock import now
from ...errors import ConfigurationError
from ..threads.clock import StartThread
from ..threads.thread_pool import Job, ThreadPool

_TO_THREAD = 32
_END_LIMIT = 2.0
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


def loop_at_start(
    given: asyncio.AbstractEventLoop | Literal["current"] | None,
    entered_on: asyncio.AbstractEventLoop | None,
) -> asyncio.AbstractEventLoop | None:
    """The loop of ``event_loop=``; "current" is the one that ``async with worker:`` is in."""
    if given != "current":
        return given
    if entered_on is None:
        raise ConfigurationError(
            "event_loop='current' is the loop that `async with worker:` is in: enter it so, or "
            "give a running loop"
        )
    return entered_on


def refuse_on_own_loop(given: asyncio.AbstractEventLoop | Literal["current"] | None) -> None:
    """RuntimeError on the loop that the handlers are to run on: a start would block it."""
    running = running_loop()
    if running is not None and given in (running, "current"):
        raise RuntimeError(
            "start() would block the event loop that the handlers are to run on: use "
            "`async with worker:`"
        )


def running_loop() -> asyncio.AbstractEventLoop | None:
    """The event loop that this thread runs, if it runs one."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


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
                self.loop.run_until_complete(asyncio.wait(left, timeout=_END_LIMIT))
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
