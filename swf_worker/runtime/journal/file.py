"""The journal's file: SQLite, for the eyes of its owner alone, with a schema of a version."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ...errors import ConfigurationError
from .entries import Entry, entry_of, key_of, row_of
from .path import APPLICATION, check, entered, left, opening, put_aside

VERSION = 1
BUSY = 1.0
"""Seconds for which another process's transaction is waited for."""
LOG_PAGES = 4_000
"""Of 4 KiB: how much is written before SQLite puts it in its place, which waits for the disk."""
_INDEX, _INDEX_AT_MOST = 32_768, 2**20
"""Bytes of the index of the log: at least, and more than it ever gets."""
_SCHEMA = """
CREATE TABLE entries (
    token BLOB PRIMARY KEY, owner TEXT NOT NULL, attempted TEXT NOT NULL, kept_at REAL NOT NULL,
    entry TEXT NOT NULL
) WITHOUT ROWID
"""
Sync = Literal["process", "full"]


class CorruptJournal(sqlite3.DatabaseError):
    """It is no journal, or no longer one."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some of the entries."""

    entries: list[Entry]
    unreadable: int
    """So many rows are no entries: they are left there."""
    last: bytes
    """The key of the last row."""
    is_last: bool


class JournalFile:
    """One connection. Not thread-safe. Its methods raise sqlite3.Error and OSError."""

    def __init__(
        self, path: Path, identity: tuple[int, int], connection: sqlite3.Connection
    ) -> None:
        self._name = str(path)
        self._identity = identity
        self._connection = connection
        self._closed = False
        self._log, self._index = f"{path}-wal", f"{path}-shm"
        self._size = 0

    @classmethod
    def opened(
        cls,
        path: Path,
        sync: Sync = "process",
        *,
        new: bool = True,
        put_aside_as: Callable[[Path, str], None] | None = None,
    ) -> JournalFile:
        """The file, made where it is missing (and ``new``). One that is corrupt is put aside, where
        ``put_aside_as`` wants to be told its new name and why; else CorruptJournal. sqlite3.Error
        and OSError for what else is wrong; ConfigurationError where what lies there never was a
        journal, where others may read it, or a later version has written it."""
        check(path)
        with opening(path):
            try:
                return cls._opened(path, sync, new=new)
            except CorruptJournal as error:
                if put_aside_as is None:
                    raise
                put_aside_as(put_aside(path), str(error))
                return cls._opened(path, sync, new=new)

    @classmethod
    def _opened(cls, path: Path, sync: Sync, *, new: bool) -> JournalFile:
        if new:
            with suppress(FileExistsError):
                os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))
        identity = entered(path)
        try:
            return cls(path, identity, _connected(path, sync))
        except BaseException:
            left(identity)
            raise

    def close(self) -> None:
        """Let it go."""
        if self._closed:
            return
        self._closed = True
        # SQLite has its index mapped: to look at what was cut off there would end this process.
        with suppress(OSError):
            if os.stat(self._index).st_size < _INDEX:
                os.truncate(self._index, _INDEX_AT_MOST)
        try:
            self._connection.close()
        finally:
            left(self._identity)

    def is_in_place(self) -> bool:
        """Whether its path still leads to it, and nothing was cut off: SQLite itself would go on
        writing into what is deleted, replaced or truncated, and nobody would find it there."""
        try:
            there, log, index = map(os.stat, (self._name, self._log, self._index))
        except OSError:
            return False
        if index.st_size < _INDEX:
            return False
        before, self._size = self._size, log.st_size
        if (there.st_dev, there.st_ino) != self._identity:
            return False
        return there.st_size > 0 and log.st_size >= before

    # --- entries --------------------------------------------------------------------------------

    def write(self, kept: Iterable[Entry] = (), dropped: Iterable[str] = ()) -> None:
        """All of it in one transaction."""
        with _Transaction(self._connection) as connection:
            for each in kept:
                connection.execute(_KEEP, row_of(each))
            for token in dropped:
                connection.execute(_DROP, (key_of(token),))

    def entries(self) -> list[Entry]:
        """All that lie there, the oldest first."""
        found = self.page(b"", -1).entries
        return sorted(found, key=lambda each: (each.kept_at, each.task.task_token))

    def page(self, after: bytes, most: int) -> Page:
        """Those with keys behind ``after``, and at most so many."""
        with _as_corrupt():
            rows = self._connection.execute(_SELECT, (after, most)).fetchall()
        found: list[Entry] = []
        for row in rows:
            with suppress(ValueError):
                found.append(entry_of(row))
        last = rows[-1][0] if rows else after
        return Page(found, len(rows) - len(found), last, len(rows) != most)

    def adopt(
        self, owner: str, entries: Sequence[Entry], expired: Sequence[Entry] = ()
    ) -> tuple[list[Entry], list[Entry]]:
        """Make those ``owner``'s that are still whose they were: somebody else may have been
        quicker. Those that have ``expired`` are dropped. Returns both, in one transaction."""
        with _Transaction(self._connection) as connection:
            mine = [each for each in entries if _adopted(connection, owner, each)]
            old = [each for each in expired if _adopted(connection, owner, each)]
            for each in old:
                connection.execute(_DROP, (key_of(each.task.task_token),))
        return mine, old

    def replace(self, owner: str, entries: Iterable[Entry], spared: Iterable[str] = ()) -> None:
        """All that ``owner`` has, and nothing else of it: what was dropped meanwhile is gone.
        Those of the ``spared`` tokens that are its own stay as they are."""
        keys = [key_of(token) for token in spared]
        with _Transaction(self._connection) as connection:
            mine = connection.execute("SELECT token FROM entries WHERE owner = ?", (owner,))
            gone = [row for row in mine.fetchall() if row[0] not in keys]
            connection.executemany(_DROP, gone)
            for each in entries:
                connection.execute(_KEEP, row_of(each))


