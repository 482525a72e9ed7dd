"""The demo: a local SWF in this process, the worker in another, and what the histories say."""

from __future__ import annotations

import argparse
import itertools
import json
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from ...clock import now
from ...errors import ConfigurationError, SwfWorkerError
from ...exit_codes import ExitCode
from ...extras import missing
from ...outcome import Canceled, Completed, Failed
from ..dev import load_local_swf
from ..settings import UsageError
from .survival import show_survival

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from ...local import LocalActivity

CANDIDATES = ("asyncio", "email", "encodings", "unittest", "xml", "multiprocessing", "json")
_CANCEL_AFTER_FILES = 60
_LONGEST = 50.0


@dataclass
class Row:
    """One scheduled archive."""

    folder: Path
    archive: Path
    activity: LocalActivity
    cancel: bool = False
    outcome: Any = None
    seconds: float = 0.0
    asked: bool = False
    began: float = field(default_factory=now)

    @property
    def progress(self) -> dict[str, int]:
        """The last heartbeat's details."""
        details = self.activity.heartbeat_details
        return json.loads(details) if details else {}


def demo(given: argparse.Namespace) -> int:
    """Run it; 0 when everything ended as it should, 130 after Ctrl-C."""
    console = _console()
    interrupt = _Interrupt()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # leave nothing behind
        signal.signal(number, interrupt)
    into = _fresh_folder(given.into)
    try:
        code = _show(console, into, given.health_port)
        if interrupt.came:  # while something ran that lets no exception out
            raise KeyboardInterrupt
        return code
    except KeyboardInterrupt:
        shutil.rmtree(into, ignore_errors=True)
        console.print("interrupted: the worker has ended, and what it wrote is removed")
        return ExitCode.INTERRUPTED


class _Interrupt:
    """A handler of signals that end the demo."""

    def __init__(self) -> None:
        self.came = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        self.came = True
        raise KeyboardInterrupt


def _fresh_folder(wanted: str) -> Path:
    """A new folder: nobody's files are overwritten, and all of it may be removed again."""
    into = Path(wanted).resolve()
    for number in itertools.count(2):
        try:
            into.mkdir(parents=True)
            return into
        except FileExistsError:
            into = into.with_name(f"{Path(wanted).name}-{number}")
        except OSError as error:
            raise UsageError(f"--into {wanted}: {error.strerror}") from None
    raise AssertionError("unreachable")


def _console() -> Console:
    try:
        from rich.console import Console
    except ImportError:
        raise ConfigurationError(missing("the demo", "cli", "local")) from None
    return Console(highlight=False)


def _show(console: Console, into: Path, port: int | None) -> int:
    from .archiver import worker

    rows: list[Row] = []
    log = into / "worker.log"
    with load_local_swf()(poll_hold=1.0) as swf:
        console.print(f"local SWF listens at [bold]{swf.endpoint_url}[/] (no AWS account needed)")
        swf.register(worker)
        with _worker_process(swf.endpoint_url, log, port) as process:
            console.print(f"worker runs as process {process.pid}: swf-worker run {_TARGET}")
            began = now()
            for folder, cancel in _folders():
                archive = into / f"{folder.name}.tar.gz"
                request = {"folder": str(folder), "archive": str(archive)}
                activity = swf.schedule("Archive", "1.0", request)
                rows.append(Row(folder, archive, activity, cancel))
            _watch(console, rows, process, log)
        console.print(_table(rows))
        survived = show_survival(
            console,
            swf,
            into,
            rows[0].folder,
            lambda journal: _worker_process(swf.endpoint_url, log, port, journal),
        )
        console.print(_summary(rows, into, log, now() - began), soft_wrap=True)
    as_expected = survived and all(_as_expected(row) for row in rows)
    return ExitCode.DONE if as_expected else ExitCode.FATAL


_TARGET = "swf_worker.cli.demo.archiver:worker"


def _folders() -> list[tuple[Path, bool]]:
    library = Path(sysconfig.get_path("stdlib"))
    complete = [library / name for name in CANDIDATES if (library / name).is_dir()]
    return [
        *((folder, False) for folder in complete[:2]),
        (library, True),
        (library / "no-such-folder", False),
        *((folder, False) for folder in complete[2:]),
    ]


