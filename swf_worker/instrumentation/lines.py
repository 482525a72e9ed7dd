"""What each kind of record is in the log: its level, its words, its fields."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

from ..core.messages import Disposition
from ..core.verdicts import closes_task, is_denied
from ..errors import (
    MalformedResponseError,
    ServiceError,
    UnknownResourceFault,
)
from ..log import identity_of
from ..observations import (
    AnswerRetried,
    CredentialsNotRefreshed,
    CredentialsRefreshed,
    DetailsShortened,
    DrainEnded,
    HandlerLeft,
    HandlerNotStarted,
    HandlerProcessDied,
    HandlerStarted,
    HandlerStuck,
    HealthServed,
    HeartbeatAccepted,
    HeartbeatFailed,
    HeartbeatIntervalGuessed,
    HeartbeatLate,
    InputUnclear,
    InternalError,
    JournalEntryExpired,
    JournalEntryLeft,
    JournalFailed,
    JournalPutAside,
    JournalRestored,
    JournalTakenUp,
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
from ..task import ActivityTask, ActivityType

# --- how loud it is: worse than its kind, or not -------------------------------------------------


def _level_of_credentials(record: CredentialsNotRefreshed) -> str | None:
    return "error" if record.ended else None


def _level_of_stop(record: WorkerStopped) -> str | None:
    return "error" if record.abandoned or record.error else None


def _level_of_decision(record: TaskDecided) -> str | None:
    return "warning" if isinstance(record.outcome, Failed) else None


def _level_of_end(record: TaskEnded) -> str | None:
    match record.disposition:
        case Disposition.REJECTED | Disposition.ABANDONED:
            return "error"
        case Disposition.LATE | Disposition.CLOSED | Disposition.PRESUMED_ACCEPTED:
            return "error" if record.error and _is_foreign_token(record.error) else "warning"
    return None


def _level_of_call(record: PollCut | HeartbeatFailed | AnswerRetried) -> str | None:
    """What somebody has to mend: no waiting will."""
    return "error" if is_denied(record.error) or _is_foreign_token(record.error) else None


def _level_of_poll(record: PollFailed) -> str | None:
    lost = record.task_may_be_lost and isinstance(record.error, MalformedResponseError)
    return "error" if lost or is_denied(record.error) or _is_foreign_token(record.error) else None


def _is_foreign_token(error: ServiceError) -> bool:
    """Not a closed task but no token of this service: of another region or account, perhaps."""
    return not isinstance(error, UnknownResourceFault) and closes_task(error)


@dataclass(frozen=True, slots=True)
class Line:
    """How records of one kind are told."""

    level: str
    event: str
    level_of: Callable[[Any], str | None] | None = None
    """The level of those that say something worse than their kind does."""


LINES: dict[type[Observation], Line] = {
    WorkerStarted: Line("info", "worker started"),
    HealthServed: Line("info", "health port open"),
    WorkerStopping: Line(
        "info",
        "worker stopping: no new polls, waiting for open polls (SWF may give one a task) and tasks",
    ),
    DrainEnded: Line(
        "warning",
        "the drain is over: handlers are asked to stop, open polls are still waited for",
    ),
    WorkerStopped: Line("info", "worker stopped", _level_of_stop),
    ProgramEnded: Line("error", "the program ends while its worker runs: call stop() before"),
    StopOverdue: Line("error", "the worker's end hangs: the process ends without it"),
    InternalError: Line("error", "an error that harmed no task"),
    CredentialsNotRefreshed: Line("warning", "credentials not refreshed", _level_of_credentials),
    CredentialsRefreshed: Line("info", "credentials refreshed"),
    PollSucceeded: Line("debug", "poll answered"),
    PollCut: Line("info", "poll cut at the length of a long poll: counts as empty", _level_of_call),
    PollFailed: Line("warning", "poll failed", _level_of_poll),
    TaskRepeated: Line("warning", "SWF delivered a task again; it does not run again"),
    TaskStarted: Line("debug", "task started"),
    HandlerStarted: Line("debug", "handler started"),
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
    HeartbeatFailed: Line("warning", "heartbeat failed", _level_of_call),
    HeartbeatIntervalGuessed: Line("warning", "heartbeat interval guessed; set heartbeat_timeout"),
    InputUnclear: Line(
        "warning", "an input that names this parameter could be meant in two ways; set input="
    ),
    DetailsShortened: Line("warning", "heartbeat details shortened"),
    TaskDecided: Line("debug", "handler ended", _level_of_decision),
    AnswerRetried: Line("warning", "answer not accepted yet", _level_of_call),
    TaskEnded: Line("info", "task ended", _level_of_end),
    JournalTakenUp: Line("info", "answers of an earlier run are sent"),
    JournalFailed: Line(
        "error", "the journal can't be written: answers go out without it, and none is touched"
    ),
    JournalRestored: Line("warning", "the journal can be written again"),
    JournalPutAside: Line("error", "the journal was corrupt, and is put aside: there is a new one"),
    JournalEntryLeft: Line(
        "warning", "an answer in the journal belongs to another SWF or domain: it is left there"
    ),
    JournalEntryExpired: Line("error", "an answer lay too long in the journal: it is dropped"),
    HandlerStuck: Line(
        "error", "handler is past its deadline and can't be killed; its beats stopped"
    ),
}
"""Every kind of record that becomes a line, and every level."""
ONLY_DEBUG = {PollSucceeded, TaskStarted, HandlerStarted, HeartbeatAccepted}
"""Those that are made often, and never are louder."""

_QUOTED = re.compile(r"Value '.*?' at '", re.DOTALL)
"""A ValidationException quotes what it was given: a result, or the task's token."""

# --- fields -------------------------------------------------------------------------------------


def fields_of(record: Observation) -> dict[str, Any]:
    """A record's values, as fields of a line."""
    told: dict[str, Any] = {}
    for name in _names[type(record)]:
        value = getattr(record, name)
        if isinstance(value, (str, int)):  # most are, and need no words
            told[name] = value
        elif isinstance(value, float):
            told[name] = round(value, 3)
        elif value is not None:
            told |= _told(value, name)
    return told


_names: dict[type[Observation], tuple[str, ...]] = {
    kind: tuple(each.name for each in fields(kind) if each.name != "at")  # a line has its own time
    for kind in LINES
}


def _told(value: Any, name: str) -> dict[str, Any]:
    match value:
        case ActivityTask():
            return identity_of(value)
        case Completed() | Canceled():  # what it says is the user's, and may be secret
            return {"outcome": type(value).__name__}
        case Failed():
            return {"outcome": "Failed", "reason": value.reason}
        case ActivityType():
            return {"activity_name": value.name, "activity_version": value.version}
        case BaseException():
            return {name: _said(value)}
        case tuple():
            return {name: ", ".join(_short(item) for item in value)} if value else {}
    return {name: value}


def _said(error: BaseException) -> str:
    text = str(error)
    if isinstance(error, ServiceError):
        text = _QUOTED.sub("Value '…' at '", text)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _short(item: Any) -> str:
    if isinstance(item, ActivityTask):
        return f"{item.activity_type} {item.activity_id} of {item.workflow_execution.workflow_id}"
    return str(item)
