"""What handler processes write to stderr goes to the worker's, as if they had inherited it; its end
is kept, for the report of a death. A stderr that blocks holds nobody up but this."""

from __future__ import annotations

import os
import threading
from collections import deque
from contextlib import suppress

from ..threads.clock import StartThread

KEPT = 4_096
"""Bytes of a child's stderr that are kept."""
MOST_WAITING = 4 * 1_048_576
"""Bytes that wait to be written, at most; more is dropped."""


class Stderr:
    """One thread, started when there is something to write."""

    def __init__(self, start_thread: StartThread) -> None:
        self._start_thread = start_thread
        self._waiting: deque[bytes] = deque()
        self._size = 0
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False

    def keep(self, tail: bytearray, data: bytes) -> None:
        """Take what a child wrote."""
        tail += data
        del tail[:-KEPT]
        with self._changed:
            if self._size + len(data) > MOST_WAITING:
                return
            self._waiting.append(data)
            self._size += len(data)
            if self._thread is None and not self._closed:
                self._thread = self._start_thread("children-stderr", self._run)
            self._changed.notify()

    def close(self) -> None:
        """Write what waits, for a moment at most, and end."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(1.0)

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._waiting and not self._closed:
                    self._changed.wait()
                if not self._waiting:
                    return
                data = self._waiting.popleft()
                self._size -= len(data)
            with suppress(OSError):
                while data:
                    data = data[os.write(2, data) :]
