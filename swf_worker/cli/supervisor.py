"""``swf-worker run --processes N``: N worker processes that stop together.

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
from ..errors import ConfigurationError, SwfWorkerError
from ..exit_codes import ExitCode
from ..instrumentation.health.server import HealthServer
from ..options import RetryPolicy
from ..runtime.notify.notifier import Notifier, Standing
from ..runtime.notify.service_manager import Manager
from ..runtime.process.interpreter import Imports, command
from ..runtime.standing import clock_time
from ..runtime.stopping.signals import ControlRequest, SignalInbox, signal_inbox
from ..service.retries import TenacityBackoff
from ..text import how_it_ended
from .channel import (
    ACCEPTED,
    CHANNEL,
    FATAL,
    HEALTH,
    HELD,
    LOADED,
    POLLING,
    SERVED,
    STATUS_LINE,
)
from .settings import UsageError
from .status_line import StatusLine
from .watch import Watch

MOST_PROCESSES = 1_000
STEADY = 60.0
"""Seconds after which a process that crashes is no repeated crash."""
MARGIN = 10.0
"""Seconds that a worker process may take longer than its own bound of a stop."""
LAST_STEP = 2.0
"""Seconds that the processes have after the third step, which ends them at once."""
_FATAL = (ExitCode.FATAL, ExitCode.USAGE)


@dataclass(slots=True)
class ProcessSlot:
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
    served: bool = False
    """SWF takes its polls."""


@dataclass(slots=True)
class Supervisor:
    """Keeps the processes running until they are stopped."""

    command: Sequence[str]
    slots: list[ProcessSlot]
    inbox: SignalInbox
    log: structlog.typing.FilteringBoundLogger
    watch: Watch
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
    health: HealthServer | None = None
    manager: Manager | None = None
    """Whoever started us, and wants to hear of it."""
    _selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)

    def run(self) -> int:
        """Until all have ended; returns the exit code."""
        self._selector.register(self.inbox, selectors.EVENT_READ)
        self.watch.start()
        notifier = None
        if self.manager is not None:
            alive = self.watch.is_alive
            notifier = Notifier(self.manager, self._standing, self._not_told, alive)
        try:
            self._start_due()
            while any(slot.process for slot in self.slots) or not self.steps:
                # That this loop turns is the sign of life.
                told = None if notifier is None else notifier.turn()
                self._listen(earliest(self._patience(), told))
                self._reap()
                self._kill_overdue()
                if not self.steps:
                    self._start_due()
        finally:
            self._kill_all()
            self._selector.close()
            self.watch.close()
            if self.health is not None:
                self.health.close()
        return self.code

    # --- processes ------------------------------------------------------------------------------

    def _start_due(self) -> None:
        moment = now()
        for slot in self.slots if self.loaded else self.slots[:1]:
            if slot.process is None and slot.due <= moment:
                self._start(slot)

    def _start(self, slot: ProcessSlot) -> None:
        slot.started, slot.polling, slot.served = now(), False, False
        ends: list[socket.socket] = []
        try:
            ends += socket.socketpair()
            ends += socket.socketpair()
        except OSError as error:
            for end in ends:
                end.close()
            self._not_started(slot, error)
            return
        ours, theirs, status, their_status = ends
        passed = {CHANNEL: str(theirs.fileno()), STATUS_LINE: str(their_status.fileno())}
        # A Ctrl-C while the child starts must not kill it.
        signal.pthread_sigmask(signal.SIG_BLOCK, HELD)
        try:
            slot.process = subprocess.Popen(  # noqa: S603 (our own interpreter)
                self.command,
                pass_fds=[int(descriptor) for descriptor in passed.values()],
                env=self.imports.environment() | passed,
            )
        except OSError as error:
            ours.close()
            status.close()
            self._not_started(slot, error)
            return
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD)
            theirs.close()
            their_status.close()
        self.watch.joined(slot.number, slot.process.pid, StatusLine(status))
        slot.channel, slot.said = ours, b""
        self._selector.register(ours, selectors.EVENT_READ, slot)
        self.log.info("worker process started", pid=slot.process.pid, process=slot.number)

    def _not_started(self, slot: ProcessSlot, error: OSError) -> None:
        wait = self._again(slot)
        self.log.error(
            "a worker process can't be started", error=str(error), in_seconds=round(wait, 1)
        )

    def _again(self, slot: ProcessSlot) -> float:
        moment = now()
        slot.crashes = slot.crashes + 1 if moment - slot.started < STEADY else 1
        wait = self.backoff.wait(slot.crashes)
        slot.due = moment + wait
        return wait

    def _reap(self) -> None:
        for slot in self.slots:
            if slot.process is None:
                continue
            code = slot.process.poll()
            if code is None:
                continue
            if slot.channel is not None:
                self._hear(slot)  # what it said last
            self._ended(slot, slot.process.pid, code)

    def _ended(self, slot: ProcessSlot, pid: int, code: int) -> None:
        slot.process = None
        self._close(slot)
        log = self.log.bind(pid=pid, process=slot.number, how=how_it_ended(code))
        crashed = code not in (ExitCode.DONE, ExitCode.ABANDONED)
        self.watch.left(slot.number, restarted=not self.steps)
        if code in _FATAL and not self.accepted:
            if self.code not in _FATAL:
                self.code = code
            if not self.steps:  # nobody asked for a second step
                self._request_stop()
            return
        if self.code == 0 and slot.polling and code != 0:
            self.code = ExitCode.ABANDONED  # of a crash: whatever it ran is left to SWF's timeouts
        if self.steps:
            if crashed and slot.polling:
                log.error("worker process crashed")
            else:
                log.info("worker process ended")
            return
        wait = round(self._again(slot), 1)
        if crashed:
            log.error("worker process crashed: another is started", in_seconds=wait)
        else:
            log.warning("worker process ended by itself: another is started", in_seconds=wait)

    def _close(self, slot: ProcessSlot) -> None:
        if slot.channel is not None:
            self._selector.unregister(slot.channel)
            slot.channel.close()
            slot.channel = None

    # --- requests and news ----------------------------------------------------------------------

    def _patience(self) -> float | None:
        moment = now()
        moments = [] if self.kill_at is None else [self.kill_at]
        if not self.steps:
            waiting = self.slots if self.loaded else self.slots[:1]
            moments += [slot.due for slot in waiting if slot.process is None]
        return max(0.0, min(moments) - moment) if moments else None

    def _listen(self, patience: float | None) -> None:
        for key, _ in self._selector.select(patience):
            if isinstance(key.data, ProcessSlot):
                self._hear(key.data)
                continue
            for request in self.inbox.take():
                if request is ControlRequest.REPORT:
                    self._tell_all(b"r")
                else:
                    self._request_stop()

    def _hear(self, slot: ProcessSlot) -> None:
        assert slot.channel is not None
        try:
            said = slot.channel.recv(4096, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError:
            said = b""
        if not said:
            self._close(slot)  # it is ending: SIGCHLD tells
            return
        *lines, slot.said = (slot.said + said).split(b"\n")
        for line in lines:
            word, _, rest = line.decode().partition(" ")
            if word == LOADED:
                self.loaded = True
                slot.longest_stop = float(rest)
            elif word == POLLING:
                slot.polling = True
            elif word == SERVED:
                slot.served = True
            elif word == ACCEPTED:
                self.accepted = True
            elif word == FATAL:
                self.fatal = self.fatal or rest
            elif word == HEALTH:
                port, _, host = rest.partition(" ")
                try:
                    self.open_health(host, int(port))
                except ConfigurationError as error:
                    self.fatal, self.code = str(error), _FATAL[0]
                    if not self.steps:
                        self._request_stop()

    def open_health(self, host: str, port: int) -> None:
        """Open the health port, once: where the command line wants it, or the workers' code.
        ConfigurationError where it can't be had."""
        if self.health is None and self.fatal is None:
            self.health = HealthServer(self.watch, host, port)
            self.log.info("health port open", url=self.health.url)

    def _request_stop(self) -> None:
        self.steps += 1
        running = [slot for slot in self.slots if slot.process is not None]
        longest = max((slot.longest_stop for slot in running), default=0.0)
        if self.steps == 1 and running:
            self.log.info(
                "stopping: waiting for worker processes", processes=len(running), at_most=longest
            )
            self.kill_at = now() + longest + MARGIN
            for slot in running:
                if not slot.polling and slot.process is not None:
                    slot.process.terminate()  # it only starts: it has nothing to finish
        elif self.steps == 3:
            self.kill_at = now() + LAST_STEP
        self._tell_all(b"s")

    def _tell_all(self, request: bytes) -> None:
        for slot in self.slots:
            if slot.channel is not None:
                with suppress(OSError):
                    slot.channel.send(request, socket.MSG_DONTWAIT)

    # --- the service manager --------------------------------------------------------------------

    def _standing(self) -> Standing:
        """Ready as soon as one process is: others that can't be started, say, are no reason to end
        what runs in that one."""
        running = [slot for slot in self.slots if slot.process is not None]
        many = f"{len(running)} of {len(self.slots)} worker processes"
        if self.steps:
            status = f"draining: {many} still run"
            if self.kill_at is not None:
                status += f", until {clock_time(self.kill_at)} at the latest"
            return Standing(status, stopping=True, ends_by=self.kill_at)
        served = sum(slot.served for slot in running)
        return Standing(f"running: {many}, SWF takes the polls of {served}", ready=served > 0)

    def _not_told(self, error: Exception, where: str) -> None:
        self.log.error("an error that harmed no task", where=where, error=str(error))

    # --- the hard end ---------------------------------------------------------------------------

    def _kill_overdue(self) -> None:
        if self.kill_at is None or now() < self.kill_at:
            return
        for slot in self.slots:
            if slot.process is not None:
                self.log.error("worker process did not end in time: killed", pid=slot.process.pid)
        self._kill_all()

    def _kill_all(self) -> None:
        for slot in self.slots:
            if slot.process is not None:
                slot.process.kill()
                slot.process.wait()
                slot.process = None
                self.watch.left(slot.number)
                if slot.polling:
                    self.code = self.code or ExitCode.ABANDONED
            self._close(slot)


