"""The log: each observation as one line (``swf_worker.log`` says where it goes)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import singledispatch
from typing import Any

from ..clock import now
from ..core.messages import Disposition
from ..core.verdicts import closes_task, is_denied
from ..errors import (
    ActivityCanceled,
    ActivityFailed,
    MalformedResponseError,
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

# --- how loud -----------------------------------------------------------------------------------


def _of_credentials(record: CredentialsNotRefreshed) -> str | None:
    return "error" if record.ended else None


def _of_a_stop(record: WorkerStopped) -> str | None:
    return "error" if record.abandoned or record.error else None


def _of_a_decision(record: TaskDecided) -> str | None:
    return "warning" if isinstance(record.outcome, Failed) else None


def _of_an_end(record: TaskEnded) -> str | None:
    match record.disposition:
        case Disposition.REJECTED | Disposition.ABANDONED:
            return "error"
        case Disposition.LATE | Disposition.CLOSED | Disposition.PRESUMED_ACCEPTED:
            return "error" if record.error and _is_no_token(record.error) else "warning"
    return None


def _of_a_call(record: PollCut | HeartbeatFailed | AnswerRetried) -> str | None:
    """What somebody has to mend: no waiting will."""
    return "error" if is_denied(record.error) or _is_no_token(record.error) else None


def _of_a_poll(record: PollFailed) -> str | None:
    lost = record.task_may_be_lost and isinstance(record.error, MalformedResponseError)
    return "error" if lost or is_denied(record.error) or _is_no_token(record.error) else None


def _is_no_token(error: ServiceError) -> bool:
    """Not a closed task but no token of this service: of another region or account, perhaps."""
    return not isinstance(error, UnknownResourceFault) and closes_task(error)


@dataclass(frozen=True, slots=True)
class Line:
    """How records of one kind are told."""

    level: str
    event: str
    louder: Callable[[Any], str | None] | None = None
    """The level of those that say something worse than their kind does."""


LINES: dict[type[Observation], Line] = {
    WorkerStarted: Line("info", "worker started"),
    WorkerStopping: Line("info", "worker stopping: no new polls, waiting for open polls and tasks"),
    DrainEnded: Line(
        "warning",
        "the drain is over: handlers are asked to stop, open polls are still waited for",
    ),
    WorkerStopped: Line("info", "worker stopped", _of_a_stop),
    ProgramEnded: Line("error", "the program ends while its worker runs: call stop() before"),
    StopOverdue: Line("error", "the worker's end hangs: the process ends without it"),
    InternalError: Line("error", "an error that harmed no task"),
    CredentialsNotRefreshed: Line("warning", "credentials not refreshed", _of_credentials),
    CredentialsRefreshed: Line("info", "credentials refreshed"),
    PollSucceeded: Line("debug", "poll answered"),
    PollCut: Line("info", "poll cut at the length of a long poll: counts as empty", _of_a_call),
    PollFailed: Line("warning", "poll failed", _of_a_poll),
    TaskRepeated: Line("warning", "SWF delivered a task again; it does not run again"),
    TaskStarted: Line("debug", "task started"),
    TaskHeld: Line("debug", "task waits in its slot: as many of its type run as may"),
    HandlerProcessDied: Line("error", "a handler process died"),
    HandlerNotStarted: Line("error", "no handler process can be started: the task fails"),
    HandlerLeft: Line(
        "warning", "a handler left its process changed; on_process_start is the place"
    ),
    LoopBlocked: Line("error", "the event loop is blocked: no other async handler runs"),
    LoopFreed: Line("warning", "the event loop turns again"),
    # These three are no errors, but asked for, whatever the level is.
    WorkerReported: Line("error", "worker report"),
    TaskReported: Line("error", "running task"),
    ThreadReported: Line("error", "thread"),
    StopAsked: Line("info", "handler asked to stop"),
    HeartbeatAccepted: Line("debug", "heartbeat accepted"),
    HeartbeatLate: Line(
        "warning", "heartbeat was late: the GIL, the machine or the senders are held"
    ),
    HeartbeatFailed: Line("warning", "heartbeat failed", _of_a_call),
    HeartbeatIntervalGuessed: Line("warning", "heartbeat interval guessed; set heartbeat_timeout"),
    DetailsShortened: Line("warning", "heartbeat details shortened"),
    TaskDecided: Line("debug", "handler ended", _of_a_decision),
    AnswerRetried: Line("warning", "answer not accepted yet", _of_a_call),
    TaskEnded: Line("info", "task ended", _of_an_end),
    HandlerStuck: Line(
        "error", "handler is past its deadline and can't be killed; its beats stopped"
    ),
}
"""Every kind of record that becomes a line, and every level."""
_ONLY_DEBUG = {PollSucceeded, TaskStarted, HeartbeatAccepted}
"""Those that are made often, and never are louder."""

# --- the observer -------------------------------------------------------------------------------


class LogObserver:
    """Writes observations to the log."""

    def __init__(self, **bound: str) -> None:
        self._log = Log(**bound)
        self._debug = True
        """Whether lines for debugging are wanted, when it was last asked."""
        self._late_beats = LateBeats()

    def wants(self, kind: type[Observation]) -> bool:
        """Whether a record of this kind may become a line, at the level that the log has now."""
        if kind not in _ONLY_DEBUG:
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
            self._log.write("warning", "more heartbeats were late", late.told())
        line = LINES[type(record)]
        level = (line.louder and line.louder(record)) or line.level
        if level == "debug" and not self._debug:
            return  # most records are for debugging: don't even ask
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

    def told(self) -> dict[str, Any]:
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


# --- fields -------------------------------------------------------------------------------------


def fields_of(record: Observation) -> dict[str, Any]:
    """A record's values, as fields of a line."""
    told: dict[str, Any] = {}
    for each in fields(record):
        value = getattr(record, each.name)
        if isinstance(value, (str, int)):  # most are, and need no words
            told[each.name] = value
        elif value is not None:
            told |= _told(value, each.name)
    return told


@singledispatch
def _told(value: Any, name: str) -> dict[str, Any]:
    return {name: value}


@_told.register
def _(value: ActivityTask, name: str) -> dict[str, Any]:
    return identity_of(value)


@_told.register
def _(value: ActivityType, name: str) -> dict[str, Any]:
    return {"activity": str(value)}


@_told.register(Completed)
@_told.register(Canceled)
def _(value: Completed | Canceled, name: str) -> dict[str, Any]:
    return {"outcome": type(value).__name__}  # what it says is the user's, and may be secret


@_told.register
def _(value: Failed, name: str) -> dict[str, Any]:
    return {"outcome": "Failed", "reason": value.reason}


@_told.register
def _(value: float, name: str) -> dict[str, Any]:
    return {name: round(value, 3)}


@_told.register
def _(value: BaseException, name: str) -> dict[str, Any]:
    text = str(value)
    return {name: f"{type(value).__name__}: {text}" if text else type(value).__name__}


@_told.register
def _(value: tuple, name: str) -> dict[str, Any]:  # type: ignore[type-arg]  # as it is dispatched
    return {name: [_short(item) for item in value]}


def _short(item: Any) -> str:
    if isinstance(item, ActivityTask):
        return f"{item.activity_type} {item.activity_id} of {item.workflow_execution.workflow_id}"
    return str(item)
