"""``swf-worker run --processes N``: N worker processes, one stop ladder.

The supervisor runs no user code. It starts one process, the others when that one has loaded its
workers, and another for each that crashes; it passes each step of a stop on through a channel,
and waits for all. Should it be killed itself, the channels end, and the workers drain.
"""

from __future__ import annotations

import selectors
import signal
import socket
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import structlog

from ..clock import now
from ..core.lifecycle import LAST_ANSWERS, POLL_LIMIT
from ..errors import SwfWorkerError
from ..options import RetryPolicy
from ..runtime.interpreter import Imports, command
from ..runtime.running import ABANDONED
from ..runtime.signals import Order, SignalInbox, signal_inbox
from ..service.retries import TenacityBackoff
from ..text import how_it_ended
from .channel import ACCEPTED, CHANNEL, FATAL, HELD, LOADED, POLLING
from .settings import UsageError

MOST_PROCESSES = 1_000
STEADY = 60.0
"""Seconds after which a process that crashes is no repeated crash."""
MARGIN = 10.0
"""Seconds that a worker process may take longer than its own bound of a stop."""
LAST_STEP = 2.0
"""Seconds that the processes have after the third step, which ends them at once."""
_FATAL = (1, 2)


@dataclass(slots=True)
class Place:
    """Where one worker process runs, is waited for, or will be started again."""

    number: int
    process: subprocess.Popen[bytes] | None = None
    channel: socket.socket | None = None
    said: bytes = b""
    started: float = 0.0
    due: float = 0.0
    """When to start the next one."""
    crashes: int = 0
    longest_stop: float = POLL_LIMIT + LAST_ANSWERS
    polling: bool = False
    """It may have been given tasks."""


