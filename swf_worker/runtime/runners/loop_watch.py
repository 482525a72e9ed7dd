"""Finds out that a handler blocks the event loop, and which: everybody else's coroutines stand
still meanwhile, and nothing else would tell. (Beats go on: they have threads of their own.)"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from types import FrameType

from ...context import ActivityContext, current
from ...observations import LoopBlocked, LoopFreed, Observation
from ...service.api import Timers
from ...task import ActivityTask
from ..tasks.invocation import Invocation
from ..tasks.task_run import stack_of
from ..threads.clock import Clock
from .event_loop import Loop

EVERY = 1.0
"""Seconds between two looks: what blocks the loop for less than one or two of them is not told."""


class LoopWatch:
    """Has the loop answer a ping every second. It costs one wake-up of the loop."""

    def __init__(
        self,
        loop: Loop,
        timers: Timers,
        clock: Clock,
        observe: Callable[[Observation], None],
        worker_over: Callable[[], bool],
        on_closed: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._on_closed = on_closed
        self._timers = timers
        self._clock = clock
        self._observe = observe
        self._worker_over = worker_over
        self._asked_at = 0.0
        self._answered = True
        self._told: LoopBlocked | None = None
        self._lag = 0.0

    def start(self) -> None:
        """Watch until the worker is over."""
        self._timers.call_later(EVERY, self._look)

    @property
    def lag(self) -> float:
        """How long the loop took to turn when it was last asked, or has been taking since."""
        return self._lag if self._answered else max(self._lag, self._clock.now() - self._asked_at)

    def _look(self) -> None:
        if self._worker_over():
            return
        if self._answered:
            self._ask()
        elif self._loop.loop.is_closed():
            self._on_closed()
        elif self._told is None:
            seconds = self._clock.now() - self._asked_at
            task = blocking_task(self._loop)
            self._told = LoopBlocked(seconds, task, stack_of(self._loop.thread_id))
            self._observe(self._told)
        self._timers.call_later(EVERY, self._look)

    def _ask(self) -> None:
        self._answered = False
        self._asked_at = self._clock.now()
        try:
            self._loop.loop.call_soon_threadsafe(self._answer)
        except RuntimeError:  # the loop is closed
            self._answered = True
            self._on_closed()

    def _answer(self) -> None:
        self._lag = self._clock.now() - self._asked_at
        if self._told is not None:
            self._observe(LoopFreed(self._clock.now() - self._asked_at, self._told.activity))
            self._told = None
        self._answered = True


def blocking_task(loop: Loop) -> ActivityTask | None:
    """The activity task whose code the loop is in now."""
    running = asyncio.current_task(loop.loop)
    get_context = getattr(running, "get_context", None)  # from Python 3.12 on
    if get_context is not None:
        context: ActivityContext | None = get_context().get(current)
        if context is not None:
            return context.task
    return _by_stack(loop.thread_id)


def _by_stack(thread_id: int | None) -> ActivityTask | None:
    """The handler's own invocation is on the stack, unless a task that it made blocks."""
    frame: FrameType | None = sys._current_frames().get(thread_id or 0)
    while frame is not None:
        if frame.f_code is Invocation.run_async.__code__:
            task: ActivityTask = frame.f_locals["self"].context.task
            return task
        frame = frame.f_back
    return None
