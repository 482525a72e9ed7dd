"""Keeps one worker's answers: what is ready together is written together, and whatever goes wrong
with the file touches no task."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from ...clock import now, wall
from ...errors import ConfigurationError, ServiceError
from ...journal_observations import (
    JournalEntryExpired,
    JournalEntryLeft,
    JournalFailed,
    JournalPutAside,
    JournalRestored,
    JournalTakenUp,
)
from ...observer import Observation
from ...options import Options
from ...outcome import Outcome
from ...service.api import SwfService
from ...task import ActivityTask
from ..threads.clock import StartThread
from .entries import Attempted, Entry, Place
from .file import JournalFile, Sync
from .owners import Owner, is_alive, sweep
from .path import real

PATIENCE = 2.0
"""Seconds for which an answer waits until it is written; then it goes out without."""
SLOW = 0.1
"""Seconds of a transaction after which the next one is left to the journal's own thread."""
AGAIN = 10.0
"""Seconds between two tries to open a journal that has failed."""
COMPANY, AT_LEAST = 0.02, 1.0
"""Seconds for which what nobody waits for waits for company in its transaction: after others were
written, and in any case."""
_WRONG = (sqlite3.Error, OSError, ConfigurationError)


_Written = threading.Lock
"""Released when an answer is written: whoever sends it waits for that. (An Event would cost more
than all the rest.)"""


