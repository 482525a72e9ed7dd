"""What should lie in the file, and what of it has changed since that was written. (No lock of its
own: it is its keeper's.)"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from ...clock import wall
from ...errors import ServiceError
from ...outcome import Outcome
from ...task import ActivityTask
from .entries import Attempted, Entry, Place

Changes = dict[str, Entry | None]
"""By token; None for what is no longer to lie there."""


class Book:
    """One worker's answers that are not accepted."""

    def __init__(self, place: Place) -> None:
        self.owner = ""
        self._place = place
        self._live: dict[str, Entry] = {}
        self._dirty: set[str] = set()
        self._is_kept = True
        """There is a file: without one everything is written when there is one again."""

    @property
    def is_empty(self) -> bool:
        """Nothing should lie there."""
        return not self._live

    @property
    def is_changed(self) -> bool:
        """Something is to be written."""
        return bool(self._dirty)

    def sending(self, task: ActivityTask, outcome: Outcome) -> bool:
        """An answer is about to be sent; whether that is to be written before."""
        token = task.task_token
        entry = self._live.get(token)
        if entry is None or entry.outcome != outcome:
            # The input may be large, and nobody needs it any more.
            bare = replace(task, input=None)
            entry = Entry(bare, outcome, Attempted.SENDING, self._place, wall(), self.owner)
        elif entry.attempted is Attempted.WAITING:
            entry = replace(entry, attempted=Attempted.SENDING)
        else:
            return False
        self._change(token, entry)
        return True

    def missed(self, task: ActivityTask, error: ServiceError) -> None:
        """It was not accepted yet."""
        entry = self._live.get(task.task_token)
        if entry is None or entry.attempted is Attempted.AMBIGUOUS:
            return
        how = Attempted.AMBIGUOUS if error.ambiguous else Attempted.WAITING
        self._change(task.task_token, replace(entry, attempted=how))

    def over(self, task: ActivityTask) -> None:
        """It is accepted, or can't be any more."""
        if task.task_token in self._live:
            self._change(task.task_token, None)

    def found(self, entries: Iterable[Entry]) -> None:
        """They lie there already."""
        self._live.update({each.task.task_token: each for each in entries})

    def _change(self, token: str, entry: Entry | None) -> None:
        if entry is None:
            del self._live[token]
        else:
            self._live[token] = entry
        if self._is_kept:
            self._dirty.add(token)

    def changes(self) -> Changes:
        """What is to be written; the caller does that."""
        dirty, self._dirty = self._dirty, set()
        return {token: self._live.get(token) for token in dirty}

    def lost(self) -> None:
        """The file has failed."""
        self._is_kept = False
        self._dirty.clear()

    def everything(self) -> dict[str, Entry]:
        """What is to be written anew."""
        return dict(self._live)

    def restored(self, written: Mapping[str, Entry]) -> None:
        """There is a file again, with what ``everything`` was then."""
        tokens = written.keys() | self._live.keys()
        self._dirty = {each for each in tokens if written.get(each) is not self._live.get(each)}
        self._is_kept = True
