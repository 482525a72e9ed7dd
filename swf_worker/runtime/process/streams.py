"""Standard streams that never touch a task: their reader may be gone, their disk full, their
terminal closed, while handlers print."""

from __future__ import annotations

import errno
import io
import os
import select
import sys
from contextlib import suppress
from typing import Any

_GONE_FOR_GOOD = (errno.EPIPE, errno.EIO, errno.EBADF)
"""Its reader or its terminal: from then on it leads to nowhere, for programs that handlers start,
too. (A disk may have room again.)"""
_PATIENCE = 5.0
"""Seconds for which a stream that doesn't block is waited for, when it is full."""


class SafeFile(io.FileIO):
    """What can't be written is dropped."""

    lost = False
    """It leads to nowhere since."""
    _unread = False

    def __init__(self, number: int) -> None:
        super().__init__(number, "w", closefd=False)
        self._copy = os.dup(number)

    def write(self, data: Any, /) -> int:
        """All of it, or none, without an error."""
        left = memoryview(data).cast("B")
        size = len(left)
        while left:
            try:
                written = super().write(left) if self._is_ours() else os.write(self._copy, left)
            except OSError as error:
                self._failed(error)
                break
            if written is None and not self._waits():
                break
            left = left[written or 0 :]
        return size

    def _is_ours(self) -> bool:
        """Whether the number leads where a standard stream does. Somebody may have closed it: then
        it is put back, or, where it has become something else's, that is not written into. (What
        Python opens is not inherited; standard streams, and what is put in their place, are.)"""
        try:
            return os.get_inheritable(self.fileno())
        except OSError:
            os.dup2(self._copy, self.fileno())
            return True

    def _waits(self) -> bool:
        """For one that doesn't block and is full: whether there is room again. Who doesn't read is
        waited for once."""
        room = bool(select.select([], [self], [], 0 if self._unread else _PATIENCE)[1])
        self._unread = not room
        return room

    def _failed(self, error: OSError) -> None:
        if error.errno in _GONE_FOR_GOOD:
            self.lost = True
            with suppress(OSError):
                nowhere = os.open(os.devnull, os.O_RDWR)
                os.dup2(nowhere, self._copy, inheritable=False)
                if self._is_ours():
                    os.dup2(nowhere, self.fileno())
                os.close(nowhere)


class SafeText(io.TextIOWrapper):
    """One that handlers can't close for each other, and that takes any character."""

    def close(self) -> None:
        """Written out, and as open as before."""
        with suppress(ValueError):
            self.flush()


def hold_standard_descriptors() -> None:
    """Where one is closed, its number would go to the next socket, and be written into."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number: this one
            os.set_inheritable(number, True)


def make_standard_streams_safe() -> None:
    """Put safe ones in the place of stdout and stderr, where those are the process's own."""
    hold_standard_descriptors()
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, SafeText) or stream is not getattr(sys, f"__{name}__"):
            continue
        safe = _safe(stream, name)
        if safe is not None:
            setattr(sys, name, safe)
            setattr(sys, f"__{name}__", safe)


def write_all(number: int, data: bytes) -> None:
    """Write into a descriptor. OSError."""
    while data:
        data = data[os.write(number, data) :]


def write_line(stream: Any, line: str) -> None:
    """Write a line below the stream's buffer: where nobody reads, whoever flushes that one must not
    wait for its lock. Whatever goes wrong is nobody's."""
    buffer = getattr(stream, "buffer", None)
    raw = getattr(buffer, "raw", buffer)
    try:
        if raw is not None:
            write = getattr(raw, "as_it_is", raw.write)  # whose lines are records: this is one
            write(f"{line}\n".encode(stream.encoding, "backslashreplace"))
        elif stream is not None:
            stream.write(f"{line}\n")
            stream.flush()
    except (OSError, ValueError):
        pass


def is_lost(number: int) -> bool:
    """Whether one of them leads to nowhere since its reader or its terminal is gone."""
    stream = {1: sys.__stdout__, 2: sys.__stderr__}.get(number)
    buffer = getattr(stream, "buffer", None)
    return bool(getattr(getattr(buffer, "raw", buffer), "lost", False))


def _safe(stream: Any, name: str) -> io.TextIOWrapper | None:
    try:
        # Where there is none, its number may be something else's by now.
        number = stream.fileno() if stream is not None else os.open(os.devnull, os.O_WRONLY)
        os.set_inheritable(number, True)
        raw = SafeFile(number)
    except (OSError, ValueError, AttributeError):
        return None  # it is closed, or no file
    raw.name = f"<{name}>"
    with suppress(OSError, ValueError, AttributeError):
        stream.flush()
    unbuffered = isinstance(getattr(stream, "buffer", None), io.RawIOBase)
    return SafeText(
        raw if unbuffered else io.BufferedWriter(raw),
        encoding=getattr(stream, "encoding", None) or "utf-8",
        errors="backslashreplace",
        line_buffering=getattr(stream, "line_buffering", False),
        write_through=getattr(stream, "write_through", False),
    )
