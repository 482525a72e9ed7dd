"""What the journal keeps of a task: whose it is, its answer, and what is known of its attempts."""

from __future__ import annotations

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


Row = tuple[str | bytes | int | float | None, ...]
COLUMNS = (
    *("token", "owner", "service", "domain", "task_list", "activity_id", "type_name"),
    *("type_version", "workflow_id", "run_id", "started_event_id", "kind", "reason", "payload"),
    *("attempted", "kept_at"),
)


def row_of(entry: Entry) -> Row:
    """As the file has it. Text as UTF-8 that passes lone surrogates, which SWF may have sent."""
    task, outcome, place = entry.task, entry.outcome, entry.place
    reason = outcome.reason if isinstance(outcome, Failed) else None
    payload = outcome.result if isinstance(outcome, Completed) else outcome.details
    execution, kind = task.workflow_execution, task.activity_type
    texts = (
        *(task.task_token, entry.owner, place.service, place.domain, place.task_list),
        *(task.activity_id, kind.name, kind.version, execution.workflow_id, execution.run_id),
    )
    outcome_is = type(outcome).__name__
    return (
        *(_packed(text) for text in texts),
        task.started_event_id,
        outcome_is,
        _packed(reason),
        _packed(payload),
        entry.attempted.value,
        entry.kept_at,
    )


def entry_of(row: Row) -> Entry:
    """Out of the file. ValueError for what is none."""
    texts = [_unpacked(each) for each in row[:10]]
    token, owner, service, domain, task_list, activity_id, name, version, workflow, run = texts
    started, outcome_is, reason, payload, attempted, kept_at = row[10:]
    if not isinstance(started, int) or not isinstance(kept_at, (int, float)):
        raise ValueError("no numbers")
    return Entry(
        ActivityTask(
            token,
            activity_id,
            ActivityType(name, version),
            WorkflowExecution(workflow, run),
            started,
            None,
        ),
        _outcome(outcome_is, reason, payload),
        Attempted(str(attempted)),
        Place(service, domain, task_list),
        float(kept_at),
        owner,
    )


def _outcome(kind: object, reason: object, payload: object) -> Outcome:
    text = None if payload is None else _unpacked(payload)
    match kind:
        case "Completed":
            return Completed(text)
        case "Canceled":
            return Canceled(text)
        case "Failed":
            return Failed(_unpacked(reason), text)
    raise ValueError(f"an outcome {kind!r}")


def _packed(text: str | None) -> bytes | None:
    return None if text is None else text.encode("utf-8", "surrogatepass")


def _unpacked(value: object) -> str:
    if not isinstance(value, bytes):
        raise ValueError("no text")
    return value.decode("utf-8", "surrogatepass")
