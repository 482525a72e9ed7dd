"""``swf-worker journal PATH``: what lies there, and its delivery without a worker."""

from __future__ import annotations

import argparse
import sqlite3
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from ..clock import wall
from ..core.messages import Disposition
from ..errors import ConfigurationError, SwfWorkerError
from ..exit_codes import ExitCode
from ..runtime.journal.entries import Entry
from ..runtime.journal.file import JournalFile
from ..runtime.journal.owners import Owner, is_alive
from ..runtime.journal.path import real
from ..runtime.process.streams import make_standard_streams_safe
from ..text import printable
from .delivery import Delivery
from .settings import UsageError

_DELIVERED = (Disposition.ACCEPTED, Disposition.PRESUMED_ACCEPTED)


def journal(given: argparse.Namespace) -> int:
    """List it; with ``--send`` and ``--drop``, do that with what no running worker owns."""
    make_standard_streams_safe()  # ids may have characters that a terminal's encoding lacks
    path = real(given.path)
    if given.send and given.drop is not None:
        raise UsageError("--send and --drop: one of them")
    with _opened(path) as file:
        found = [_Found(each, is_alive(path, each.owner)) for each in file.entries()]
        if given.drop is not None:
            return _drop(file, path, found, given.drop)
        if given.send:
            return _send(file, path, found, given)
    for each in found:
        print(each.line())
    if not found:
        print("nothing lies there", file=sys.stderr)
    return ExitCode.DONE


@dataclass(frozen=True, slots=True)
class _Found:
    entry: Entry
    alive: bool
    """Its worker runs, and will send it."""

    @property
    def name(self) -> str:
        return printable(self.entry.task.activity_id)

    @property
    def whole_name(self) -> str:
        return f"{printable(self.entry.task.workflow_execution.workflow_id)}/{self.name}"

    def line(self, said: str | None = None) -> str:
        """One line: no token, and no payload."""
        entry = self.entry
        kind = printable(str(entry.task.activity_type))
        outcome = type(entry.outcome).__name__
        state = "may be accepted" if entry.may_be_accepted else "not accepted"
        whose = "its worker runs" if self.alive else "its worker has ended"
        return "  ".join(
            (
                self.name,
                kind,
                outcome,
                _age(wall() - entry.kept_at),
                said or f"{state}, {whose}",
                f"of workflow {printable(entry.task.workflow_execution.workflow_id)}",
                f"run {printable(entry.task.workflow_execution.run_id)}",
            )
        )


def _age(seconds: float) -> str:
    for unit, each in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * each:
            return f"{seconds / each:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"


@contextmanager
def _opened(path: Path) -> Iterator[JournalFile]:
    try:
        if not path.exists():
            raise SwfWorkerError(f"there is no journal {path}")
        file = JournalFile.opened(path, new=False)
        try:
            yield file
        finally:
            file.close()
    except (sqlite3.Error, OSError) as error:
        raise ConfigurationError(f"the journal {path} can't be read: {error}") from None


def _drop(file: JournalFile, path: Path, found: Sequence[_Found], wanted: str) -> int:
    named = [each for each in found if wanted in (each.name, each.whole_name)]
    if not named:
        raise SwfWorkerError(f"no answer of an activity {wanted} lies in {path}")
    if len(named) > 1:
        names = ", ".join(each.whole_name for each in named)
        raise UsageError(f"--drop {wanted}: several lie there; name one of {names}")
    (each,) = named
    if each.alive:
        raise SwfWorkerError(
            f"the worker of {wanted} runs, and is sending it: stop that before you drop it"
        )
    file.write(dropped=[each.entry.task.task_token])
    print(each.line("dropped"))
    return ExitCode.DONE


def _send(file: JournalFile, path: Path, found: Sequence[_Found], given: argparse.Namespace) -> int:
    owner = Owner(path)
    code = ExitCode.DONE
    try:
        with Delivery(given.region, given.endpoint_url) as delivery:
            chosen = [e.entry for e in found if not e.alive and delivery.sends(e.entry)]
            mine, _ = file.adopt(owner.name, chosen)
            for each in found:
                if each.entry not in mine:
                    print(each.line())  # another's: of a worker that runs, or of another SWF
                    continue
                mine_now = replace(each.entry, owner=owner.name)
                how = delivery.send(mine_now, lambda entry: file.write([entry]))
                if how is not Disposition.ABANDONED:
                    file.write(dropped=[each.entry.task.task_token])
                print(each.line(str(how).replace("_", " ")), flush=True)
                if how not in _DELIVERED:
                    code = ExitCode.FATAL
    finally:
        owner.close()
    return code
