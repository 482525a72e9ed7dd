"""What happened to the journal, as frozen records (``swf_worker.observations`` has them, too)."""

from __future__ import annotations

from dataclasses import dataclass

from .observer import Observation
from .outcome import Outcome
from .task import ActivityTask


@dataclass(frozen=True, slots=True)
class JournalTakenUp(Observation):
    """At the start: so many ``answers`` of workers that have died are sent now."""

    path: str
    answers: int


@dataclass(frozen=True, slots=True)
class JournalFailed(Observation):
    """The journal can't be written. No task is touched: answers go out without it, and a worker
    that dies now may lose one."""

    path: str
    why: str


@dataclass(frozen=True, slots=True)
class JournalRestored(Observation):
    """It can be written again, and has the ``answers`` that are on their way."""

    path: str
    answers: int


@dataclass(frozen=True, slots=True)
class JournalPutAside(Observation):
    """The file was no journal any more. It lies under another name now, and there is a new one:
    answers that were in it are not sent."""

    path: str
    aside: str
    why: str


@dataclass(frozen=True, slots=True)
class JournalEntryLeft(Observation):
    """An answer of a worker that has died belongs to another SWF or domain: whoever is set up for
    that one sends it."""

    task: ActivityTask
    service: str
    domain: str


@dataclass(frozen=True, slots=True)
class JournalEntryExpired(Observation):
    """An answer lay there for ``seconds``, longer than ``journal_keep``: it is not sent."""

    task: ActivityTask
    outcome: Outcome
    seconds: float
