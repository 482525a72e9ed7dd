"""Starts the worker's threads, all from one thread with nothing special about it.

A thread inherits from the one that starts it: its signal mask, its niceness, its processors. Who
happens to need one more thread may be the thread of the handler processes, which blocks signals,
or a handler that has changed its own; programs that users' code starts there would inherit it.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future

from .clock import start_daemon

_Request = tuple[str, Callable[[], None], Future[threading.Thread]]


class ThreadStarter:
    """Itself started by the first who asks: whoever starts the worker."""

    def __init__(self) -> None:
        self._requests: queue.SimpleQueue[_Request | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closed = False

    def __call__(self, name: str, target: Callable[[], None]) -> threading.Thread:
        """Start a daemon thread; RuntimeError where the machine gives none."""
        started: Future[threading.Thread] = Future()
        with self._lock:
            if self._closed:  # somebody's last words
                return start_daemon(name, target)
            if self._thread is None:
                self._thread = start_daemon("starter", self._run)
            self._requests.put((name, target, started))
        return started.result()

    def close(self) -> threading.Thread | None:
        """Start no more; returns the thread that is ending."""
        with self._lock:
            self._closed = True
            self._requests.put(None)
            return self._thread

    def _run(self) -> None:
        while (request := self._requests.get()) is not None:
            name, target, started = request
            try:
                started.set_result(start_daemon(name, target))
            except BaseException as error:
                started.set_exception(error)