def earliest(*waits: float | None) -> float | None:
    """The shortest wait; None where nothing is waited for."""
    return min((wait for wait in waits if wait is not None), default=None)


def supervise(
    arguments: Sequence[str],
    processes: int,
    health: tuple[str, int] | None,
    manager: Manager | None,
) -> int:
    """Run ``swf-worker`` with these arguments in so many processes, until they are stopped.
    ``health``: where the port is to be, if the command line says it. The ``manager`` that started
    us is told how it goes."""
    if not 1 <= processes <= MOST_PROCESSES:
        raise UsageError(f"--processes is {processes}: 1 to {MOST_PROCESSES:,} are allowed")
    log = structlog.get_logger("swf_worker")
    with signal_inbox(signal.SIGCHLD) as inbox:
        slots = [ProcessSlot(number) for number in range(1, processes + 1)]
        start = command("from swf_worker.cli.main import main; sys.exit(main())", *arguments)
        supervisor = Supervisor(start, slots, inbox, log, Watch(log), manager=manager)
        if health is not None:
            supervisor.open_health(*health)
        code = supervisor.run()
    if supervisor.fatal is not None and code in _FATAL:
        raise (
            UsageError(supervisor.fatal)
            if code == ExitCode.USAGE
            else SwfWorkerError(supervisor.fatal)
        )
    return code
