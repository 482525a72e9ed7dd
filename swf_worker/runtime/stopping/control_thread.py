"""Hears what a process is told, in a thread of its own, from its first moment to its last.

The main thread may be anywhere: in users' modules, in ``on_start``, in a lock, at its end.
"""

from __future__ import annotations

import faulthandler
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from ..threads.clock import start_daemon
from .signals import ControlRequest, Inbox, interrupt_main

Handle = Callable[[ControlRequest], object]

EARLY_END = 1.2
"""Seconds that a start has to end after a stop came; then it is ended."""


class ControlThread:
    """Passes each request on to whoever is to handle it now."""

    def __init__(self, inbox: Inbox, *, hung: Callable[[], object] | None = None) -> None:
        self.inbox = inbox
        self._hung = hung
        """A stop has come, and ``EARLY_END`` seconds later the start still goes on."""
        self._handle: Handle = self._while_starting
        self._lock = threading.Lock()
        self._handler_is_set = threading.Event()
        self._thread = start_daemon("signals", self._run)

    def handled_by(self, handle: Handle) -> bool:
        """From now on; False, and no change, if the process was told to stop before."""
        with self._lock:
            if self.inbox.stopped:
                return False
            self._handle = handle
            self._handler_is_set.set()
            return True

    def ended_by(self, handle: Handle) -> None:
        """The process is at its end: whatever came before, this is what a further stop does."""
        with self._lock:
            self._handle = handle
            self._handler_is_set.set()

    def close(self) -> None:
        """Hear no more."""
        self._handler_is_set.set()
        self.inbox.end()
        self._thread.join()

    def _run(self) -> None:
        for request in self.inbox:
            with self._lock:
                handle = self._handle
            handle(request)

    def _while_starting(self, request: ControlRequest) -> None:
        if request is ControlRequest.REPORT:
            with suppress(OSError, ValueError):
                faulthandler.dump_traceback(all_threads=True)
            return
        if not self.inbox.stopped:  # no signal: the supervisor's request
            interrupt_main()
        if self._hung is not None and not self._handler_is_set.wait(EARLY_END):
            self._hung()


@contextmanager
def control_thread(
    inbox: Inbox, hung: Callable[[], object] | None = None
) -> Iterator[ControlThread]:
    """A control thread, until the end of the block."""
    control = ControlThread(inbox, hung=hung)
    try:
        yield control
    finally:
        control.close()
