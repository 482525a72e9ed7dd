"""The demo's last act: a worker is killed between its result and the answer, and the next one sends
that result."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from ...clock import now
from ...errors import SwfWorkerError

if TYPE_CHECKING:
    from rich.console import Console

    from ...local import LocalSwf

ANSWER = "RespondActivityTaskCompleted"
_LONGEST = 20.0
Start = Callable[[Path], AbstractContextManager["subprocess.Popen[bytes]"]]


def show_survival(console: Console, swf: LocalSwf, into: Path, folder: Path, start: Start) -> bool:
    """Whether the first worker's result is in SWF's history, and no handler ran twice."""
    from ...local import Completed, Fault, FaultKind

    archive = into / f"{folder.name}-survives.tar.gz"
    before = swf.calls.get(ANSWER, 0)
    swf.set_faults([Fault(ANSWER, FaultKind.UNAVAILABLE)])  # nobody takes the answer
    scheduled = swf.schedule("Archive", "1.0", {"folder": str(folder), "archive": str(archive)})
    journal = into / "journal.sqlite3"
    with start(journal) as first:
        until = now() + _LONGEST
        while swf.calls.get(ANSWER, 0) == before:
            if now() > until or first.poll() is not None:
                raise SwfWorkerError("the worker to be killed has sent no answer")
            time.sleep(0.05)
        first.send_signal(signal.SIGKILL)
        first.wait()
    written = archive.stat().st_mtime_ns
    swf.set_faults([])
    with start(journal) as second:
        outcome = scheduled.outcome(_LONGEST)
        survived = isinstance(outcome, Completed) and archive.stat().st_mtime_ns == written
        said = "Completed, with its result" if survived else f"[red]{outcome}[/]"
        console.print(
            f"process {first.pid} was killed (-9) after its handler, before its answer; "
            f"process {second.pid} found that in the journal: {said}",
            soft_wrap=True,
        )
    return survived
