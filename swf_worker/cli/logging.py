"""The command line's log: structlog to stderr, for a person or as JSON lines."""

from __future__ import annotations

import logging
import sys
from typing import Any, TextIO

import structlog
from structlog.tracebacks import ExceptionDictTransformer


class _SafeStream:
    """stderr that may be closed, or on a full disk: a log line must never harm a task."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self._line: list[str] = []

    def write(self, text: str) -> int:
        """structlog writes a line and its end, one after the other, under a lock of its own."""
        self._line.append(text)
        return len(text)

    def flush(self) -> None:
        """In one piece: several processes may share what is behind it."""
        text, self._line = "".join(self._line), []
        try:
            if self._stream is not None:
                self._stream.write(text)
                self._stream.flush()
        except (OSError, ValueError):
            pass

    def isatty(self) -> bool:
        return self._stream is not None and self._stream.isatty()


def configure_logging(log_format: str | None, level: str, **bound: Any) -> None:
    """Log to stderr: ``console`` or ``json``; by default what suits stderr. ``bound`` is in every
    line."""
    stream: Any = _SafeStream(sys.stderr)
    for_a_person = stream.isatty()
    as_json = (log_format or ("console" if for_a_person else "json")) == "json"

    def bind(logger: Any, method: str, event: dict[str, Any]) -> dict[str, Any]:
        return bound | event

    shared: list[Any] = [
        bind,
        structlog.contextvars.merge_contextvars,
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
    structlog.configure(
        processors=[*shared, *rendering],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[level.upper()]
        ),
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=True,
    )
