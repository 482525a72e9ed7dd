"""The log: each observation as one line (``swf_worker.log`` says where it goes)."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from ..clock import now
from ..core.messages import Disposition
from ..core.verdicts import closes_task, is_denied
from ..errors import (
    ActivityCanceled,
    ActivityFailed,
    PayloadError,
    ServiceError,
    UnknownResourceFault,
)
from ..log import LEVELS, Log, identity_of
from ..observations import (
    AnswerRetried,
    CredentialsNotRefreshed,
    CredentialsRefreshed,
    DetailsShortened,
    DrainEnded,
    HandlerLeft,
    HandlerLogged,
    HandlerNotStarted,
    HandlerProcessDied,
    HandlerRecorded,
    HandlerStuck,
    HeartbeatAccepted,
    HeartbeatFailed,
    HeartbeatIntervalGuessed,
    HeartbeatLate,
    InternalError,
    LoopBlocked,
    LoopFreed,
    Observation,
    PollCut,
    PollFailed,
    PollSucceeded,
    ProgramEnded,
    StopAsked,
    StopOverdue,
    TaskDecided,
    TaskEnded,
    TaskHeld,
    TaskRepeated,
    TaskReported,
    TaskStarted,
    ThreadReported,
    WorkerReported,
    WorkerStarted,
    WorkerStopped,
    WorkerStopping,
)
from ..outcome import Canceled, Completed, Failed
from ..runtime.children.records import pass_on
from ..task import ActivityTask, ActivityType

LATE_LINES_EACH = 5.0
"""Seconds between two lines about late heartbeats."""

_SAYS: dict[type[Observation], tuple[str, str]] = {
    WorkerStarted: ("info", "worker started"),
    WorkerStopping: ("info", "worker stopping: no new polls, waiting for open polls and tasks"),
    DrainEnded: (
        "warning",
        "the drain is over: handlers are asked to stop, open polls are still waited for",
    ),
    WorkerStopped: ("info", "worker stopped"),
    ProgramEnded: ("error", "the program ends while its worker runs: call stop() before"),
    StopOverdue: ("error", "the worker's end hangs: the process ends without it"),
    InternalError: ("error", "an error that harmed no task"),
    CredentialsNotRefreshed: ("warning", "credentials not refreshed"),
    CredentialsRefreshed: ("info", "credentials refreshed"),
    PollSucceeded: ("debug", "poll answered"),
    PollCut: ("info", "poll cut at the length of a long poll: counts as empty"),
    PollFailed: ("warning", "poll failed"),
    TaskRepeated: ("warning", "SWF delivered a task again; it does not run again"),
    TaskStarted: ("debug", "task started"),
    TaskHeld: ("debug", "task waits in its slot: as many of its type run as may"),
    HandlerProcessDied: ("error", "a handler process died"),
    HandlerNotStarted: ("error", "no handler process can be started: the task fails"),
    HandlerLeft: ("warning", "a handler left its process changed; on_process_start is the place"),
    LoopBlocked: ("error", "the event loop is blocked: no other async handler runs"),
    LoopFreed: ("warning", "the event loop turns again"),
    WorkerReported: ("error", "worker report"),  # no error: asked for, whatever the level
    TaskReported: ("error", "running task"),
    ThreadReported: ("error", "thread"),
    StopAsked: ("info", "handler asked to stop"),
    HeartbeatAccepted: ("debug", "heartbeat accepted"),
    HeartbeatLate: ("warning", "heartbeat was late: the GIL, the machine or the senders are held"),
    HeartbeatFailed: ("warning", "heartbeat failed"),
    HeartbeatIntervalGuessed: ("warning", "heartbeat interval guessed; set heartbeat_timeout"),
    DetailsShortened: ("warning", "heartbeat details shortened"),
    TaskDecided: ("debug", "handler ended"),
    AnswerRetried: ("warning", "answer not accepted yet"),
    TaskEnded: ("info", "task ended"),
    HandlerStuck: ("error", "handler is past its deadline and can't be killed; its beats stopped"),
}
_ONLY_DEBUG = {PollSucceeded, TaskStarted, HeartbeatAccepted}
"""Those whose level never depends on what they say."""
_LOUD_ENDS = {Disposition.REJECTED, Disposition.ABANDONED}
_UNUSUAL_ENDS = {Disposition.LATE, Disposition.CLOSED, Disposition.PRESUMED_ACCEPTED}


class LogObserver:
    """Writes observations to the log."""

    def __init__(self, **bound: str) -> None:
        self._log = Log(**bound)
        self._debug = True
        """Whether lines for debugging are wanted, when it was last asked."""
        self._late, self._latest = 0, 0.0
        """Late beats that were not told yet, and the latest of them."""
        self._late_told = float("-inf")

    def wants(self, kind: type[Observation]) -> bool:
        """Whether a record of this kind may become a line, at the level that the log has now."""
        if kind not in _ONLY_DEBUG:
            return True
        self._debug = self._log.is_enabled("debug")
        return self._debug

    def observe(self, record: Observation) -> None:
        """One observation, one event."""
        if not self._debug and isinstance(record, TaskDecided):
            if not isinstance(record.outcome, Failed):
                return
        elif isinstance(record, HandlerLogged):
            self._pass_on(record)
            return
        if isinstance(record, HandlerRecorded):
            pass_on(record.record, record.fields)
            return
        if self._late:
            self._tell_late(at_last=isinstance(record, WorkerStopped))
        level, event = _SAYS[type(record)]
        level = _level(record, level)
        if not self._log.is_enabled(level):
            return  # most records are for debugging: don't even collect their fields
        if isinstance(record, HeartbeatLate) and not self._is_told(record):
            return
        raised = _unexpected(record) if isinstance(record, TaskDecided) else None
        self._log.write(level, event, _fields(record), raised)

    def _is_told(self, record: HeartbeatLate) -> bool:
        """What makes one beat late makes thousands late: they are counted, or their lines would
        hold the machine as well."""
        moment = now()
        if moment - self._late_told < LATE_LINES_EACH:
            self._late, self._latest = self._late + 1, max(self._latest, record.late_by)
            return False
        self._late_told = moment
        return True

    def _tell_late(self, *, at_last: bool) -> None:
        moment = now()
        if at_last or moment - self._late_told >= LATE_LINES_EACH:
            told = {"heartbeats": self._late, "late_by_most": round(self._latest, 3)}
            self._log.write("warning", "more heartbeats were late", told)
            self._late, self._latest, self._late_told = 0, 0.0, moment

    def _pass_on(self, record: HandlerLogged) -> None:
        """What a handler process logged, as if it had been logged here."""
        level = record.level if record.level in LEVELS else "error"  # "exception" is one
        if self._log.is_enabled(level):
            self._log.write(level, record.event, record.fields)


def say(event: str, /, **fields: Any) -> None:
    """Log a warning of a process whose workers have ended."""
    Log().write("warning", event, fields)


def _unexpected(record: TaskDecided) -> BaseException | None:
    """What a handler raised that it doesn't use to tell SWF how the task ends."""
    if not isinstance(record.outcome, Failed):
        return None
    told = isinstance(record.error, (ActivityFailed, ActivityCanceled, PayloadError))
    return None if told else record.error


