"""Drives ``core/lifecycle.py``: takes its events from any thread, has its commands performed."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from ..core import lifecycle
from ..core.lifecycle import Command, Lifecycle

LadderEvent = lifecycle.Event | type[lifecycle.Counts] | type[lifecycle.PollingClosed]
"""A type stands for counts that are to be read when it is their turn."""


@dataclass(slots=True)
class Ladder:
    """One worker's life. No lock is held that anybody waits for: events go into a queue, and one
    thread at a time steps and performs; what it is told meanwhile, by itself or by others, it
    takes next. So ``tell`` may be called from anywhere, signal handlers included."""

    perform: Callable[[Command], None]
    counts: Callable[[], tuple[int, int]]
    """Open polls, and tasks that are not over."""
    on_error: Callable[[BaseException], None]
    state: Lifecycle = field(default_factory=Lifecycle)
    _events: queue.SimpleQueue[LadderEvent] = field(default_factory=queue.SimpleQueue)
    _performing: threading.Lock = field(default_factory=threading.Lock)

    def tell(self, event: LadderEvent) -> None:
        """Take an event. Counts are read when their turn comes: one that was read earlier and
        told later would hide the last change."""
        self._events.put(event)
        while not self._events.empty() and self._performing.acquire(blocking=False):
            try:
                self._step_through()
            finally:
                self._performing.release()

    def _step_through(self) -> None:
        while True:
            try:
                event = self._events.get_nowait()
            except queue.Empty:
                return
            if isinstance(event, type):
                event = event(*self.counts())
            self.state, commands = lifecycle.step(self.state, event)
            for command in commands:
                try:
                    self.perform(command)
                except Exception as error:  # a stop must go on, whatever breaks in it
                    self.on_error(error)
