"""A supervisor's view of its worker processes: for its health port, and for its log, which names
those that are wedged."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog

from ..clock import now
from ..core.probes import WEDGED_AFTER
from ..errors import ServiceError
from ..instrumentation.health.report import Counted, Member
from ..instrumentation.health.snapshot import (
    Family,
    ProcessSnapshot,
    Sample,
    combined,
    counters_of,
)
from ..instrumentation.metrics import SUPERVISOR_METRICS
from ..runtime.threads.clock import start_daemon
from ..status import Backlog
from .status_line import Reply, StatusLine, What, asked

EVERY = 5.0
"""Seconds between two looks."""
PATIENCE = 0.8
"""Seconds that a round of questions takes at most: probes give up after one."""
BACKLOG_PATIENCE = 8.0
_ASKED_AGAIN = 0.1
_SILENT = 3.0
"""Seconds after which a process that doesn't answer is not waited for."""


@dataclass(slots=True)
class WatchedSlot:
    """One worker process."""

    number: int
    pid: int
    line: StatusLine
    heard_at: float = field(default_factory=now)
    snapshot: ProcessSnapshot | None = None
    """As it was told last."""
    with_tasks: ProcessSnapshot | None = None
    """The last one that had its tasks."""
    counted: Sequence[Family] = ()
    """Its metrics, as they were last told."""
    broken: str | None = None
    """Why it couldn't tell them: a collector of the program's own, say."""
    told_wedged: str | None = None

    def hear(self, reply: Reply) -> None:
        """It has answered: this question, or one before it."""
        self.heard_at = now()
        snapshot = reply.snapshot
        if snapshot is None:
            self.broken = reply.error if reply.error is not None else self.broken
            return
        self.snapshot = snapshot
        if snapshot.has_tasks:
            self.with_tasks = snapshot
        if snapshot.metrics is not None:
            self.counted, self.broken = snapshot.metrics, None

    @property
    def name(self) -> str:
        """For a reader."""
        return f"process {self.number} (pid {self.pid})"

    @property
    def told_now(self) -> Sequence[Family]:
        """Those of its metrics that still hold."""
        return self.counted if self.wedged is None else counters_of(self.counted)

    @property
    def wedged(self) -> str | None:
        """What is wrong with it as a whole."""
        silent = now() - self.heard_at
        return f"has not answered for {silent:.0f} s" if silent > WEDGED_AFTER else None

    def member(self, *, tasks: bool = False) -> Member:
        """As the port's answers have it."""
        return Member(self.name, self.with_tasks if tasks else self.snapshot, self.wedged)

    @property
    def all_wedged(self) -> str | None:
        """That, or what stands still in it."""
        return "; ".join(self.member().all_wedged) or None


