"""Standard streams on which every line is a JSON record: what is printed, by whomever, becomes the
``event`` of one. What is written below Python, or by a program that inherits the descriptor, can't
be caught here."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Protocol

from ...log import NAME, Moment, exception_fields, flat
from .streams import SafeFile, SafeText, write_line

LONGEST = 16_384
"""Bytes of a printed line that become one record; a longer one becomes several."""
MOST_BEGUN = 1_000
"""Lines that are begun and not ended, of so many tasks and threads, at most."""
Fields = Mapping[str, Any]
Whose = Callable[[], Fields]


def json_line(level: str, logger: str, event: str, fields: Fields, created: float) -> str:
    """A record, as a line."""
    own = {"event": event, "level": level, "logger": logger, "timestamp": Moment.of(created)}
    told = {name: flat(value) for name, value in fields.items() if name not in own}
    return json.dumps(own | told)


class RecordedFile(SafeFile):
    """What is written becomes records, a line each. Each thread and each task has its own lines:
    they don't mix, however they take turns."""

    def __init__(self, number: int, name: str, whose: Whose, bound: Fields) -> None:
        super().__init__(number)
        self.name = f"<{name}>"
        self._logger = name
        self._whose = whose
        self._bound = bound
        self._begun: dict[object, tuple[Fields, bytes]] = {}

    def write(self, data: Any, /) -> int:
        """All of it, as records; what ends no line waits for its end, or for ``flush``."""
        view = memoryview(data).cast("B")
        whose = self._whose()
        key = tuple(whose.values()) or threading.get_ident()
        _, begun = self._begun.pop(key, (whose, b""))
        *lines, rest = (begun + bytes(view)).split(b"\n")
        while len(rest) > LONGEST:
            lines.append(rest[:LONGEST])
            rest = rest[LONGEST:]
        self.lines(lines, whose)
        if rest:
            self._begun[key] = whose, rest
            if len(self._begun) > MOST_BEGUN:
                self._end(next(iter(self._begun)))
        return len(view)

    def flush(self) -> None:
        """What this task or thread has begun is written, too."""
        whose = self._whose()
        self._end(tuple(whose.values()) or threading.get_ident())
        super().flush()

    def finish(self) -> None:
        """What anybody has begun is."""
        for key in list(self._begun):
            self._end(key)

    def _end(self, key: object) -> None:
        whose, rest = self._begun.pop(key, ({}, b""))
        if rest:
            self.lines([rest], whose)

    def lines(self, lines: list[bytes], whose: Fields) -> None:
        """Write these lines, as records. Empty ones say nothing."""
        for line in lines:
            for at in range(0, len(line), LONGEST):
                text = line[at : at + LONGEST].decode("utf-8", "backslashreplace").rstrip("\r")
                if text.strip():
                    self.record("info", self._logger, text, whose)

    def record(self, level: str, logger: str, event: str, fields: Fields) -> None:
        """Write a record of its own."""
        line = json_line(level, logger, event, {**self._bound, **fields}, time.time())
        self.as_it_is(f"{line}\n".encode())

    def as_it_is(self, data: bytes) -> int:
        """Write what is a record already."""
        return super().write(data)


def record_standard_streams(whose: Whose, bound: Fields) -> None:
    """From now on every line of stdout and stderr is a record, with the fields that ``whose`` tells
    where it is printed, and with ``bound``. They must have been made safe before."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, SafeText):
            stream.flush()
            raw = RecordedFile(stream.fileno(), name, whose, bound)
            # No buffer in between: what is printed is known by who prints it.
            recorded = SafeText(raw, "utf-8", "backslashreplace", write_through=True)
            setattr(sys, name, recorded)
            setattr(sys, f"__{name}__", recorded)


def recorded(number: int) -> RecordedFile | None:
    """The standard stream of that number, where its lines are records."""
    stream = {1: sys.__stdout__, 2: sys.__stderr__}[number]
    raw = getattr(stream, "buffer", None)
    return raw if isinstance(raw, RecordedFile) else None


def say_line(text: str, event: str, level: str = "error", /, **fields: Any) -> None:
    """A last word on stderr: as ``text``, or as a record of ``event`` and its fields."""
    stderr = recorded(2)
    if stderr is None:
        write_line(sys.stderr, text)
    else:
        stderr.record(level, NAME, event, fields)


# --- what nobody has caught ----------------------------------------------------------------------


class Tell(Protocol):
    """Tells an error that nobody has caught."""

    def __call__(self, event: str, error: BaseException, /, **fields: str) -> object: ...


def tell_uncaught(tell: Tell) -> None:
    """Have errors that nobody catches told so, in the main program, in threads and in finalizers,
    where no program has its own way."""

    def in_program(
        kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        tell("unhandled exception", error)

    def in_thread(args: threading.ExceptHookArgs, /) -> None:
        if args.exc_value is not None and not isinstance(args.exc_value, SystemExit):
            name = args.thread.name if args.thread is not None else ""
            tell("unhandled exception in a thread", args.exc_value, thread_name=name)

    def in_finalizer(args: Any, /) -> None:
        if args.exc_value is not None:
            event = args.err_msg or "an exception that could not be raised"
            tell(event, args.exc_value)

    if sys.excepthook is sys.__excepthook__:
        sys.excepthook = in_program
    if threading.excepthook is threading.__excepthook__:
        threading.excepthook = in_thread
    if sys.unraisablehook is sys.__unraisablehook__:
        sys.unraisablehook = in_finalizer


def tell_uncaught_on_stderr(whose: Whose) -> None:
    """``tell_uncaught``, as records on stderr."""

    def tell(event: str, error: BaseException, /, **fields: str) -> None:
        stderr = recorded(2)
        if stderr is not None:
            told = {**whose(), **exception_fields(error), **fields}
            stderr.record("critical", NAME, event, told)

    tell_uncaught(tell)
