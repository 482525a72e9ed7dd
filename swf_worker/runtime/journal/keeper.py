"""Keeps one worker's answers: what is ready together is written together, and whatever goes wrong
with the file touches no task.

Whoever has an answer to send writes it itself, as a hand-over to another thread would take longer
than the disk. One thread beside those watches: when the disk hangs, it has another thread send.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from ...clock import now
from ...errors import ConfigurationError, ServiceError
from ...journal_observations import JournalFailed, JournalPutAside, JournalRestored
from ...observer import Observation
from ...outcome import Outcome
from ...task import ActivityTask
from ..threads.clock import StartThread
from .adoption import Adoption
from .book import Book, Changes
from .entries import Entry, Place
from .file import JournalFile, Sync
from .owners import Owner
from .path import real

PATIENCE = 2.0
"""Seconds of a transaction after which the disk is held to hang: answers go out without it."""
SLOW = 0.1
"""Seconds of a transaction after which the next one is left to the journal's own thread."""
AGAIN = 10.0
"""Seconds between two tries to open a journal that has failed."""
STARTING = 10.0
"""Seconds that the disk has to open it at the start."""
COMPANY, AT_LEAST = 0.02, 1.0
"""Seconds for which what nobody waits for waits for company in its transaction: after others were
written, and in any case."""
_Written = threading.Lock
"""Released when an answer is written: whoever sends it waits for that. (An Event would cost more
than all the rest.)"""
Instead = Callable[[threading.Thread], object]
"""Has another thread send the answer of one that hangs."""


