"""What handler processes write to stderr goes to the worker's, as if they had inherited it; its end
is kept, for the report of a death. Where the worker's lines are records, what they write to stdout
comes here as well, and each line becomes a record with the ids of the task that ran. A stream that
blocks holds nobody up but this."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import IO, Any

from ..process.recorded import LONGEST, RecordedFile, recorded
from ..process.streams import write_all
from ..threads.clock import StartThread
from .child_process import Child

KEPT = 4_096
"""Bytes of a child's stderr that are kept."""
MOST_WAITING = 4 * 1_048_576
"""Bytes that wait to be written, at most; more is dropped."""
STDERR = 2


class Output:
    """One thread, started when there is something to write."""

    def __init__(self, start_thread: StartThread) -> None:
        self._start_thread = start_thread
        self._waiting: deque[tuple[int, Callable[[], object]]] = deque()
        self._size = 0
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False

    def take(self, child: Child, file: IO[bytes], data: bytes) -> None:
        """Take what a child wrote into one of its files."""
        number = child.number_of(file)
        if number == STDERR:
            child.stderr_tail += data
            del child.stderr_tail[:-KEPT]
        records = recorded(number)
        if records is None:
            self._put(len(data), partial(write_all, number, data))
            return
        *lines, rest = (child.begun.pop(number, b"") + data).split(b"\n")
        if len(rest) > LONGEST:
            lines, rest = [*lines, rest], b""
        if rest:
            child.begun[number] = rest
        self._put_lines(child, records, lines)

    def end_lines(self, child: Child) -> None:
        """Its task is over: what it has begun is a line."""
        for number in list(child.begun):
            rest, records = child.begun.pop(number), recorded(number)
            if records is not None:
                self._put_lines(child, records, [rest])

    def _put_lines(self, child: Child, records: RecordedFile, lines: list[bytes]) -> None:
        whose: Mapping[str, Any] = child.task.identity if child.task is not None else {}
        size = sum(map(len, lines))
        if size:
            self._put(size, partial(records.lines, lines, whose))

    def _put(self, size: int, write: Callable[[], object]) -> None:
        with self._changed:
            if self._size + size > MOST_WAITING:
                return
            self._waiting.append((size, write))
            self._size += size
            if self._thread is None and not self._closed:
                self._thread = self._start_thread("children-output", self._run)
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
                size, write = self._waiting.popleft()
                self._size -= size
            with suppress(OSError, ValueError):
                write()