class Journal:
    """One worker's. Its answers go in before they are sent, and out when they are accepted."""

    def __init__(
        self,
        path: Path,
        sync: Sync,
        place: Place,
        observe: Callable[[Observation], None],
        start_thread: StartThread,
    ) -> None:
        self.path = path
        self._sync: Sync = sync
        self._start_thread = start_thread
        self._place = place
        self._observe = observe
        self._live: dict[str, Entry] = {}
        """Those of this worker that are not accepted: what lies in the file, or should."""
        self._changed = threading.Condition()
        self._dirty: set[str] = set()
        """Tokens whose entry has changed since it was written."""
        self._waiting: list[_Written] = []
        self._closed = False
        self._file: JournalFile | None = None
        self._owner: Owner | None = None
        self._adopts_later: Callable[[JournalFile], bool] | None = None
        """What is still to be adopted, when the file can be opened."""
        self._writing = False
        """A thread writes: there is one at a time."""
        self._sleeps = False
        """The journal's own thread has nothing to look after."""
        self._slow = False
        """The last transaction took long: the journal's own thread makes them, and whoever has an
        answer to send waits for it, and not for the disk."""
        self._try_at = 0.0
        self._thread: threading.Thread | None = None

    def open(self) -> None:
        """Before the first task. ConfigurationError where the path can't be used."""
        path = self.path
        try:
            self._file = self._opened()
            self._owner = Owner(path)
        except ConfigurationError:
            raise
        except (sqlite3.Error, OSError) as error:
            raise ConfigurationError(
                f"the journal {path} can't be used: {_worded(error)}. Name a file in a folder that "
                "this user may write to"
            ) from None
        self._thread = self._start_thread("journal", self._run)

    # --- a task's answer ------------------------------------------------------------------------

    def before_attempt(self, task: ActivityTask, outcome: Outcome) -> None:
        """An answer is about to be sent: it is in the file when this returns, or the file has
        failed."""
        token = task.task_token
        with self._changed:
            entry = self._live.get(token)
            if entry is None or entry.outcome != outcome:
                # The input may be large, and nobody needs it any more.
                bare = replace(task, input=None)
                whose = self._owner.name if self._owner is not None else ""
                entry = Entry(bare, outcome, Attempted.SENDING, self._place, wall(), whose)
            elif entry.attempted is Attempted.WAITING:
                entry = replace(entry, attempted=Attempted.SENDING)
            else:
                return
            self._change(token, entry)
            if self._file is None:
                return
            writes_itself = not self._writing and not self._slow and self._sync == "process"
            if writes_itself:
                self._writing = True
                if self._sleeps:  # it writes what nobody waits for
                    self._changed.notify()
            else:
                written = threading.Lock()
                written.acquire()
                self._waiting.append(written)
                self._changed.notify()
        if writes_itself:
            self._write_all()
        elif not written.acquire(timeout=PATIENCE):
            self._failed_slowly()

    def after_attempt(self, task: ActivityTask, error: ServiceError) -> None:
        """It was not accepted yet."""
        with self._changed:
            entry = self._live.get(task.task_token)
            if entry is None or entry.attempted is Attempted.AMBIGUOUS:
                return
            how = Attempted.AMBIGUOUS if error.ambiguous else Attempted.WAITING
            self._change(task.task_token, replace(entry, attempted=how))

    def drop(self, task: ActivityTask) -> None:
        """It is accepted, or can't be any more."""
        with self._changed:
            if task.task_token in self._live:
                self._change(task.task_token, None)

    def _change(self, token: str, entry: Entry | None) -> None:
        if entry is None:
            del self._live[token]
        else:
            self._live[token] = entry
        self._dirty.add(token)

    def _write_all(self) -> None:
        """By a thread that has an answer to send: a hand-over would take longer than the disk. What
        others have ready meanwhile is its next transaction."""
        goes_on = True
        while goes_on:
            with self._changed:
                file, entries, waiting = self._taken()
            if file is not None and entries:
                self._write(file, entries)
            for each in waiting:
                each.release()
            with self._changed:
                goes_on = self._writing = bool(self._waiting) and not self._slow
                if self._waiting or self._closed:
                    self._changed.notify()

    def _taken(self) -> tuple[JournalFile | None, dict[str, Entry | None], list[_Written]]:
        dirty, self._dirty = self._dirty, set()
        waiting, self._waiting = self._waiting, []
        return self._file, {token: self._live.get(token) for token in dirty}, waiting

    # --- what an earlier run has left -----------------------------------------------------------

    def adopt(self, keep: float, take_up: Callable[[Entry], None]) -> bool:
        """Have the answers of workers that have died taken up, for this SWF and domain; whether
        there were any. Those older than ``keep`` seconds are told and dropped. Before the first
        task; where the file fails, when it can be opened again."""
        self._adopts_later = lambda file: self._adopt(file, keep, take_up)
        file = self._file
        if file is None:
            return False
        try:
            return self._adopt(file, keep, take_up)
        except _WRONG as error:
            self._fail(error)
            return False

    def _adopt(self, file: JournalFile, keep: float, take_up: Callable[[Entry], None]) -> bool:
        assert self._owner is not None  # it was opened once
        owners: dict[str, bool] = {}
        found: list[Entry] = []
        for entry in file.entries():
            if entry.owner not in owners:
                owners[entry.owner] = is_alive(self.path, entry.owner)
            if owners[entry.owner]:
                continue
            here = (entry.place.service, entry.place.domain)
            if here != (self._place.service, self._place.domain):
                self._observe(JournalEntryLeft(entry.task, *here))
            else:
                found.append(entry)
        if file.unreadable:
            why = f"{file.unreadable} entries can't be read: they are left there"
            self._observe(JournalFailed(str(self.path), why))
        expired = [each for each in found if wall() - each.kept_at > keep]
        found = [each for each in found if each not in expired]
        mine, old = file.adopt(self._owner.name, found, expired)
        self._adopts_later = None
        sweep(self.path)
        for each in old:
            self._observe(JournalEntryExpired(each.task, each.outcome, wall() - each.kept_at))
        taken = [replace(each, owner=self._owner.name, attempted=_known(each)) for each in mine]
        with self._changed:
            self._live.update({each.task.task_token: each for each in taken})
            self._changed.notify()
        if taken:
            self._observe(JournalTakenUp(str(self.path), len(taken)))
        for each in taken:
            take_up(each)
        return bool(taken)

    # --- the thread -----------------------------------------------------------------------------

    def close(self) -> threading.Thread | None:
        """Write what waits, and end; what is not accepted stays for the next start."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread is None:
            self._end()
        return self._thread

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._waiting and not self._closed:
                    patience = self._patience()
                    self._sleeps = patience is None
                    if not self._changed.wait(patience) and self._is_due():
                        break
                self._sleeps = False
                while self._writing:
                    self._changed.wait(COMPANY)
                self._writing = True
                reopens = self._file is None and now() >= self._try_at
                file, entries, waiting = self._taken()
                if reopens:
                    entries = dict(self._live)
                ends = self._closed
            # Nothing that takes time happens under the lock: answers wait for it.
            if reopens:
                self._reopen(entries)
            elif file is not None and entries:
                self._write(file, entries)
            for each in waiting:
                each.release()
            with self._changed:
                self._writing = False
            if ends:
                self._end()
                return

    def _patience(self) -> float | None:
        if self._file is None:
            return max(0.0, self._try_at - now())
        if self._dirty:
            return COMPANY
        return AT_LEAST if self._live else None

    def _is_due(self) -> bool:
        return bool(self._dirty) or self._file is None

    def _write(self, file: JournalFile, entries: dict[str, Entry | None]) -> None:
        began = now()
        try:
            if not file.is_in_place() or not self._owner_is_seen():
                raise OSError("it was deleted, or another file was put in its place")
            file.write(
                [each for each in entries.values() if each is not None],
                dropped=[token for token, each in entries.items() if each is None],
            )
        except Exception as error:  # also a bug of ours: answers go out without it
            self._fail(error, again=0.0)  # once at once: it may just have been deleted
        self._slow = now() - began > SLOW

    def _owner_is_seen(self) -> bool:
        return self._owner is None or self._owner.is_seen()

    def _end(self) -> None:
        with self._changed:
            file, self._file = self._file, None
        if file is not None:
            file.close()
        if self._owner is not None:
            self._owner.close()

    # --- failures -------------------------------------------------------------------------------

    def _opened(self) -> JournalFile:
        return JournalFile.opened(self.path, self._sync, put_aside_as=self._is_put_aside)

    def _is_put_aside(self, aside: Path, why: str) -> None:
        self._observe(JournalPutAside(str(self.path), str(aside), why))

    def _fail(self, error: Exception, again: float = AGAIN) -> None:
        """From now on answers go out without it, until it can be opened anew."""
        with self._changed:
            file, self._file = self._file, None
            self._try_at = now() + again
            waiting, self._waiting = self._waiting, []
            self._changed.notify()  # its thread opens it anew
        for each in waiting:
            each.release()
        if file is not None:
            with suppress(sqlite3.Error):
                file.close()
        self._observe(JournalFailed(str(self.path), _worded(error)))

    def _failed_slowly(self) -> None:
        self._observe(JournalFailed(str(self.path), f"nothing was written within {PATIENCE:g} s"))

    def _reopen(self, entries: dict[str, Entry | None]) -> None:
        """What should lie there is written anew. (What has changed meanwhile is written next.)"""
        file = None
        try:
            file = self._opened()
            if self._owner is not None:
                if not self._owner.is_seen():
                    self._owner.hold()
                kept = [each for each in entries.values() if each is not None]
                file.replace(self._owner.name, kept)
            if self._adopts_later is not None:
                self._adopts_later(file)
        except Exception as error:
            if file is not None:
                file.close()
            self._fail(error)
            return
        with self._changed:
            self._file = file
        self._observe(JournalRestored(str(self.path), len(entries)))


def _known(entry: Entry) -> Attempted:
    """Of an answer that was another's: that one may have been sending it when it died."""
    sending = entry.attempted is Attempted.SENDING
    return Attempted.AMBIGUOUS if sending else entry.attempted


def journal_of(
    options: Options,
    service: SwfService,
    observe: Callable[[Observation], None],
    start_thread: StartThread,
) -> Journal | None:
    """The journal of a worker with these options; None without one."""
    if options.journal is None:
        return None
    path = real(options.journal)
    place = Place(service.place, options.domain, options.task_list)
    return Journal(path, options.journal_sync, place, observe, start_thread)


def _worded(error: Exception) -> str:
    return str(error) or type(error).__name__