@contextmanager
def _worker_process(
    endpoint_url: str, log: Path, port: int | None, journal: Path | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "swf_worker", "run", _TARGET]
    command += ["--endpoint-url", endpoint_url, "--log-format", "console"]
    command += ["--health-port", str(port or 0)]
    command += ["--journal", str(journal)] if journal is not None else []
    with log.open("ab") as output:
        # A session of its own: a Ctrl-C in the terminal reaches the demo, which stops it.
        process = subprocess.Popen(  # noqa: S603 (our own interpreter and arguments)
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            yield process
        except BaseException:
            _stop(process, signal.SIGTERM, signal.SIGINT)  # two signals: don't wait for the tasks
            raise
        _stop(process, signal.SIGTERM)


def _stop(process: subprocess.Popen[bytes], *signals: int) -> None:
    for number in signals:
        with suppress(ProcessLookupError):
            process.send_signal(number)
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _watch(
    console: Console, rows: Sequence[Row], process: subprocess.Popen[bytes], log: Path
) -> None:
    from rich.live import Live

    until, page = now() + _LONGEST, None
    with Live(_table(rows), console=console, refresh_per_second=8, transient=True) as live:
        while any(row.outcome is None for row in rows):
            for row in rows:
                _look_at(row)
            live.update(_table(rows))
            if page is None and (page := _page(log)) is not None:
                live.console.print(f"watch it at [bold]{page}[/] while it runs")
            if process.poll() is not None:
                raise SwfWorkerError(
                    f"the worker ended with {process.returncode}; its log is {log}: {_tail(log)}"
                )
            if now() > until:
                raise SwfWorkerError(f"the demo took over {_LONGEST:g} s; the worker's log: {log}")


def _look_at(row: Row) -> None:
    if row.outcome is not None:
        return
    with suppress(TimeoutError):
        row.outcome = row.activity.outcome(timeout=0.02)
        row.seconds = now() - row.began
    if row.cancel and not row.asked and row.progress.get("files", 0) >= _CANCEL_AFTER_FILES:
        row.asked = True
        row.activity.request_cancel()


def _page(log: Path) -> str | None:
    """Where the worker's health port is, once it has said so."""
    found = re.search(r"health port open.*?(http://[\d.:]+)", log.read_text(errors="replace"))
    return found and found[1]


def _tail(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()
    return lines[-1] if lines else "(empty)"


# --- what is shown ------------------------------------------------------------------------------


def _table(rows: Sequence[Row]) -> Table:
    from rich.table import Table

    table = Table(title="Archive 1.0", title_justify="left")
    for column in ("folder", "outcome", "seconds", "beats", "what SWF's history says"):
        justify: Any = "right" if column in ("seconds", "beats") else "left"
        table.add_column(column, justify=justify, overflow="fold")
    for row in rows:
        seconds = row.seconds if row.outcome else now() - row.began
        table.add_row(
            row.folder.name,
            _outcome(row),
            f"{seconds:.1f}",
            str(row.activity.heartbeats),
            _events(row) if row.outcome else "",
        )
    return table


def _outcome(row: Row) -> str:
    match row.outcome:
        case None:
            progress = row.progress
            told = f"{progress['files']}/{progress['of']} files" if progress else "waiting"
            return f"[cyan]{told}{', cancel requested' if row.asked else ''}[/]"
        case Completed(result):
            done = json.loads(result or "{}")
            return f"[green]Completed[/] {done['files']} files, {done['size'] / 1024:,.0f} KiB"
        case Canceled(details):
            done = json.loads(details or "{}")
            return f"[yellow]Canceled[/] after {done.get('files_before_cancel')} files"
        case Failed(reason, _):
            return f"[red]Failed[/] {reason}"
        case other:
            return f"[red]{other}[/]"


def _events(row: Row) -> str:
    shown = [
        f"{event['eventId']} {event['eventType'].removeprefix('ActivityTask')}"
        for event in row.activity.history()
        if event["eventType"].startswith("ActivityTask")
    ]
    return " → ".join(shown)


def _summary(rows: Sequence[Row], into: Path, log: Path, seconds: float) -> str:
    canceled = [row for row in rows if isinstance(row.outcome, Canceled)]
    gone = all(not row.archive.exists() for row in canceled) and not list(into.glob("*.part"))
    removed = "its half-written file was removed" if gone else "its half-written file is LEFT"
    archives = sum(isinstance(row.outcome, Completed) for row in rows)
    return (
        f"{archives} archives are in [bold]{into}[/]; {len(canceled)} was canceled midway, and "
        f"{removed}.\nThe worker's log: {log}. All of it took {seconds:.1f} s."
    )


def _as_expected(row: Row) -> bool:
    if row.cancel:
        return isinstance(row.outcome, Canceled)
    if not row.folder.is_dir():
        return isinstance(row.outcome, Failed)
    return isinstance(row.outcome, Completed) and row.archive.exists()
