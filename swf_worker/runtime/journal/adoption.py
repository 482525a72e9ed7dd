"""Takes up what dead workers have left in the journal, some at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from ...clock import wall
from ...journal_observations import (
    JournalEntryExpired,
    JournalEntryLeft,
    JournalFailed,
    JournalTakenUp,
)
from ...observations import InternalError
from ...observer import Observation
from .entries import Attempted, Entry, Place
from .file import JournalFile
from .owners import is_alive, sweep

AT_ONCE = 500
"""How many are read, and made a worker's own, in one transaction."""
_EARLIEST = 1_735_689_600.0
"""2025: before, there was no journal, and a clock that was not set says nothing of an age."""


class Adoption:
    """By one worker, once."""

    def __init__(
        self,
        path: Path,
        owner: str,
        place: Place,
        keep: float,
        take_up: Callable[[Entry], None],
        observe: Callable[[Observation], None],
    ) -> None:
        self.answers = 0
        """So many were found, until now."""
        self.has_all = False
        """There are no more;"""
        self.is_over = threading.Event()
        """and all are taken up."""
        self._path = path
        self._owner = owner
        self._here = (place.service, place.domain)
        self._keep = keep
        self._take_up = take_up
        self._observe = observe
        self.unsure: set[str] = set()
        """The tokens of those with which the file has failed: they may be the worker's own."""
        self.begin_anew()

    def begin_anew(self) -> None:
        """The file has failed. What was found before is the worker's own by now."""
        self._after = b""
        self._unreadable = 0
        self._alive: dict[str, bool] = {}

    def some(self, file: JournalFile) -> Sequence[Entry]:
        """The next of them, as the worker's own; what is too old is told and dropped. Raises what
        the file raises."""
        page = file.page(self._after, AT_ONCE)
        dead = sorted((e for e in page.entries if self._is_left(e)), key=lambda e: e.kept_at)
        ours = [each for each in dead if (each.place.service, each.place.domain) == self._here]
        moment = wall()
        found: list[Entry] = []
        expired: list[Entry] = []
        for each in ours:
            is_old = _EARLIEST < each.kept_at < moment - self._keep
            (expired if is_old else found).append(each)
        self.unsure.update(each.task.task_token for each in ours)
        mine, old = file.adopt(self._owner, found, expired) if ours else ([], [])
        self.unsure.clear()
        for each in dead:
            if (each.place.service, each.place.domain) != self._here:
                self._observe(JournalEntryLeft(each.task, each.place.service, each.place.domain))
        for each in old:
            self._observe(JournalEntryExpired(each.task, each.outcome, moment - each.kept_at))
        self._unreadable += page.unreadable
        self._after = page.last
        self.has_all = page.is_last
        return [replace(each, owner=self._owner, attempted=_known(each)) for each in mine]

    def take_up(self, found: Sequence[Entry]) -> None:
        """Have them sent."""
        self.answers += len(found)
        if found:
            self._observe(JournalTakenUp(str(self._path), len(found)))
        for each in found:
            try:
                self._take_up(each)
            except Exception as error:  # a bug of ours: the next start sends it
                self._observe(InternalError("the journal", error))
        if self.has_all:
            if self._unreadable:
                why = f"{self._unreadable} entries can't be read: they are left there"
                self._observe(JournalFailed(str(self._path), why))
            self.is_over.set()
            sweep(self._path)

    def _is_left(self, entry: Entry) -> bool:
        if entry.owner == self._owner:
            return entry.task.task_token in self.unsure
        if entry.owner not in self._alive:
            self._alive[entry.owner] = is_alive(self._path, entry.owner)
        return not self._alive[entry.owner]


def _known(entry: Entry) -> Attempted:
    """Of an answer that was another's: that one may have been sending it when it died."""
    sending = entry.attempted is Attempted.SENDING
    return Attempted.AMBIGUOUS if sending else entry.attempted
