"""The log: each observation as one line (``swf_worker.log`` says where it goes)."""

from __future__ import annotations

from typing import Any

from ..clock import now
from ..errors import (
    ActivityCanceled,
    ActivityFailed,
    PayloadError,
)
from ..log import LEVELS, Log
from ..observations import (
    HandlerLogged,
    HandlerRecorded,
    HeartbeatLate,
    Observation,
    TaskDecided,
    WorkerStopped,
)
from ..outcome import Failed
from ..runtime.children.records import pass_on
from .lines import LINES, ONLY_DEBUG, fields_of

LATE_LINES_EACH = 5.0
"""Seconds between two lines about late heartbeats."""


_OFTEN = ONLY_DEBUG | {TaskDecided}


class LogObserver:
    """Writes observations to the log."""

    def __init__(self, **bound: str) -> None:
        self._log = Log(**bound)
        self._debug = True
        """Whether lines for debugging are wanted, when it was last asked."""
        self._late_beats = LateBeats()

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
        late = self._late_beats
        if late.held_back and late.are_due(at_last=isinstance(record, WorkerStopped)):
            self._log.write("warning", "more heartbeats were late", late.take())
        line = LINES[type(record)]
        level = (line.level_of and line.level_of(record)) or line.level
        if level == "debug" and not self._debug and type(record) in _OFTEN:
            return  # of these there are many: don't even ask
        if not self._log.is_enabled(level):
            return
        if isinstance(record, HeartbeatLate) and not late.tells_now(record):
            return
        raised = _unexpected(record) if isinstance(record, TaskDecided) else None
        self._log.write(level, line.event, fields_of(record), raised)

    def _pass_on(self, record: HandlerLogged) -> None:
        """What a handler process logged, as if it had been logged here."""
        level = record.level if record.level in LEVELS else "error"  # "exception" is one
        if self._log.is_enabled(level):
            self._log.write(level, record.event, record.fields)


class LateBeats:
    """What makes one beat late makes thousands late: most are counted, or their lines would hold
    the machine as well."""

    def __init__(self) -> None:
        self.held_back = 0
        """So many were counted, and are to be told."""
        self._latest = 0.0
        self._told_at = float("-inf")

    def tells_now(self, record: HeartbeatLate) -> bool:
        """Whether this one has a line of its own; else it is counted."""
        moment = now()
        if moment - self._told_at < LATE_LINES_EACH:
            self.held_back += 1
            self._latest = max(self._latest, record.late_by)
            return False
        self._told_at = moment
        return True

    def are_due(self, *, at_last: bool) -> bool:
        """Whether those that were counted are to be told."""
        return at_last or now() - self._told_at >= LATE_LINES_EACH

    def take(self) -> dict[str, Any]:
        """How many there were, and how late; they are told with that."""
        told = {"heartbeats": self.held_back, "late_by_most": round(self._latest, 3)}
        self.held_back, self._latest, self._told_at = 0, 0.0, now()
        return told


def say(event: str, /, **fields: Any) -> None:
    """Log a warning of a process whose workers have ended."""
    Log().write("warning", event, fields)


def _unexpected(record: TaskDecided) -> BaseException | None:
    """What a handler raised that it doesn't use to tell SWF how the task ends."""
    if not isinstance(record.outcome, Failed):
        return None
    told = isinstance(record.error, (ActivityFailed, ActivityCanceled, PayloadError))
    return None if told else record.error
