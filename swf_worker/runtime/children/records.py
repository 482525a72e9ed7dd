"""What handlers in processes log comes out in the worker's log, as if they had logged there."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Mapping, MutableMapping
from typing import Any, NoReturn, Protocol

from ...context import current_identity
from ...log import (
    NAME,
    as_extra,
    exception_fields,
    extra_of,
    flat,
    tell_exception,
    with_identity,
)
from ...text import safe_str, shorten
from .wire import Frame, Logged, Recorded

_LONGEST = 32_768
_KEPT = (
    *(
        "name",
        "levelno",
        "levelname",
        "created",
        "msecs",
        "relativeCreated",
        "pathname",
        "filename",
    ),
    *("module", "lineno", "funcName", "thread", "threadName", "process", "processName"),
    *("taskName", "exc_text", "stack_info"),
)


class Channel(Protocol):
    """The channel to the worker."""

    def mention(self, frame: Frame, /) -> bool: ...


# --- in the worker ------------------------------------------------------------------------------


def levels() -> dict[str, int]:
    """Those that the program has set, of loggers of the standard library; "" is the root."""
    root = logging.getLogger()
    loggers = dict(root.manager.loggerDict)
    found = {
        name: each.level
        for name, each in loggers.items()
        if isinstance(each, logging.Logger) and each.level
    }
    return {"": root.level, **found}


def pass_on(attributes: Mapping[str, Any], fields: Mapping[str, Any]) -> None:
    """Give a record of a handler process to its logger here."""
    logger = logging.getLogger(attributes["name"])
    if logger.isEnabledFor(attributes["levelno"]):
        logger.handle(logging.makeLogRecord({**as_extra(fields), **attributes, "args": None}))


# --- in the handler process ---------------------------------------------------------------------


class _Sending(logging.Handler):
    def __init__(self, channel: Channel) -> None:
        super().__init__()
        self._channel = channel

    def emit(self, record: logging.LogRecord) -> None:
        """Send it; what breaks in that is logging's to tell."""
        try:
            fields = with_identity(extra_of(record), current_identity())
            if record.exc_info and record.exc_info[1] is not None:
                told = exception_fields(record.exc_info[1])
                record.exc_text = record.exc_text or told["exception"]
                fields |= {name: told[name] for name in ("exc_type", "exc_message")}
            own = vars(record)
            attributes = {name: plain(own[name]) for name in _KEPT if name in own}
            said = attributes | {"msg": short(record.getMessage())}
            frame = Recorded(said, {name: plain(each) for name, each in fields.items()})
            if not self._channel.mention(frame):
                _print(record.levelname, record.name, record.getMessage(), record.exc_text)
        except Exception:
            self.handleError(record)


def _print(level: str, name: str, said: str, trace: str | None) -> None:
    """In a process that a handler has forked, which has no channel: to stderr."""
    if sys.stderr is not None:
        where = f" {name}" if name else ""
        sys.stderr.write(f"{level}{where}: {said}\n{trace or ''}")
        sys.stderr.flush()


def send_records(channel: Channel, levels_there: Mapping[str, int], *, warnings: bool) -> None:
    """Let the worker have the standard library's records. A set-up that replaces the root's
    handlers, as the loaded modules or ``on_process_start`` may, is left alone."""
    for name, level in levels_there.items():
        logging.getLogger(name or None).setLevel(level)
    logging.getLogger().addHandler(_Sending(channel))
    logging.captureWarnings(warnings)


def send_events(channel: Channel) -> None:
    """Let the worker write structlog's events. A set-up of structlog that the loaded modules, or
    ``on_process_start``, made is left alone."""
    import structlog

    if structlog.is_configured():
        return

    def forward(logger: Named, level: str, event: MutableMapping[str, Any]) -> NoReturn:
        said = short(event.pop("event", ""))
        fields = {
            short(name): plain(each)
            for name, each in with_identity(event, current_identity()).items()
        }
        told = Logged(level, said, fields, logger.name, time.time())
        if not channel.mention(told):
            _print(level.upper(), "", said, event.get("exception"))
        raise structlog.DropEvent

    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            tell_exception,
            forward,
        ],
        logger_factory=Named,
    )


class Named:
    """What structlog makes of the name that a logger was asked for with."""

    def __init__(self, *names: object) -> None:
        self.name = str(names[0]) if names else None

    def __getattr__(self, level: str) -> Any:
        return str  # never called: the event has been forwarded


def record_uncaught(event: str, error: BaseException, /, **fields: str) -> None:
    """An error that nobody in this process has caught, as a record."""
    logging.getLogger(NAME).critical(event, exc_info=error, extra=as_extra(fields))


def plain(value: Any) -> Any:
    """What a frame can carry: a log line must never fail a handler."""
    if type(value) in (bool, float, type(None)) or (type(value) is int and abs(value) < 2**63):
        return value
    return short(flat(value))


def short(value: object) -> str:
    """Text of it, within bounds."""
    return shorten(safe_str(value), _LONGEST)
