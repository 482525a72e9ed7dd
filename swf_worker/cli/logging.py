"""The command line's log, to stderr: structlog's events and the standard library's records, in one
format, for a person or as JSON lines, each with the ids of the task in whose handler it arose."""

from __future__ import annotations

import logging
import os
import sys
import threading
from typing import Any, TextIO

import structlog
from structlog.tracebacks import ExceptionDictTransformer

from ..context import current_identity
from ..log import apart, extra_of

_TALKATIVE = ("boto3", "botocore", "s3transfer", "urllib3")
"""Their debug records hold requests whole, with payloads, task tokens and signatures."""


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


class _Lines:
    """Lines to stderr, which may be closed, or on a full disk: one must never harm a task."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        # A forked process has a copy of the lock, and of the stream's own, but not of the thread
        # that holds them.
        os.register_at_fork(
            before=self._hold, after_in_parent=self._let_go, after_in_child=self._renew
        )

    def _hold(self) -> None:
        self._held = self._lock.acquire(timeout=_FORK_PATIENCE)

    def _let_go(self) -> None:
        if self._held:
            self._lock.release()

    def _renew(self) -> None:
        self._lock = threading.Lock()

    def write_line(self, line: str) -> None:
        """In one piece: several processes may share what is behind it."""
        with self._lock:
            try:
                if self._stream is not None:
                    self._stream.write(f"{line}\n")
                    self._stream.flush()
            except (OSError, ValueError):
                pass

    # What structlog calls, one for each level.
    msg = debug = info = warning = warn = error = critical = fatal = exception = log = write_line


class _StandardRecords(logging.Handler):
    """The standard library's records, as if they had been given to structlog."""

    def __init__(self, log: Any) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Write it; what breaks in that is logging's to tell."""
        try:
            fields = apart(extra_of(record), _OURS | current_identity().keys())
            fields["logger"] = record.name
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
        bind,
        structlog.contextvars.merge_contextvars,
        _of_the_task,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    rendering: list[Any] = (
        [
            structlog.processors.ExceptionRenderer(ExceptionDictTransformer(show_locals=False)),
            structlog.processors.JSONRenderer(),
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
    settings: dict[str, Any] = {
        "processors": [*shared, *rendering],
        "wrapper_class": structlog.make_filtering_bound_logger(number),
        "cache_logger_on_first_use": True,
    }
    structlog.configure(**settings, logger_factory=lambda *_: lines)
    # With settings of its own: a program may have structlog write to the standard library.
    _take_standard_records(structlog.wrap_logger(lines, **settings), number)


def _take_standard_records(log: Any, level: int) -> None:
    root = logging.getLogger()
    for handler in list(root.handlers):
        if isinstance(handler, _StandardRecords):
            root.removeHandler(handler)
    root.addHandler(_StandardRecords(log))
    root.setLevel(level)
    for name in _TALKATIVE:
        if logging.getLogger(name).level == logging.NOTSET:
            logging.getLogger(name).setLevel(max(level, logging.INFO))
    logging.captureWarnings(True)


def _of_the_task(logger: Any, method: str, event: dict[str, Any]) -> dict[str, Any]:
    """The ids of the task in whose handler this runs."""
    return current_identity() | event
