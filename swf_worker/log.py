"""Where log lines go: to structlog where the program has configured it, else to the standard
library's logger ``swf_worker``, whose levels and handlers are the program's. Nothing is printed
here, and nothing configured."""

from __future__ import annotations

import json
import logging
import sys
import traceback
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from .task import ActivityTask
from .text import safe_str

if TYPE_CHECKING:
    from structlog.typing import EventDict, FilteringBoundLogger

NAME = "swf_worker"
LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}
_TAKEN = frozenset({*vars(logging.makeLogRecord({})), "message", "asctime"})
"""Attributes of every record: a field of that name gets another one."""


class Log:
    """Writes lines, each an event and its fields. ``bound`` is in every line."""

    def __init__(self, **bound: Any) -> None:
        self._bound = bound
        self._structlog: Any = None
        self._is_enabled_for: Any = None
        self._standard = logging.getLogger(NAME)

    def is_enabled(self, level: str) -> bool:
        """Whether anybody wants lines of this level."""
        if self._structlog is None and self._configured() is None:
            return self._standard.isEnabledFor(LEVELS[level])
        return bool(self._is_enabled_for(LEVELS[level]))

    def write(
        self,
        level: str,
        event: str,
        fields: Mapping[str, Any],
        error: BaseException | None = None,
    ) -> None:
        """Write a line; ``error`` with its traceback, and without anybody's locals."""
        log = self._structlog or self._configured()
        if log is not None:
            told = fields if error is None else {**fields, "exc_info": error}
            getattr(log, level)(event, **told)
            return
        fields = self._bound | dict(fields)
        exc_info = None if error is None else (type(error), error, error.__traceback__)
        self._standard.log(
            LEVELS[level], *as_message(event, fields), extra=as_extra(fields), exc_info=exc_info
        )

    def pass_on(
        self, level: str, event: str, fields: Mapping[str, Any], logger: str | None, created: float
    ) -> None:
        """Write a line that another process has made, as if it had been written there and then."""
        if self._structlog is None and self._configured() is None:
            fields = self._bound | dict(fields)
            message = as_message(event, fields)
            record = self._standard.makeRecord(
                NAME, LEVELS[level], "", 0, message[0], message[1:], None, extra=as_extra(fields)
            )
            record.created, record.msecs = created, created % 1 * 1000
            self._standard.handle(record)
            return
        log = sys.modules["structlog"].get_logger(*([logger] if logger else []))
        told = {**self._bound, **fields, "timestamp": Moment.of(created)}
        getattr(log, level)(event, **told)

    def _configured(self) -> Any:
        """structlog's logger, or None. It may be configured at any time, also after the start."""
        if self._structlog is None:
            # Not imported here: it takes long, and where nobody has, nobody has configured it.
            structlog = sys.modules.get("structlog")
            if structlog is None or not structlog.is_configured():
                return None
            self._structlog = structlog.get_logger(NAME).bind(**self._bound)
            self._is_enabled_for = getattr(self._structlog, "is_enabled_for", lambda level: True)
        return self._structlog


class _Fields:
    """A record's argument: a reader of plain lines sees the fields as well. They are worded when
    somebody asks for it."""

    __slots__ = ("_fields",)

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self._fields = fields

    def __str__(self) -> str:
        return "".join(f" {name}={_worded(value)}" for name, value in self._fields.items())


def _worded(value: Any) -> str:
    text = safe_str(value)
    odd = isinstance(value, str) and (not text or any(each in text for each in ' "\n='))
    return repr(text) if odd else text


def as_message(event: str, fields: Mapping[str, Any]) -> tuple[object, ...]:
    """An event as logging takes it: what sorts lines by their message finds one for each event."""
    return (event.replace("%", "%%") + "%s", _Fields(fields)) if fields else (event,)


