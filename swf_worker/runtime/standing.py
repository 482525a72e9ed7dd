"""How a process's workers are doing: in a line for a person, and whether they are alive."""

from __future__ import annotations

import time
from collections.abc import Sequence

from ..clock import now, wall
from ..core.lifecycle import Phase
from .notify.notifier import Standing
from .running_worker import RunningWorker


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


def are_alive(workers: Sequence[RunningWorker]) -> bool:
    """Whether nothing of theirs stands still that must not: what the health port says, too."""
    return not any(worker.view.wedged() for worker in workers)
