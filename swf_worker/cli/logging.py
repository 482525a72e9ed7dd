"""The command line's log, to stderr: structlog's events and the standard library's records, in one
format, for a person or as JSON lines, each with the ids of the task in whose handler it arose."""

from __future__ import annotations

import json
import logging
import os
import select
import stat
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

import msgspec
import structlog

from ..context import current_identity
from ..log import LEVELS, Moment, apart, extra_of, flat, tell_exception, with_identity
from ..runtime.process.recorded import json_line, recorded
from ..runtime.process.streams import write_line
from ..runtime.threads.clock import start_daemon
from ..text import safe_str

_TALKATIVE = ("boto3", "botocore", "s3transfer", "urllib3")
"""Their debug records hold requests whole, with payloads, task tokens and signatures."""


def _plain(value: Any) -> str:
    if isinstance(value, str):  # of a kind of its own
        return str(value)
    raise TypeError(f"{type(value).__name__} is left to the other encoder")


_encode_quickly = msgspec.json.Encoder(enc_hook=_plain).encode
"""Three times as quick, for what it knows, with the spaces of the other one put in: who looks for
``"level": "error"`` in a line finds it."""
_encode = json.JSONEncoder(default=safe_str).encode
"""Made once: for each line, json.dumps with arguments would make one."""
_FORK_PATIENCE = 0.5
"""Seconds for which a fork waits for the line that is being written."""
_OURS = frozenset(
    {
        "event",
        "level",
        "timestamp",
        "logger",
        "exc_info",
        "exception",
        "stack",
        "stack_info",
        "self",
    }
)
"""Names that our lines use: a record's own field of that name gets another one."""


_MOST_WAITING = 10_000
_FLUSHING = 0.5
"""Seconds that lines which wait get at the end."""


class _Lines:
    """Lines to stderr, which may be closed, or on a full disk, or stand still: one must never harm
    a task, nor hold up whoever logs. What can't be written at once is left to a thread."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._room: Any = None
        with suppress(OSError, ValueError, AttributeError):  # no file, or no such system
            if not stat.S_ISREG(os.fstat(self._stream.fileno()).st_mode):  # those never wait
                room = select.poll()
                room.register(self._stream.fileno(), select.POLLOUT)
                self._room = room
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._inside = False
        """Its thread is in ``write_line``: a signal handler or a finalizer that logs there as well
        must not wait for it."""
        self._waiting: deque[str] = deque()
        self._dropped = 0
        self._busy = False
        """The thread is writing."""
        self._thread: threading.Thread | None = None
        # A forked process has a copy of the lock, and of the stream's own, but not of the thread
        # that holds them.
        self._forking = threading.local()
        os.register_at_fork(
            before=self._hold, after_in_parent=self._let_go, after_in_child=self._renew
        )

    def write_line(self, line: str) -> None:
        """In one piece: several processes may share what is behind it."""
        with self._lock:  # which, unlike the condition's own methods, is no call
            if self._inside:
                self._waiting.append(line)
                return
            self._inside = True
            try:
                if not self._waiting and not self._busy and self._takes(line):
                    write_line(self._stream, line)
                elif len(self._waiting) >= _MOST_WAITING:
                    self._dropped += 1
                else:
                    self._waiting.append(line)
                if self._waiting:
                    self._changed.notify()
                    if self._thread is None:
                        with suppress(RuntimeError):  # no more threads: the next line's, perhaps
                            self._thread = start_daemon("log", self._run)
            finally:
                self._inside = False

    def flush(self) -> None:
        """Give what waits a moment."""
        with self._changed:
            self._changed.wait_for(lambda: not (self._waiting or self._busy), _FLUSHING)

    def _takes(self, line: str) -> bool:
        """Whether it can be written without a wait."""
        if self._room is None:
            return True
        return len(line) < select.PIPE_BUF // 4 and bool(self._room.poll(0))

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting)
                line, self._busy = self._waiting.popleft(), True
                dropped, self._dropped = self._dropped, 0
            write_line(self._stream, line)
            with self._changed:
                self._busy = False
                self._changed.notify_all()
            if dropped:
                logging.getLogger("swf_worker").warning("%d lines were not read", dropped)

    # --- forks ----------------------------------------------------------------------------------

    def _hold(self) -> None:
        self._forking.holds = self._changed.acquire(timeout=_FORK_PATIENCE)

    def _let_go(self) -> None:
        if self._forking.holds:
            self._changed.release()

    def _renew(self) -> None:
        self._lock = threading.RLock()
        self._changed, self._inside = threading.Condition(self._lock), False
        self._waiting, self._busy, self._thread = deque(), False, None


class _Record(str):
    """A line that our own processors have made."""

    __slots__ = ()


class _Named:
    """What structlog calls, one for each level; and the name that the logger was asked for with."""

    def __init__(self, write: Callable[[str, str, str], None], *names: object) -> None:
        self.name = str(names[0]) if names else "root"
        self.debug, self.info, self.warning, self.error, self.critical = (
            partial(write, level, self.name) for level in LEVELS
        )
        self.msg, self.log, self.warn = self.info, self.info, self.warning
        self.exception, self.fatal = self.error, self.critical


class _StandardRecords(logging.Handler):
    """The standard library's records, as if they had been given to structlog."""

    def __init__(self, log: Any, lines: _Lines) -> None:
        super().__init__()
        self._log = log
        self._lines = lines

    def flush(self) -> None:
        """At the end: what waits gets a moment."""
        self._lines.flush()

    def emit(self, record: logging.LogRecord) -> None:
        """Write it; what breaks in that is logging's to tell."""
        try:
            fields = apart(extra_of(record), _OURS)
            fields |= {"logger": record.name, "timestamp": Moment.of(record.created)}
            if record.exc_info and record.exc_info[1] is not None:
                fields["exc_info"] = record.exc_info
            elif record.exc_text:
                fields["exception"] = record.exc_text
            if record.stack_info:
                fields["stack"] = record.stack_info
            # Bound, and no arguments of the call: a field may have any name.
            self._log.bind(**fields).log(_level(record.levelno), record.getMessage())
        except Exception:
            self.handleError(record)


