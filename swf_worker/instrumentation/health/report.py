"""What each path answers, made of what the processes say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any, Protocol

import msgspec

from ...errors import ServiceError
from ...status import Backlog
from ..metrics import COMBINED
from .snapshot import Family, ProcessSnapshot, WorkerSnapshot, combined, exposition

_TEXT = "text/plain; charset=utf-8"
_JSON = "application/json"
_OK, _UNAVAILABLE, _NOT_FOUND, _NOT_THERE = 200, 503, 404, 501


@dataclass(frozen=True, slots=True)
class Member:
    """One process of those behind a port."""

    name: str
    snapshot: ProcessSnapshot | None
    wedged: str | None = None
    """What is wrong with the process as a whole: it doesn't answer."""

    @property
    def all_wedged(self) -> list[str]:
        """That, or what stands still in it."""
        if self.wedged is not None or self.snapshot is None:
            return [self.wedged] if self.wedged is not None else []
        return [each for worker in self.snapshot.workers for each in worker.wedged]


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer."""

    status: int
    content_type: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Counted:
    """Metrics by process; ``missing`` says why there are none, where that is so."""

    parts: Sequence[tuple[str, Sequence[Family]]]
    missing: str | None = None


class Source(Protocol):
    """Whom a port tells of: this process, or those of a supervisor."""

    several: bool
    """``/status`` is a list, whatever their number is now."""

    def members(self, *, tasks: bool) -> Sequence[Member]:
        """The processes, as they are now, with or without their tasks."""

    def wedged(self) -> Sequence[str]:
        """What stands still that must not, a line each. It waits for nobody that may do so."""

    def counted(self) -> Counted:
        """All metrics, at one moment."""

    def backlog(self) -> Backlog:
        """How many tasks wait. It blocks; ServiceError."""


def answer(source: Source, path: str) -> Answer:
    """What ``path`` answers."""
    make = _PATHS.get(path)
    if make is None:
        known = " ".join(_PATHS)
        return Answer(_NOT_FOUND, _TEXT, f"not found; there are {known}\n".encode())
    return make(source)


def _livez(source: Source) -> Answer:
    return _verdict("wedged", source.wedged())


def _readyz(source: Source) -> Answer:
    """Of several processes one is enough: the others may just be starting again."""
    why = [(member.name, _not_ready(member)) for member in source.members(tasks=False)]
    if any(reason is None for _, reason in why):
        return _verdict("not ready", ())
    told = [f"{name}: {reason}" for name, reason in why]
    return _verdict("not ready", told or ["no worker process runs"])


def _not_ready(member: Member) -> str | None:
    if member.wedged is not None:
        return member.wedged
    if member.snapshot is None or not member.snapshot.workers:
        return "starting"
    reasons = [each.not_ready for each in member.snapshot.workers if each.not_ready is not None]
    return reasons[0] if reasons else None


def _verdict(bad: str, found: Sequence[str]) -> Answer:
    if not found:
        return Answer(_OK, _TEXT, b"ok\n")
    return Answer(_UNAVAILABLE, _TEXT, "".join(f"{bad}: {each}\n" for each in found).encode())


def _metrics(source: Source) -> Answer:
    counted = source.counted()
    if counted.missing is not None:
        return Answer(_NOT_THERE, _TEXT, f"{counted.missing}\n".encode())
    everything = combined(counted.parts, COMBINED)
    try:
        body, content_type = exposition(everything)
    except ImportError:
        body, content_type = b"", _TEXT
    return Answer(_OK, content_type, body)


def _status(source: Source) -> Answer:
    told: list[dict[str, Any]] = []
    for member in source.members(tasks=True):
        workers = member.snapshot.workers if member.snapshot is not None else []
        told += [_told(worker, member) for worker in workers]
        if not workers:
            told.append(_silent(member))
    if source.several or len(told) != 1:
        return _json({"workers": told})
    return _json(told[0])


def _told(worker: WorkerSnapshot, member: Member) -> dict[str, Any]:
    """Of a process that doesn't answer it is what it said last."""
    status = worker.status
    whole = [] if member.wedged is None else [member.wedged]
    not_ready = member.wedged or worker.not_ready
    return {
        "worker": status.worker,
        "slots": status.slots,
        "running": sorted(status.running, key=lambda task: -task.seconds),
        "recent": worker.recent,
        "ready": not_ready is None,
        "not_ready": not_ready,
        "wedged": [*whole, *worker.wedged],
        "process": member.name,
    }


def _silent(member: Member) -> dict[str, Any]:
    why = member.wedged or "starting"
    return {
        "worker": {"state": "wedged" if member.wedged else "starting"},
        "slots": {"max": 0, "used": 0, "open_polls": 0},
        "running": [],
        "recent": [],
        "ready": False,
        "not_ready": why,
        "wedged": [member.wedged] if member.wedged else [],
        "process": member.name,
    }


def _scale(source: Source) -> Answer:
    try:
        backlog = source.backlog()
    except (
        ServiceError
    ) as error:  # no number is better than a wrong one: a scaler keeps what it has
        return _json({"error": str(error)}, _UNAVAILABLE)
    awake = [member.snapshot for member in source.members(tasks=False) if member.wedged is None]
    workers = [worker for snapshot in awake if snapshot is not None for worker in snapshot.workers]
    return _json(
        {
            "backlog": backlog.count,
            "truncated": backlog.truncated,
            "busy": sum(worker.status.slots.used for worker in workers),
            "slots": sum(worker.status.slots.max for worker in workers),
        }
    )


def _page(source: Source) -> Answer:
    page = files(__package__).joinpath("page.html").read_bytes()
    policy = (
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
        "connect-src 'self'; img-src data:; base-uri 'none'; frame-ancestors 'none'"
    )
    return Answer(_OK, "text/html; charset=utf-8", page, (("Content-Security-Policy", policy),))


def _json(value: Any, status: int = _OK) -> Answer:
    return Answer(status, _JSON, msgspec.json.encode(value) + b"\n")


ASKS_SWF = "/scale"
"""The path whose answer may take as long as SWF's."""
ASK_AGAIN = _json({"error": "others wait for SWF's answer: ask again"}, _UNAVAILABLE)

_PATHS = {
    "/": _page,
    "/livez": _livez,
    "/readyz": _readyz,
    "/metrics": _metrics,
    "/status": _status,
    ASKS_SWF: _scale,
}
