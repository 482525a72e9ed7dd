"""Who an entry belongs to: a running worker, by a lock that dies with its process."""

from __future__ import annotations

import glob
import os
import uuid
import weakref
from contextlib import suppress
from fcntl import LOCK_EX, LOCK_NB, LOCK_SH, flock
from pathlib import Path


class Owner:
    """One running worker, until it is closed or its process ends."""

    def __init__(self, journal: Path) -> None:
        self.name = uuid.uuid4().hex
        self._path = _lock_of(journal, self.name)
        self._descriptor = -1
        self.hold()
        # A process that a handler forks has the lock as well, and may outlive this one.
        myself = weakref.ref(self)
        os.register_at_fork(after_in_child=lambda: _forget(myself()))

    def hold(self) -> None:
        """Make the file, and lock it. (It may have been deleted; and who asks between the two takes
        it for a dead worker's, and removes it.)"""
        while not self.is_seen():
            self.forget()
            self._descriptor = os.open(self._path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
            flock(self._descriptor, LOCK_EX)

    def is_seen(self) -> bool:
        """Whether others find its lock: without the file it looks dead to them."""
        try:
            return os.stat(self._path).st_ino == os.fstat(self._descriptor).st_ino
        except OSError:
            return False

    def close(self) -> None:
        """It owns nothing any more."""
        if self._descriptor >= 0:
            self.forget()
            with suppress(OSError):
                self._path.unlink()

    def forget(self) -> None:
        """Let go of the lock, where this process has it only because it was forked."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


def _forget(owner: Owner | None) -> None:
    if owner is not None:
        owner.forget()


def is_alive(journal: Path, owner: str) -> bool:
    """Whether it still runs."""
    path = _lock_of(journal, owner)
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    except OSError:
        return True  # nobody can tell: leave its entries alone
    try:
        flock(descriptor, LOCK_SH | LOCK_NB)  # shared: others may be asking as well
    except OSError:
        return True
    else:
        with suppress(OSError):
            path.unlink()
        return False
    finally:
        os.close(descriptor)


def sweep(journal: Path) -> None:
    """Remove what dead workers left beside the journal."""
    for path in journal.parent.glob(f"{glob.escape(journal.name)}.*.owner"):
        is_alive(journal, path.name.split(".")[-2])


def _lock_of(journal: Path, owner: str) -> Path:
    return journal.with_name(f"{journal.name}.{owner}.owner")