def _level(record: Observation, level: str) -> str:
    error = getattr(record, "error", None)
    if isinstance(record, CredentialsNotRefreshed):
        return "error" if record.ended else level
    if isinstance(record, TaskDecided):
        return "warning" if isinstance(record.outcome, Failed) else level
    if isinstance(record, TaskEnded):
        if record.disposition in _LOUD_ENDS or (record.error and _is_no_token(record.error)):
            return "error"
        return "warning" if record.disposition in _UNUSUAL_ENDS else level
    if isinstance(record, WorkerStopped) and (record.abandoned or record.error):
        return "error"
    if isinstance(error, ServiceError) and (is_denied(error) or _is_no_token(error)):
        return "error"
    if isinstance(record, PollFailed) and error is not None and error.ambiguous:
        return "error" if type(error).__name__ == "MalformedResponseError" else level
    return level


def _is_no_token(error: ServiceError) -> bool:
    """Not a closed task but no token of this service: of another region or account, perhaps."""
    return not isinstance(error, UnknownResourceFault) and closes_task(error)


def _fields(record: Observation) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for each in fields(record):
        value = getattr(record, each.name)
        if value is None:
            continue
        if isinstance(value, ActivityTask):
            told |= identity_of(value)
        elif isinstance(value, (Completed, Canceled, Failed)):
            told["outcome"] = type(value).__name__
            if isinstance(value, Failed):
                told["reason"] = value.reason
        elif isinstance(value, ActivityType):
            told["activity"] = str(value)
        elif isinstance(value, float):
            told[each.name] = round(value, 3)
        elif isinstance(value, BaseException):
            told[each.name] = _one_line(value)
        elif isinstance(value, tuple):
            told[each.name] = [_short(item) for item in value]
        else:
            told[each.name] = value
    return told


def _short(item: Any) -> str:
    if isinstance(item, ActivityTask):
        return f"{item.activity_type} {item.activity_id} of {item.workflow_execution.workflow_id}"
    return str(item)


def _one_line(error: BaseException) -> str:
    text = str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