class _Turn:
    """A thread's with the file: one has it at a time, until it ends or is taken from it."""

    __slots__ = ("began", "instead", "thread")

    def __init__(self, instead: Instead | None = None) -> None:
        self.began = now()
        self.instead = instead
        self.thread = threading.current_thread()


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
        self._book = Book(place)
        self._changed = threading.Condition()
        self._waiting: list[_Written] = []
        self._closed = False
        self._file: JournalFile | None = None
        """None where it has failed."""
        self._owner: Owner | None = None
        self._adoption: Adoption | None = None
        """What dead workers have left, and is not taken up yet."""
        self._turn: _Turn | None = None
        self._stuck = False
        """Whoever had the last turn has not come back from it."""
        self._sleeps = False
        """The journal's own thread has nothing to look after."""
        self._slow = False
        """The last transaction took long: the journal's own thread makes them, and whoever has an
        answer to send waits for it, and not for the disk."""
        self._try_at = 0.0
        self._thread: threading.Thread | None = None
        self._has_begun = threading.Event()
        self._why_not: Exception | None = None

    def open(self) -> None:
        """Before the first task. ConfigurationError where the path can't be used."""
        self._thread = self._start_thread("journal", self._run)
        if not self._has_begun.wait(STARTING):
            raise ConfigurationError(
                f"the journal {self.path} can't be used: its disk has not answered for "
                f"{STARTING:g} s. Name a file on another one"
            )
        if isinstance(self._why_not, ConfigurationError):
            raise self._why_not
        if self._why_not is not None:
            raise ConfigurationError(
                f"the journal {self.path} can't be used: {_worded(self._why_not)}. Name a file in "
                "a folder that this user may write to"
            )

    # --- a task's answer ------------------------------------------------------------------------

    def before_attempt(self, task: ActivityTask, outcome: Outcome, instead: Instead) -> bool:
        """An answer is about to be sent: it is in the file when this returns, or the file has
        failed. False when that took so long that ``instead`` was called: it is not to be sent."""
        with self._changed:
            if not self._book.sending(task, outcome) or self._file is None:
                return True
            if self._turn is None and not self._slow and self._sync == "process":
                turn = self._turn = _Turn(instead)
                if self._sleeps:  # it watches, and writes what nobody waits for
                    self._changed.notify()
            else:
                turn = None
                written = threading.Lock()
                written.acquire()
                self._waiting.append(written)
                self._changed.notify()
        if turn is not None:
            return self._write_all(turn)
        if not written.acquire(timeout=PATIENCE + SLOW) and not self._take_turn_away():
            self._observe(JournalFailed(str(self.path), f"nothing was written for {PATIENCE:g} s"))
        return True

    def after_attempt(self, task: ActivityTask, error: ServiceError) -> None:
        """It was not accepted yet."""
        with self._changed:
            self._book.missed(task, error)

    def drop(self, task: ActivityTask) -> None:
        """It is accepted, or can't be any more."""
        with self._changed:
            self._book.over(task)

    def _write_all(self, turn: _Turn) -> bool:
        """By a thread that has an answer to send. What others have ready meanwhile is its next
        transaction. Whether the answer is still its own."""
        goes_on = True
        while goes_on:
            with self._changed:
                turn.began = now()
                file, changes, waiting = self._taken()
            self._write(turn, file, changes)
            for each in waiting:
                each.release()
            with self._changed:
                goes_on = bool(self._waiting) and not self._slow
                is_lost = self._turn is not turn
                if not goes_on and not is_lost:
                    self._turn = None
                if self._waiting or self._closed:
                    self._changed.notify()
            if is_lost:
                self._came_back(file)
                return False
        return True

    def _taken(self) -> tuple[JournalFile | None, Changes, list[_Written]]:
        waiting, self._waiting = self._waiting, []
        return self._file, self._book.changes(), waiting

    # --- what an earlier run has left -----------------------------------------------------------

    def adopt(self, keep: float, take_up: Callable[[Entry], None], within: float) -> bool:
        """Have the answers of workers that have died taken up, for this SWF and domain; whether
        there were any. Those older than ``keep`` seconds are told and dropped. Once, before the
        first task; what takes longer than ``within`` seconds, or where the file fails, goes on
        beside the tasks."""
        assert self._owner is not None  # it was opened
        adoption = Adoption(self.path, self._owner.name, self._place, keep, take_up, self._observe)
        with self._changed:
            self._adoption = adoption
            self._changed.notify()
        adoption.is_over.wait(within)
        return bool(adoption.answers)

    def _found(self, adoption: Adoption, turn: _Turn) -> Sequence[Entry] | None:
        """Some of them; None where the file fails."""
        file = self._file
        if file is None:
            return None
        try:
            found = adoption.some(file)
        except Exception as error:
            adoption.begin_anew()
            self._fail(turn, error)
            return None
        with self._changed:
            self._book.found(found)
            if adoption.has_all:
                self._adoption = None
        return found

    # --- the thread -----------------------------------------------------------------------------

    def close(self) -> threading.Thread | None:
        """Write what waits, and end; what is not accepted stays for the next start."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        return self._thread if self._has_begun.is_set() else None  # it hangs

    def _run(self) -> None:
        try:
            self.path = real(self.path)  # SQLite puts its files beside that
            self._file = self._opened()
            self._owner = Owner(self.path)
            self._book.owner = self._owner.name
        except Exception as error:
            self._why_not = error
        self._has_begun.set()
        if self._why_not is not None:
            self._end(self._file)
            return
        while self._look_after():
            pass

    def _look_after(self) -> bool:
        """Do what is to be done, once there is something; whether it goes on."""
        turn = None
        with self._changed:
            if self._has_turn():
                turn = self._turn = _Turn()
                reopens = self._file is None and not self._stuck and now() >= self._try_at
                file, changes, waiting = self._taken()
                adoption = None if self._closed or file is None else self._adoption
                goes_on = not self._closed
        # Nothing that takes time happens under the lock: answers wait for it.
        if turn is None:
            self._take_turn_away()
            return True
        if reopens:
            self._reopen(turn)
        else:
            self._write(turn, file, changes)
        found = self._found(adoption, turn) if adoption is not None else None
        for each in waiting:
            each.release()
        with self._changed:
            is_lost = self._turn is not turn
            if not is_lost:
                self._turn = None
            if not goes_on:  # before anybody else has a turn
                last, self._file = self._file, None
        if is_lost:
            self._came_back(file)
        if adoption is not None and found is not None:
            adoption.take_up(found)
        if not goes_on:
            self._end(last)
        return goes_on

    def _has_turn(self) -> bool:
        """Wait until there is something to do, and nobody is at the file; False where somebody has
        been there for too long."""
        while not self._waiting and not self._closed and not self._adopts():
            patience = self._patience()
            self._sleeps = patience is None
            if (not self._changed.wait(patience) and self._is_due()) or self._hangs():
                break
        self._sleeps = False
        while self._turn is not None and not self._hangs():
            self._changed.wait(COMPANY)
        return self._turn is None

    def _hangs(self) -> bool:
        return self._turn is not None and now() - self._turn.began >= PATIENCE

    def _adopts(self) -> bool:
        return self._adoption is not None and self._file is not None

    def _patience(self) -> float | None:
        if self._stuck:
            return None
        if self._file is None:
            return max(0.0, self._try_at - now())
        if self._book.is_changed:
            return COMPANY
        return None if self._book.is_empty else AT_LEAST

    def _is_due(self) -> bool:
        return self._book.is_changed or self._file is None

    def _write(self, turn: _Turn, file: JournalFile | None, changes: Changes) -> None:
        if file is None or not changes:
            return
        try:
            assert self._owner is not None  # as there is a file
            if not file.is_in_place() or not self._owner.is_seen():
                raise OSError("it was deleted, or another file was put in its place")
            file.write(
                [each for each in changes.values() if each is not None],
                dropped=[token for token, each in changes.items() if each is None],
            )
        except Exception as error:  # also a bug of ours: answers go out without it
            self._fail(turn, error, again=0.0)  # once at once: it may just have been deleted
        self._slow = now() - turn.began > SLOW

    def _end(self, file: JournalFile | None) -> None:
        if file is not None:
            with suppress(sqlite3.Error):
                file.close()
        if self._owner is not None:
            if self._stuck:
                self._owner.forget()  # whoever starts next removes its file
            else:
                self._owner.close()

    # --- failures -------------------------------------------------------------------------------

    def _opened(self) -> JournalFile:
        return JournalFile.opened(self.path, self._sync, put_aside_as=self._is_put_aside)

    def _is_put_aside(self, aside: Path, why: str) -> None:
        self._observe(JournalPutAside(str(self.path), str(aside), why))

    def _fail(self, turn: _Turn, error: Exception, again: float | None = None) -> None:
        """From now on answers go out without it, until it can be opened anew."""
        with self._changed:
            if self._turn is not turn:
                return  # that is told, and the file given up
            file = self._give_up(AGAIN if again is None else again)
        if file is not None:
            with suppress(sqlite3.Error):
                file.close()
        self._observe(JournalFailed(str(self.path), _worded(error)))

    def _give_up(self, again: float) -> JournalFile | None:
        file, self._file = self._file, None
        self._try_at = now() + again
        self._book.lost()
        for each in self._waiting:
            each.release()
        self._waiting.clear()
        self._changed.notify()  # its thread opens it anew
        return file

    def _take_turn_away(self) -> bool:
        """Where the disk hangs, whoever hangs with it no longer has the file, nor an answer to
        send; whether that is so."""
        with self._changed:
            turn = self._turn
            if turn is None or not self._hangs():
                return False
            self._turn, self._stuck = None, True
            self._give_up(0.0)  # it is closed by whoever is in it
        self._observe(JournalFailed(str(self.path), "its disk hangs"))
        if turn.instead is not None:
            turn.instead(turn.thread)
        return True

    def _came_back(self, file: JournalFile | None) -> None:
        """From a turn that was taken away: it has the file still, and nobody else opens it before
        that is closed."""
        if file is not None:
            with suppress(sqlite3.Error):
                file.close()
        with self._changed:
            self._stuck = False
            self._try_at = now()
            self._changed.notify()

    def _reopen(self, turn: _Turn) -> None:
        """What should lie there is written anew."""
        assert self._owner is not None  # it was opened once
        file = None
        try:
            file = self._opened()
            if not self._owner.is_seen():
                self._owner.hold()
            with self._changed:
                entries = self._book.everything()
            spared = self._adoption.unsure if self._adoption is not None else ()
            file.replace(self._owner.name, entries.values(), spared)
        except Exception as error:
            if file is not None:
                file.close()
            self._fail(turn, error)
            return
        with self._changed:
            self._file = file
            self._book.restored(entries)
        self._observe(JournalRestored(str(self.path), len(entries)))


def _worded(error: Exception) -> str:
    return str(error) or type(error).__name__
