"""Files that a program leaves open: what the interpreter does with them where it ends by itself."""

from __future__ import annotations

import gc
import io
import os
import stat
import sys
from contextlib import suppress
from typing import Any

from .recorded import recorded

_LAST_STANDARD = 2


def flush() -> None:
    """Write what the standard streams hold."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(BaseException):
            stream.flush()
    for number in (1, 2):
        with suppress(BaseException):
            if (records := recorded(number)) is not None:
                records.finish()


def close_files() -> None:
    """Close the files that are still open, as the interpreter does where it ends by itself: what
    their buffers hold is written, and temporary ones are gone. The outer ones first, which have a
    trailer, say, to write into the inner ones."""
    temporary: Any = getattr(sys.modules.get("tempfile"), "_TemporaryFileWrapper", _NoFile)
    buffers = (io.BufferedWriter, io.BufferedRandom)
    order = (temporary, buffers, io.TextIOWrapper, _AnyFile)
    found: dict[Any, list[Any]] = {kinds: [] for kinds in order}
    with suppress(BaseException):
        for each in gc.get_objects():
            kind = type(each)  # not what it says that it is: that may be anybody's code
            if issubclass(kind, (_AnyFile, temporary)) and not issubclass(kind, io.FileIO):
                found[next(kinds for kinds in order if issubclass(kind, kinds))].append(each)
    for kinds in (io.TextIOWrapper, _AnyFile, buffers, temporary):
        for each in found[kinds]:
            with suppress(BaseException):
                if kinds is temporary or _is_a_programs(each.fileno()):
                    each.close()


_AnyFile: Any = io.IOBase.__base__
"""Without the ABC above it, which asks every class there is."""


class _NoFile:
    pass


def _is_a_programs(number: int) -> bool:
    """Whether it is a file that a program has opened."""
    return number > _LAST_STANDARD and stat.S_ISREG(os.fstat(number).st_mode)