def identity_of(task: ActivityTask) -> dict[str, Any]:
    """Which task a line is about. (Its token is a credential, and in no line.)"""
    return {
        "activity_name": task.activity_type.name,
        "activity_version": task.activity_type.version,
        "activity_id": task.activity_id,
        "workflow_id": task.workflow_execution.workflow_id,
        "run_id": task.workflow_execution.run_id,
    }


def with_identity(fields: Mapping[str, Any], identity: Mapping[str, Any]) -> dict[str, Any]:
    """A handler's fields, and whose they are: a field of its own of such a name gets another."""
    return {
        f"{name}_" if name in identity and identity[name] != value else name: value
        for name, value in fields.items()
    } | dict(identity)


class Moment(str):
    """When a line was made, as it is written: ISO 8601, UTC."""

    __slots__ = ()

    @classmethod
    def of(cls, created: float) -> Moment:
        """Of seconds since 1970."""
        return cls(f"{datetime.fromtimestamp(created, UTC).isoformat()[:-6]}Z")  # for +00:00


def flat(value: Any) -> str | bool | int | float | None:
    """A field's value as one that JSON has without nesting: what is no scalar becomes its JSON
    text, or its own words."""
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return value if value - value == 0 else str(value)  # JSON has no NaN
    if isinstance(value, (dict, list, tuple)):
        try:
            return json.dumps(value, default=safe_str)
        except Exception:  # it holds itself, or keys that are none
            return safe_str(value)
    return safe_str(value)


def exception_fields(error: BaseException) -> dict[str, str]:
    """An error as fields: its traceback as text, without anybody's locals, its type, its message.
    One that a handler process raised is told as it was there."""
    told = getattr(error, "told", None)
    if told is not None:
        return dict(told)
    try:
        text = safe_str("".join(traceback.format_exception(error))).rstrip("\n")
    except BaseException as broken:  # an exception of the user's can do anything
        text = f"<no traceback: {type(broken).__name__}>"
    return raised_fields(type(error).__name__, safe_str(error), text)


def raised_fields(kind: str, message: str, trace: str) -> dict[str, str]:
    """The fields of an error."""
    return {"exception": trace, "exc_type": kind, "exc_message": message}


def tell_exception(logger: Any, method: str, event: EventDict) -> EventDict:
    """For structlog: ``exc_info`` as fields."""
    told = event.pop("exc_info", None)
    error = told if isinstance(told, BaseException) else None
    if told and error is None:
        error = (told if isinstance(told, tuple) else sys.exc_info())[1]
    return event if error is None else {**event, **exception_fields(error)}


def as_extra(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Fields as attributes of a record."""
    return apart(fields, _TAKEN)


def apart(fields: Mapping[str, Any], taken: Collection[str]) -> dict[str, Any]:
    """Fields, those whose names are taken under another one."""
    return {f"{name}_" if name in taken else name: value for name, value in fields.items()}


def extra_of(record: logging.LogRecord) -> dict[str, Any]:
    """The fields that a record was given beyond its own."""
    return {name: value for name, value in vars(record).items() if name not in _TAKEN}


def logger_for(**bound: Any) -> FilteringBoundLogger:
    """A structlog logger for a handler, that writes where our own lines go."""
    import structlog

    if structlog.is_configured():
        log: FilteringBoundLogger = structlog.get_logger(NAME).bind(**bound)
        return log
    log = structlog.wrap_logger(
        logging.getLogger(NAME),
        processors=[structlog.contextvars.merge_contextvars, _to_standard],
        wrapper_class=structlog.make_filtering_bound_logger(logging.NOTSET),
        context_class=dict,
    ).bind(**bound)
    return log


def _to_standard(
    logger: Any, method: str, event: EventDict
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The last processor: the arguments of logging's method."""
    kept = {name: event.pop(name) for name in ("exc_info", "stack_info") if name in event}
    said = event.pop("event", "")
    return as_message(safe_str(said), event), {"extra": as_extra(event), **kept}