class Watch:
    """A ``Source`` of all of them."""

    several = True

    def __init__(self, log: structlog.typing.FilteringBoundLogger) -> None:
        self._log = log
        self._slots: dict[int, WatchedSlot] = {}
        self._retired: list[Family] = []
        self._restarts = 0
        self._ended: list[StatusLine] = []
        self._lock = threading.Lock()
        self._asking = threading.Lock()
        """Of the lines: a question after the other."""
        self._closed = threading.Event()

    # --- what the supervisor tells --------------------------------------------------------------

    def start(self) -> None:
        """Look from now on."""
        start_daemon("watch", self._run)

    def joined(self, number: int, pid: int, line: StatusLine) -> None:
        """A process was started."""
        with self._lock:
            self._slots[number] = WatchedSlot(number, pid, line)

    def left(self, number: int, *, restarted: bool = False) -> None:
        """A process has ended. What it has counted stays counted."""
        with self._lock:
            slot = self._slots.pop(number, None)
            self._restarts += restarted
            if slot is not None:
                parts = [("", self._retired), ("", counters_of(slot.counted))]
                self._retired = combined(parts, {})
            if slot is not None:
                slot.line.end()
                self._ended.append(slot.line)
        if self._asking.acquire(blocking=False):  # else whoever asks closes it: don't wait for that
            try:
                self._close_ended()
            finally:
                self._asking.release()

    def _close_ended(self) -> None:
        while self._ended:
            self._ended.pop().close()

    def close(self) -> None:
        """Look no more."""
        self._closed.set()

    def is_alive(self) -> bool:
        """Whether any process is not wedged, or there is none. (To start all of them again for one
        would end what runs in the others.)"""
        with self._lock:
            return not self._slots or any(each.all_wedged is None for each in self._slots.values())

    # --- looks ----------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._closed.wait(EVERY):
            self.look("tasks")  # of a process that falls silent, this is what is known
            self.look("metrics")

    def look(self, what: What) -> list[WatchedSlot]:
        """Ask all; those that are silent keep what they said last."""
        with self._asking:
            with self._lock:
                slots = [self._slots[number] for number in sorted(self._slots)]
            awake = [each for each in slots if now() - each.heard_at < _SILENT]
            rest = [each for each in slots if each not in awake]
            for group, patience in ((awake, PATIENCE), (rest, 0.05)):
                lines = [slot.line for slot in group]
                for slot, reply in zip(group, asked(lines, what, now() + patience), strict=True):
                    if reply is None:
                        continue
                    slot.hear(reply)
            for slot in slots:
                self._tell(slot)
            self._close_ended()
        return slots

    def _tell(self, slot: WatchedSlot) -> None:
        """In the log, when it begins and when it ends."""
        wedged = slot.all_wedged
        log = self._log.bind(pid=slot.pid, process=slot.number)
        if wedged is not None and slot.told_wedged is None:
            log.error("worker process is wedged: SIGKILL it to have it replaced", why=wedged)
        elif wedged is None and slot.told_wedged is not None:
            log.warning("worker process goes on", was=slot.told_wedged)
        slot.told_wedged = wedged

    # --- a source -------------------------------------------------------------------------------

    def members(self, *, tasks: bool) -> Sequence[Member]:
        """The processes, as they are now."""
        return [slot.member(tasks=tasks) for slot in self.look("tasks" if tasks else "probe")]

    def wedged(self) -> Sequence[str]:
        """As the last look has it: one that is slow to answer must not have all of them started
        again. It asks again only before it says that something is wrong."""
        if found := self._wedged():
            self.look("probe")
            found = self._wedged()
        return found

    def _wedged(self) -> list[str]:
        with self._lock:
            members = [self._slots[number].member() for number in sorted(self._slots)]
        return [f"{member.name}: {each}" for member in members for each in member.all_wedged]

    def counted(self) -> Counted:
        """What all have counted, those that have ended as well: what was told last, so that nothing
        falls where a process is late. Of one that is wedged the gauges say nothing of now.
        RuntimeError where one can't tell its metrics."""
        slots = self.look("metrics")
        for slot in slots:
            if slot.broken is not None:  # no answer is better than one in which its numbers lack
                raise RuntimeError(f"{slot.name}: {slot.broken}")
        missing = [s.snapshot.no_metrics for s in slots if s.snapshot and s.snapshot.no_metrics]
        with self._lock:  # none ends in between, and counts twice or not at all
            living = list(self._slots.values())
            parts = [(str(slot.number), slot.told_now) for slot in living]
            parts += [("", self._retired), ("", self._own(living))]
        nothing = not any(slot.counted for slot in living)
        return Counted(parts, missing[0] if missing and nothing else None)

    def _own(self, slots: Sequence[WatchedSlot]) -> Sequence[Family]:
        """How many there are."""
        values = {
            "swf_worker_processes": len(slots),
            "swf_worker_processes_wedged": sum(slot.all_wedged is not None for slot in slots),
            "swf_worker_process_restarts_total": self._restarts,
        }
        return [
            Family(
                each.name.removesuffix("_total"),
                each.help,
                each.kind,
                [Sample(each.name, {}, float(values[each.name]))],
            )
            for each in SUPERVISOR_METRICS
        ]

    def backlog(self) -> Backlog:
        """How many tasks wait: the first process that knows."""
        why, until = "no worker process has told it", now() + BACKLOG_PATIENCE
        while now() < until and not self._closed.is_set():
            with self._asking:
                with self._lock:
                    awake = [s for s in self._slots.values() if now() - s.heard_at < _SILENT]
                replies = asked([slot.line for slot in awake], "backlog", now() + PATIENCE)
            for reply in filter(None, replies):
                if reply.backlog is not None:
                    return reply.backlog
            errors = [each.error for each in replies if each is not None and each.error is not None]
            if errors and len(errors) == len(replies):
                raise ServiceError("CountPendingActivityTasks", "", errors[0])
            self._closed.wait(_ASKED_AGAIN)  # it is counting; probes come in between
        raise ServiceError("CountPendingActivityTasks", "", why)
