"""A worker process under a supervisor: it does what is requested through the channel."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..core.lifecycle import longest_stop
from ..errors import SwfWorkerError
from ..exit_codes import ExitCode
from ..instrumentation.health.port import HealthPort, address_of
from ..instrumentation.health.watched import WatchedProcess
from ..observations import Observation, PollSucceeded, WorkerStopping
from ..runtime.notify.notifier import NotifyThread
from ..text import safe_str
from ..together import run_together
from ..worker import ActivityWorker
from .channel import ACCEPTED, FATAL, HEALTH, LOADED, SupervisorAsManager, tell
from .settings import UsageError
from .status_line import answer_questions

if TYPE_CHECKING:
    from .process import Process


class _FirstPolls:
    """Tells the supervisor when the service has accepted every worker of this process: from then on
    nothing is fatal any more."""

    def __init__(self, channel: socket.socket, workers: int) -> None:
        self._channel = channel
        self._missing = workers

    def of_one_worker(self) -> _FirstPoll:
        """An observer for one of them."""
        return _FirstPoll(self)

    def accepted(self) -> None:
        """One of them was."""
        self._missing -= 1
        if self._missing == 0:
            tell(self._channel, ACCEPTED)


class _FirstPoll:
    def __init__(self, polls: _FirstPolls) -> None:
        self._polls: _FirstPolls | None = polls

    def observe(self, record: Observation) -> None:
        if isinstance(record, WorkerStopping):
            self._polls = None  # what an open poll brings now tells nothing
        elif isinstance(record, PollSucceeded) and self._polls is not None:
            polls, self._polls = self._polls, None
            polls.accepted()


def run_supervised(process: Process, load: Callable[[], list[ActivityWorker]]) -> int:
    """Run workers, and stop them as is requested through the supervisor's channel."""
    channel = process.channel
    assert channel is not None
    try:
        watched = WatchedProcess()
        if process.status_line is not None:
            answer_questions(process.status_line, watched)
        workers = load()
        address = address_of([worker._options for worker in workers])
        if address is not None:
            tell(channel, f"{HEALTH} {address[1]} {address[0]}")
        polls = _FirstPolls(channel, len(workers))
        for worker in workers:
            worker.configure({"observers": [*worker.observers, polls.of_one_worker()]})
        bound = longest_stop((w.drain_timeout for w in workers), (w.cancel_grace for w in workers))
        tell(channel, f"{LOADED} {bound}")
        health = HealthPort(None, len(workers), watched)
        notify = NotifyThread(SupervisorAsManager(channel))
        return process.ended(run_together(workers, process.control, notify, health))
    except (UsageError, SwfWorkerError) as error:
        # The supervisor says it, once for all of us.
        tell(channel, f"{FATAL} {' '.join(safe_str(error).split())}")
        return ExitCode.USAGE if isinstance(error, UsageError) else ExitCode.FATAL
