"""What lies at a journal's path: whether it is or was one, who may read it, who opens it now.

Nothing here goes through SQLite, which would make files beside another program's database.
"""

from __future__ import annotations

import os
import stat
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from fcntl import LOCK_EX, LOCK_NB, LOCK_UN, flock
from pathlib import Path

from ...clock import now
from ...errors import ConfigurationError

APPLICATION = 0x5357464A
"""In the header of each journal ("SWFJ"): SQLite keeps a number there that says whose a file is."""
OPENING = 5.0
"""Seconds for which another process that opens it is waited for."""
_MAGIC = b"SQLite format 3\0"
_OUR_TABLE = b"CREATE TABLE entries (\n    token BLOB PRIMARY KEY"
_MARK = b"swf_worker journal, inode "
_KINDS = (
    (stat.S_ISDIR, "is a folder: name a file in it, or"),
    (stat.S_ISREG, ""),
    (lambda mode: True, "is no file (a device, a pipe or a socket):"),
)
_open_here: Counter[tuple[int, int]] = Counter()
"""Journals that this process has open. To open and close one of them once more would let go of the
locks that SQLite has on it."""
_looking = threading.Lock()


def real(path: str | os.PathLike[str]) -> Path:
    """Where it leads: SQLite puts its files beside that."""
    return Path(os.path.realpath(path))


def entered(path: Path) -> tuple[int, int]:
    """It is about to be opened here, until it is ``left``."""
    found = path.stat()
    identity = found.st_dev, found.st_ino
    with _looking:
        _open_here[identity] += 1
    return identity


def left(identity: tuple[int, int]) -> None:
    """The other end of ``entered``."""
    with _looking:
        _open_here[identity] -= 1


# --- whose it is --------------------------------------------------------------------------------


def check(path: Path) -> None:
    """ConfigurationError where something lies there that surely isn't a journal, and never was, or
    one that others may read. A damaged one passes: SQLite finds out."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return
    why = next(said for is_one, said in _KINDS if is_one(found.st_mode))
    with _looking:
        if not why and not _open_here[found.st_dev, found.st_ino]:
            why = _not_ours(path, found.st_ino)
    if why:
        raise ConfigurationError(f"the journal {path} {why} choose another path")
    _check_private(path)


def _not_ours(path: Path, inode: int) -> str:
    """Why it is none; empty where it is or was one, or is still empty."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        head = os.read(descriptor, 4096)
    finally:
        os.close(descriptor)
    if not head:
        return ""
    if head.startswith(_MAGIC) and len(head) > 105:
        (number,), (tables,) = struct.unpack(">I", head[68:72]), struct.unpack(">H", head[103:105])
        if number == APPLICATION or (not number and (_OUR_TABLE in head or not tables)):
            return ""
        if number or not _was_one(path, inode):
            return "is another program's SQLite file:"
    if _is_text(head):
        return "is no journal, but a text file:"
    return "" if _was_one(path, inode) else "is no journal, but a file of some other kind:"


def _is_text(head: bytes) -> bool:
    try:
        return "\0" not in head[:4000].decode()
    except UnicodeDecodeError as error:
        return error.reason == "unexpected end of data"


def _was_one(path: Path, inode: int) -> bool:
    """Whether a journal was opened there once, and this is still that file, whatever is in it."""
    with suppress(OSError):
        return _lock_of(path).read_bytes() == _mark(inode)
    return False


def _mark(inode: int) -> bytes:
    return _MARK + b"%d\n" % inode


def _check_private(path: Path) -> None:
    """It holds task tokens, which are credentials; and so does what lies beside it."""
    for more in ("", "-wal", "-shm"):
        with suppress(FileNotFoundError):
            _check_one(path.with_name(path.name + more))


def _check_one(path: Path) -> None:
    found = path.stat()
    if found.st_uid != os.geteuid():
        raise ConfigurationError(
            f"the journal {path} belongs to another user (uid {found.st_uid}): it holds task "
            "tokens, which are credentials"
        )
    if found.st_mode & 0o077:
        raise ConfigurationError(
            f"the journal {path} may be read by others (mode {stat.S_IMODE(found.st_mode):04o}), "
            f"and holds task tokens, which are credentials: chmod 600 {path}"
        )


# --- between processes --------------------------------------------------------------------------


@contextmanager
def opening(path: Path) -> Iterator[None]:
    """One process opens it, or puts it aside, at a time. Left without an error, the file that lies
    there is known as a journal."""
    lock = _lock_of(path)
    descriptor = os.open(lock, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        until = now() + OPENING
        while not _locked(descriptor):
            if now() > until:
                raise TimeoutError(f"another process has been opening it for {OPENING:g} s")
            time.sleep(0.01)  # flock has no wait with an end
        said = os.pread(descriptor, 100, 0)
        if not _MARK.startswith(said[: len(_MARK)]):
            raise ConfigurationError(
                f"the journal {path} needs the name {lock} for its lock, and another program's "
                "file has it: choose another path"
            )
        yield
        mark = _mark(path.stat().st_ino)
        if said != mark:
            os.ftruncate(descriptor, os.pwrite(descriptor, mark, 0))
    finally:
        with suppress(OSError):
            flock(descriptor, LOCK_UN)  # a process that was forked meanwhile has it as well
        os.close(descriptor)


def _lock_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.lock")


def _locked(descriptor: int) -> bool:
    try:
        flock(descriptor, LOCK_EX | LOCK_NB)
    except BlockingIOError:
        return False
    return True


def put_aside(path: Path) -> Path:
    """Give a corrupt one another name, for whoever can still read it; returns that."""
    when = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    for number in range(1, 1_000):
        aside = path.with_name(f"{path.name}.corrupt-{when}" + (f"-{number}" if number > 1 else ""))
        if not aside.exists():
            break
    path.rename(aside)
    for more in ("-wal", "-shm"):
        with suppress(OSError):
            path.with_name(path.name + more).rename(aside.with_name(aside.name + more))
    return aside
