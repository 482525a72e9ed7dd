"""What the journal keeps of a task: whose it is, its answer, and what is known of its attempts."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum

from ...outcome import Canceled, Completed, Failed, Outcome
from ...task import ActivityTask, ActivityType, WorkflowExecution


class Attempted(StrEnum):
    """What may have become of an answer."""

    SENDING = "sending"
    """An attempt was about to begin: it may have been carried out."""
    WAITING = "waiting"
    """No attempt was carried out; the next one waits for its time."""
    AMBIGUOUS = "ambiguous"
    """Some attempt may have been carried out, whatever came of later ones."""


@dataclass(frozen=True, slots=True)
class Place:
    """The SWF that an answer belongs to. A token means nothing to any other."""

    service: str
    """Region and endpoint."""
    domain: str
    task_list: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A decided answer. (The input is not kept: nobody needs it any more.)"""

    task: ActivityTask
    outcome: Outcome
    attempted: Attempted
    place: Place
    kept_at: float
    """Seconds since 1970: it may be read after the machine was started anew."""
    owner: str = ""

    @property
    def may_be_accepted(self) -> bool:
        """Whether SWF may have accepted it already."""
        return self.attempted is not Attempted.WAITING


Row = tuple[bytes, str, str, float, str]
"""Token, owner, attempted, kept_at, and the rest as JSON."""


def key_of(token: str) -> bytes:
    """A token as the file has it."""
    return token.encode("utf-8", "surrogatepass")


def row_of(entry: Entry) -> Row:
    """As the file has it. (The JSON is ASCII: what SWF sent may hold lone surrogates.)"""
    task, outcome, place = entry.task, entry.outcome, entry.place
    execution, kind = task.workflow_execution, task.activity_type
    rest = [
        *(place.service, place.domain, place.task_list, task.activity_id, kind.name, kind.version),
        *(execution.workflow_id, execution.run_id, task.started_event_id, type(outcome).__name__),
        outcome.reason if isinstance(outcome, Failed) else None,
        outcome.result if isinstance(outcome, Completed) else outcome.details,
    ]
    kept = (entry.owner, entry.attempted.value, entry.kept_at, json.dumps(rest))
    return (key_of(task.task_token), *kept)


def entry_of(row: Row) -> Entry:
    """Out of the file. ValueError for what is none."""
    token, owner, attempted, kept_at, rest = row
    try:
        service, domain, task_list, activity_id, name, version, *more = json.loads(rest)
        workflow_id, run_id, started, kind, reason, payload = more
        task = ActivityTask(
            bytes(token).decode("utf-8", "surrogatepass"),
            activity_id,
            ActivityType(name, version),
            WorkflowExecution(workflow_id, run_id),
            started,
            None,
        )
        outcome = Failed(reason, payload) if kind == "Failed" else _WITH_TEXT[kind](payload)
        where = Place(service, domain, task_list)
        return Entry(task, outcome, Attempted(attempted), where, float(kept_at), owner)
    except (TypeError, KeyError) as error:
        raise ValueError(str(error)) from None


_WITH_TEXT: dict[str, type[Completed] | type[Canceled]] = {
    "Completed": Completed,
    "Canceled": Canceled,
}