class _Transaction:
    """Committed or undone. sqlite3.Error; CorruptJournal for what is none. (contextlib's generator
    would cost more than the work.)"""

    __slots__ = ("_connection",)

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __enter__(self) -> sqlite3.Connection:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
        except sqlite3.DatabaseError as error:
            raise _as_what_it_is(error) from error
        return self._connection

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        try:
            if error is None:
                self._connection.execute("COMMIT")
                return
        except sqlite3.DatabaseError as failed:
            error = failed
        with suppress(sqlite3.Error):
            self._connection.execute("ROLLBACK")
        if isinstance(error, sqlite3.DatabaseError):
            raise _as_what_it_is(error) from error


_KEEP = "INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?, ?)"
_DROP = "DELETE FROM entries WHERE token = ?"
_SELECT = (
    "SELECT token, owner, attempted, kept_at, entry FROM entries WHERE token > ? ORDER BY token "
    "LIMIT ?"
)


def _adopted(connection: sqlite3.Connection, owner: str, entry: Entry) -> bool:
    changed = connection.execute(
        # Whoever is dead may have been sending it: that is known of it from now on.
        "UPDATE entries SET owner = ?, attempted = replace(attempted, 'sending', 'ambiguous') "
        "WHERE token = ? AND owner = ?",
        (owner, key_of(entry.task.task_token), entry.owner),
    )
    return changed.rowcount == 1


def _connected(path: Path, sync: Sync) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=BUSY, isolation_level=None, check_same_thread=False)
    try:
        with _as_corrupt():
            connection.execute(f"PRAGMA synchronous={'FULL' if sync == 'full' else 'NORMAL'}")
            connection.execute("PRAGMA secure_delete=ON")  # SQLite's own default differs
            _prepare(connection, path)
            connection.execute(f"PRAGMA wal_autocheckpoint={LOG_PAGES}")
        return connection
    except BaseException:
        connection.close()
        raise


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    """Make it one, where it is empty, and see that it is sound. Whoever calls has the lock."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (number,) = connection.execute("PRAGMA application_id").fetchone()
    tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master")]
    if number != APPLICATION and tables not in ([], ["entries"]):
        raise ConfigurationError(
            f"the journal {path} is another program's SQLite file: choose another path"
        )
    if version > VERSION:
        raise ConfigurationError(
            f"the journal {path} was written by a later version of swf_worker (schema {version}, "
            f"this one knows {VERSION}): run that one until it is empty, or choose another path"
        )
    if number != APPLICATION:  # before all else: it may be known by that from now on
        connection.execute(f"PRAGMA application_id = {APPLICATION}")
    (mode,) = connection.execute("PRAGMA journal_mode=WAL").fetchone()
    if mode != "wal":
        raise ConfigurationError(
            f"the journal {path} can't be shared safely where it lies (SQLite's mode is {mode}): "
            "name a file on a disk of this machine"
        )
    if not tables:
        with _Transaction(connection):
            connection.execute(_SCHEMA)
            connection.execute(f"PRAGMA user_version = {VERSION}")
    (sound,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if sound != "ok":
        raise CorruptJournal(sound)
    connection.execute(_SELECT, (b"", 1)).fetchone()


@contextmanager
def _as_corrupt() -> Iterator[None]:
    try:
        yield
    except sqlite3.DatabaseError as error:
        raise _as_what_it_is(error) from error


def _as_what_it_is(error: sqlite3.DatabaseError) -> sqlite3.DatabaseError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    corrupt = code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) or "no such" in str(error)
    return CorruptJournal(str(error)) if corrupt else error
