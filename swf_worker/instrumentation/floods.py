"""What goes wrong for one goes wrong for thousands, where the service or the machine is gone: the
first lines are told at once, of the others one now and then, with how many there were. Their lines
would hold the machine as well, and hide all else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..clock import now
from ..observations import (
    AnswerRetried,
    HandlerNotStarted,
    HandlerProcessDied,
    HeartbeatFailed,
    HeartbeatLate,
    LoopBlocked,
    LoopFreed,
    Observation,
    PollCut,
    PollFailed,
    StopAsked,
    TaskDecided,
)
from .lines import LINES, fields_of

EACH = 5.0
"""Seconds between two lines of a kind, when there are many."""
AT_ONCE: dict[type[Observation], int] = {
    HeartbeatLate: 1,
    PollFailed: 10,
    PollCut: 10,
    HeartbeatFailed: 10,
    AnswerRetried: 10,
    HandlerProcessDied: 10,
    HandlerNotStarted: 10,
    LoopBlocked: 10,
    LoopFreed: 10,
    StopAsked: 10,
    TaskDecided: 10,
}
"""Kinds of which there may be many, and how many lines of each are told at once. After ``EACH``
seconds in which none had to be held back, so many may be told again. (Of decisions, those that the
worker makes itself, at a stop, say: each task's end has a line of its own.)"""


@dataclass(slots=True)
class _Kind:
    """Records of one kind, as loud as each other."""

    left: int
    """So many lines are told at once yet."""
    told_at: float
    held_back: int = 0
    worst: Observation | None = None


class Floods:
    """Counts what is not told at once."""

    def __init__(self) -> None:
        self.held_back = 0
        """So many were counted, and are to be told."""
        self._kinds: dict[tuple[type[Observation], str], _Kind] = {}

    def tells_now(self, record: Observation, level: str) -> bool:
        """Whether this one has a line of its own; else it is counted."""
        if isinstance(record, TaskDecided) and record.error is not None:
            return True  # what a handler raised
        moment, most = now(), AT_ONCE[type(record)]
        kind = self._kinds.setdefault((type(record), level), _Kind(most, moment))
        if not kind.held_back and moment - kind.told_at >= EACH:
            kind.left = most
        if kind.left:
            kind.left, kind.told_at = kind.left - 1, moment
            return True
        kind.held_back += 1
        self.held_back += 1
        if kind.worst is None or _late_by(record) >= _late_by(kind.worst):
            kind.worst = record
        return False

    def due(self, *, at_last: bool) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """The level, the event and the fields of those that are to be told, and are told with
        that. The fields are the last one's, or those of the latest beat."""
        moment = now()
        for (type_, level), kind in self._kinds.items():
            if kind.worst is None or not (at_last or moment - kind.told_at >= EACH):
                continue
            fields = {"lines": kind.held_back, **fields_of(kind.worst)}
            self.held_back -= kind.held_back
            kind.held_back, kind.worst, kind.told_at = 0, None, moment
            yield level, f"more of: {LINES[type_].event}", fields


def _late_by(record: Observation) -> float:
    return record.late_by if isinstance(record, HeartbeatLate) else 0.0
