"""How a process's workers are doing: in a line for a person, and whether they are alive."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from ..clock import now, wall
from ..core.lifecycle import Phase
from .notify.notifier import Standing
from .running_worker import RunningWorker

TURNS_WITHIN = 1.0
"""Seconds that a scheduler has to show that it turns."""


def standing_of(workers: Sequence[RunningWorker]) -> Standing:
    """Of workers that start and stop together."""
    driver = workers[0].driver
    counts = [worker.engine.counts() for worker in workers]
    polls, tasks = sum(each[0] for each in counts), sum(each[1] for each in counts)
    if driver.began_at is not None:
        error = next((str(worker.error) for worker in workers if worker.error), None)
        return Standing(
            _stopping(driver.state.phase, polls, tasks, driver.ends_by)
            + (f" ({error})" if error else ""),
            stopping=True,
            ends_by=driver.ends_by,
        )
    if not all(worker.engine.is_served() for worker in workers):
        return Standing("starting: SWF has not taken the polls yet")
    return Standing(f"running: {_counted(polls, tasks)}", ready=True)


def _stopping(phase: Phase, polls: int, tasks: int, ends_by: float | None) -> str:
    latest = "" if ends_by is None else f", until {clock_time(ends_by)} at the latest"
    match phase:
        case Phase.STOPPED:
            return f"ended: the process waits for what handlers left{latest}"
        case Phase.DRAINING:
            return f"draining: {_counted(polls, tasks)}{latest}"
    return f"stopping: handlers were asked to stop, {_counted(polls, tasks)}{latest}"


def _counted(polls: int, tasks: int) -> str:
    return f"{tasks} task{'s'[: tasks != 1]}, {polls} open poll{'s'[: polls != 1]}"


def clock_time(moment: float) -> str:
    """A moment of our clock, for a person."""
    return time.strftime("%H:%M:%S", time.localtime(wall() + moment - now()))


class SchedulersTurn:
    """Asks whether each worker's scheduler turns: heartbeats, retries and deadlines wait there.
    Whoever holds the GIL, or the scheduler, keeps it from answering."""

    def __init__(self, workers: Sequence[RunningWorker]) -> None:
        self._workers = workers
        self._asked: dict[int, threading.Event] = {}

    def __call__(self) -> bool:
        return self._have_ended() or self._turn() or self._have_ended()

    def _turn(self) -> bool:
        for number, worker in enumerate(self._workers):
            if number not in self._asked:
                turned = self._asked[number] = threading.Event()
                worker.engine.timers.call_later(0, turned.set)
        until = now() + TURNS_WITHIN
        for number, turned in list(self._asked.items()):
            if turned.wait(max(0.0, until - now())):
                del self._asked[number]
        return not self._asked

    def _have_ended(self) -> bool:
        """They have no schedulers any more, then."""
        return self._workers[0].driver.state.phase is Phase.STOPPED