def _level(number: int) -> int:
    """The nearest of structlog's levels: programs make levels of their own."""
    return max(10, min(50, number // 10 * 10))


def configure_logging(log_format: str | None, level: str, **bound: Any) -> None:
    """Log to stderr: ``console`` or ``json``; by default what suits stderr. ``bound`` is in every
    line."""
    stream = sys.stderr
    for_a_person = stream is not None and stream.isatty()
    as_json = (log_format or ("console" if for_a_person else "json")) == "json"

    def bind(logger: Any, method: str, event: dict[str, Any]) -> dict[str, Any]:
        return bound | event

    shared: list[Any] = [
        *([bind] if bound else []),
        structlog.contextvars.merge_contextvars,
        _of_the_task,
        structlog.processors.add_log_level,
        _when_and_by_whom,
    ]
    rendering: list[Any] = (
        [
            tell_exception,
            _flattened,
            structlog.processors.JSONRenderer(_as_json),
        ]
        if as_json
        else [
            # Plain tracebacks: the pretty ones print locals, and inputs may be secret.
            structlog.dev.ConsoleRenderer(
                colors=for_a_person, exception_formatter=structlog.dev.plain_traceback
            )
        ]
    )
    number = logging.getLevelNamesMapping()[level.upper()]
    lines = _Lines(stream)
    only_records = recorded(2) is not None

    def write(of_level: str, logger: str, line: str) -> None:
        if only_records and type(line) is not _Record:
            line = _as_record(line, of_level, logger, bound)
        lines.write_line(line)

    settings: dict[str, Any] = {
        "processors": [*shared, *rendering],
        "wrapper_class": structlog.make_filtering_bound_logger(number),
        "cache_logger_on_first_use": True,
    }
    structlog.configure(**settings, logger_factory=partial(_Named, write))
    # With settings of its own: a program may have structlog write to the standard library.
    _take_standard_records(
        _StandardRecords(structlog.wrap_logger(_Named(write), **settings), lines), number
    )


def _take_standard_records(handler_of_ours: _StandardRecords, level: int) -> None:
    root = logging.getLogger()
    for handler in list(root.handlers):
        if isinstance(handler, _StandardRecords):
            root.removeHandler(handler)
    root.addHandler(handler_of_ours)
    root.setLevel(level)
    for name in _TALKATIVE:
        if logging.getLogger(name).level == logging.NOTSET:
            logging.getLogger(name).setLevel(max(level, logging.INFO))
    logging.captureWarnings(True)


def _of_the_task(logger: Any, method: str, event: dict[str, Any]) -> dict[str, Any]:
    """The ids of the task in whose handler this runs."""
    identity = current_identity()
    return with_identity(event, identity) if identity else event


def _when_and_by_whom(logger: _Named, method: str, event: dict[str, Any]) -> dict[str, Any]:
    """Of what was made elsewhere, or before, it is told."""
    if not isinstance(event.get("timestamp"), Moment):
        event["timestamp"] = Moment.of(time.time())
    event.setdefault("logger", logger.name)
    return event


def _as_json(event: dict[str, Any], **_: Any) -> str:
    try:
        line = msgspec.json.format(_encode_quickly(event), indent=0).decode()
    except Exception:  # a number that is too long, half a character
        return _Record(_encode(event))
    # Whatever the encoding of stderr is, a line is JSON.
    return _Record(line if line.isascii() else _encode(event))


def _as_record(line: str, level: str, logger: str, bound: Mapping[str, Any]) -> str:
    """A line that the program's own processors have made, where all are to be JSON."""
    with suppress(ValueError):
        if isinstance(json.loads(line), dict):
            return line
    return json_line(level, logger, line, {**bound, **current_identity()}, time.time())


def _flattened(logger: _Named, method: str, event: dict[str, Any]) -> dict[str, Any]:
    """No lists, nor anything else that is nested."""
    return {
        # Most are text or whole numbers: a call for each would be half of a line's cost.
        name: value if isinstance(value, (str, int)) else flat(value)
        for name, value in event.items()
    }
