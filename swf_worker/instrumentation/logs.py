"""The log: each observation as one line (``swf_worker.log`` says where it goes)."""

from __future__ import annotations

from typing import Any

from ..errors import (
    ActivityCanceled,
    ActivityFailed,
    PayloadError,
)
from ..log import LEVELS, Log
from ..observations import (
    HandlerLogged,
    HandlerRecorded,
    Observation,
    TaskDecided,
    WorkerStopped,
)
from ..outcome import Failed
from ..runtime.children.records import pass_on
from .floods import AT_ONCE, Floods
from .lines import LINES, ONLY_DEBUG, fields_of

_OFTEN = ONLY_DEBUG | {TaskDecided}


class LogObserver:
    """Writes observations to the log."""

    def __init__(self, **bound: str) -> None:
        self._log = Log(**bound)
        self._debug = True
        """Whether lines for debugging are wanted, when it was last asked."""
        self._floods = Floods()

    def wants(self, kind: type[Observation]) -> bool:
        """Whether a record of this kind may become a line, at the level that the log has now."""
        if kind not in ONLY_DEBUG:
            return True
        self._debug = self._log.is_enabled("debug")
        return self._debug

    def observe(self, record: Observation) -> None:
        """One observation, one event."""
        if isinstance(record, HandlerLogged):
            self._pass_on(record)
            return
        if isinstance(record, HandlerRecorded):
            pass_on(record.record, record.fields)
            return
        if self._floods.held_back:
            for each in self._floods.due(at_last=isinstance(record, WorkerStopped)):
                self._log.write(*each)
        line = LINES[type(record)]
        level = (line.level_of and line.level_of(record)) or line.level
        if level == "debug" and not self._debug and type(record) in _OFTEN:
            return  # of these there are many: don't even ask
        if not self._log.is_enabled(level):
            return
        if type(record) in AT_ONCE and not self._floods.tells_now(record, level):
            return
        raised = _unexpected(record) if isinstance(record, TaskDecided) else None
        self._log.write(level, line.event, fields_of(record), raised)

    def _pass_on(self, record: HandlerLogged) -> None:
        """What a handler process logged, as if it had been logged here."""
        level = record.level if record.level in LEVELS else "error"  # "exception" is one
        if self._log.is_enabled(level):
            self._log.pass_on(level, record.event, record.fields, record.logger, record.created)


def say(event: str, /, **fields: Any) -> None:
    """Log a warning of a process whose workers have ended."""
    Log().write("warning", event, fields)


def _unexpected(record: TaskDecided) -> BaseException | None:
    """What a handler raised that it doesn't use to tell SWF how the task ends."""
    if not isinstance(record.outcome, Failed):
        return None
    told = isinstance(record.error, (ActivityFailed, ActivityCanceled, PayloadError))
    return None if told else record.error