@dataclass(slots=True)
class Supervisor:
    """Keeps the processes running until they are stopped."""

    command: Sequence[str]
    places: list[Place]
    inbox: SignalInbox
    log: structlog.typing.FilteringBoundLogger
    imports: Imports = field(default_factory=Imports)
    backoff: TenacityBackoff = field(
        default_factory=lambda: TenacityBackoff(RetryPolicy(initial_wait=2.0))
    )
    steps: int = 0
    """How many steps of a stop were ordered."""
    kill_at: float | None = None
    code: int = 0
    fatal: str | None = None
    """What a process said that can't work as it is set up."""
    loaded: bool = False
    """A process has loaded its workers: the command line is right."""
    accepted: bool = False
    """The service has accepted a worker: a process that ends by itself has crashed."""
    _selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)

    def run(self) -> int:
        """Until all have ended; returns the exit code."""
        self._selector.register(self.inbox, selectors.EVENT_READ)
        try:
            self._start_due()
            while any(place.process for place in self.places) or not self.steps:
                self._listen(self._patience())
                self._reap()
                self._kill_overdue()
                if not self.steps:
                    self._start_due()
        finally:
            self._kill_all()
            self._selector.close()
        return self.code

    # --- processes ------------------------------------------------------------------------------

    def _start_due(self) -> None:
        moment = now()
        for place in self.places if self.loaded else self.places[:1]:
            if place.process is None and place.due <= moment:
                self._start(place)

    def _start(self, place: Place) -> None:
        place.started, place.polling = now(), False
        try:
            ours, theirs = socket.socketpair()
        except OSError as error:
            self._not_started(place, error)
            return
        # A Ctrl-C while the child starts must not kill it.
        signal.pthread_sigmask(signal.SIG_BLOCK, HELD)
        try:
            place.process = subprocess.Popen(  # noqa: S603 (our own interpreter)
                self.command,
                pass_fds=(theirs.fileno(),),
                env=self.imports.environment() | {CHANNEL: str(theirs.fileno())},
            )
        except OSError as error:
            ours.close()
            self._not_started(place, error)
            return
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD)
            theirs.close()
        place.channel, place.said = ours, b""
        self._selector.register(ours, selectors.EVENT_READ, place)
        self.log.info("worker process started", pid=place.process.pid, process=place.number)

    def _not_started(self, place: Place, error: OSError) -> None:
        wait = self._again(place)
        self.log.error(
            "a worker process can't be started", error=str(error), in_seconds=round(wait, 1)
        )

    def _again(self, place: Place) -> float:
        moment = now()
        place.crashes = place.crashes + 1 if moment - place.started < STEADY else 1
        wait = self.backoff.wait(place.crashes)
        place.due = moment + wait
        return wait

    def _reap(self) -> None:
        for place in self.places:
            if place.process is None:
                continue
            code = place.process.poll()
            if code is None:
                continue
            if place.channel is not None:
                self._hear(place)  # what it said last
            self._ended(place, place.process.pid, code)

    def _ended(self, place: Place, pid: int, code: int) -> None:
        place.process = None
        self._close(place)
        log = self.log.bind(pid=pid, process=place.number, how=how_it_ended(code))
        crashed = code not in (0, ABANDONED)
        if code in _FATAL and not self.accepted:
            if self.code not in _FATAL:
                self.code = code
            if not self.steps:  # nobody asked for a second step
                self._order_stop()
            return
        if self.code == 0 and place.polling and code != 0:
            self.code = ABANDONED  # of a crash: whatever it ran is left to SWF's timeouts
        if self.steps:
            if crashed and place.polling:
                log.error("worker process crashed")
            else:
                log.info("worker process ended")
            return
        wait = round(self._again(place), 1)
        if crashed:
            log.error("worker process crashed: another is started", in_seconds=wait)
        else:
            log.warning("worker process ended by itself: another is started", in_seconds=wait)

    def _close(self, place: Place) -> None:
        if place.channel is not None:
            self._selector.unregister(place.channel)
            place.channel.close()
            place.channel = None

    # --- orders and news ------------------------------------------------------------------------

    def _patience(self) -> float | None:
        moment = now()
        moments = [] if self.kill_at is None else [self.kill_at]
        if not self.steps:
            waiting = self.places if self.loaded else self.places[:1]
            moments += [place.due for place in waiting if place.process is None]
        return max(0.0, min(moments) - moment) if moments else None

    def _listen(self, patience: float | None) -> None:
        for key, _ in self._selector.select(patience):
            if isinstance(key.data, Place):
                self._hear(key.data)
                continue
            for order in self.inbox.take():
                if order is Order.REPORT:
                    self._tell_all(b"r")
                else:
                    self._order_stop()

    def _hear(self, place: Place) -> None:
        assert place.channel is not None
        try:
            said = place.channel.recv(4096, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError:
            said = b""
        if not said:
            self._close(place)  # it is ending: SIGCHLD tells
            return
        *lines, place.said = (place.said + said).split(b"\n")
        for line in lines:
            word, _, rest = line.decode().partition(" ")
            if word == LOADED:
                self.loaded = True
                place.longest_stop = float(rest)
            elif word == POLLING:
                place.polling = True
            elif word == ACCEPTED:
                self.accepted = True
            elif word == FATAL:
                self.fatal = self.fatal or rest

    def _order_stop(self) -> None:
        self.steps += 1
        running = [place for place in self.places if place.process is not None]
        longest = max((place.longest_stop for place in running), default=0.0)
        if self.steps == 1 and running:
            self.log.info(
                "stopping: waiting for worker processes", processes=len(running), at_most=longest
            )
            self.kill_at = now() + longest + MARGIN
            for place in running:
                if not place.polling and place.process is not None:
                    place.process.terminate()  # it only starts: it has nothing to finish
        elif self.steps == 3:
            self.kill_at = now() + LAST_STEP
        self._tell_all(b"s")

    def _tell_all(self, order: bytes) -> None:
        for place in self.places:
            if place.channel is not None:
                with suppress(OSError):
                    place.channel.send(order, socket.MSG_DONTWAIT)

    # --- the hard end ---------------------------------------------------------------------------

    def _kill_overdue(self) -> None:
        if self.kill_at is None or now() < self.kill_at:
            return
        for place in self.places:
            if place.process is not None:
                self.log.error("worker process did not end in time: killed", pid=place.process.pid)
        self._kill_all()

    def _kill_all(self) -> None:
        for place in self.places:
            if place.process is not None:
                place.process.kill()
                place.process.wait()
                place.process = None
                if place.polling:
                    self.code = self.code or ABANDONED
            self._close(place)


def supervise(arguments: Sequence[str], processes: int) -> int:
    """Run ``swf-worker`` with these arguments in so many processes, until they are stopped."""
    if not 1 <= processes <= MOST_PROCESSES:
        raise UsageError(f"--processes is {processes}: 1 to {MOST_PROCESSES:,} are allowed")
    log = structlog.get_logger("swf_worker")
    with signal_inbox(signal.SIGCHLD) as inbox:
        places = [Place(number) for number in range(1, processes + 1)]
        start = command("from swf_worker.cli.main import main; sys.exit(main())", *arguments)
        supervisor = Supervisor(start, places, inbox, log)
        code = supervisor.run()
    if supervisor.fatal is not None and code in _FATAL:
        raise UsageError(supervisor.fatal) if code == 2 else SwfWorkerError(supervisor.fatal)
    return code
