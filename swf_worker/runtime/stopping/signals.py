"""What signals tell a process, from its first moment on.

They arrive through ``signal.set_wakeup_fd``: the interpreter's C handler writes their number into a
socket. A thread that waits for a lock or a queue can miss a signal that comes just before it
blocks, and would then sleep through a shutdown.
"""

from __future__ import annotations

import math
import select
import signal
import socket
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from enum import Enum
from types import FrameType
from typing import Protocol

from ...clock import now
from ..process.forks import at_fork

STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
REPORT = signal.SIGUSR1
SAME_SIGNAL = 1.0
"""The same signal again within so many seconds counts once: terminals and supervisors both
signal the whole process group. So does SIGHUP right behind another stop: systemd sends both."""
_END = 0


class ControlRequest(Enum):
    """What a running worker is told from outside."""

    STOP = "stop"
    """One step of the stop."""
    STOP_ONCE = "stop_once"
    """Begin to stop, unless it has begun."""
    REPORT = "report"
    """Log the running tasks and all stacks."""


class StoppedEarly(SystemExit):
    """A stop came before the first poll. It is raised in the main thread, whatever that does:
    users' modules are being imported, or ``on_start`` runs."""


class Inbox(Protocol):
    """Where requests arrive."""

    starting: bool
    """No poll was opened yet: the first stop raises StoppedEarly in the main thread."""

    @property
    def stopped(self) -> bool:
        """Whether a stop has come."""

    @property
    def early(self) -> bool:
        """Whether it came while the process was starting."""

    def __iter__(self) -> Iterator[ControlRequest]:
        """Requests as they come, until ``end`` is called."""

    def end(self) -> None:
        """End the iteration; from any thread."""

    def take_signals(self) -> None:
        """Take the signals again: the user's code that has run since may have taken them."""


class SignalInbox:
    """What signals of this process request."""

    def __init__(self, more: Iterable[signal.Signals] = (), *, starting: bool = False) -> None:
        self.ended = False
        self.starting = starting
        self.stopped = False
        self.early = False
        self._more = tuple(more)
        self._reader, self._writer = socket.socketpair()
        self._writer.setblocking(False)
        self._counted: dict[int, float] = {}
        self._stopped_at = -math.inf
        self._before: dict[signal.Signals, object] = {}
        self._wakeup = -1
        self._mask: set[int] | None = None

    # --- taking the signals, in the main thread -------------------------------------------------

    def take_signals(self) -> None:
        """Take SIGTERM and SIGINT (and be woken by ``more``); SIGHUP and SIGUSR1 where the program
        has no use of its own for them. One that is ignored from outside, by nohup, stays so."""
        taken = [*STOPS[:2], *self._more]
        taken += [number for number in (signal.SIGHUP, REPORT) if not _has_a_use(number)]
        for number in taken:
            before = signal.signal(number, self._noted)
            self._before.setdefault(number, before)
        wakeup = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        blocked = signal.pthread_sigmask(signal.SIG_UNBLOCK, taken)
        if self._mask is None:
            self._wakeup, self._mask = wakeup, set(blocked)
            at_fork(taken, self.give_back)

    def give_back(self) -> None:
        """Once; also in a process that was forked from this one."""
        if self._mask is None:
            return
        blocked, self._mask = self._mask, None
        signal.set_wakeup_fd(self._wakeup)
        for number, handler in self._before.items():
            if _is_ours(signal.getsignal(number)):
                signal.signal(number, signal.SIG_DFL if handler is None else handler)  # type: ignore[arg-type]
        signal.pthread_sigmask(signal.SIG_BLOCK, blocked)

    def close(self) -> None:
        """Give the signals and the sockets back."""
        self.give_back()
        self._reader.close()
        self._writer.close()

    def _noted(self, number: int, frame: FrameType | None) -> None:
        """Their handler: what they tell is read elsewhere. (Not SIG_IGN: programs that are started
        would inherit that.)"""
        if number in STOPS:
            self.stopped = True
            if self.starting and not self.early:
                self.early = True  # once: a second one would end the cleaning up
                raise StoppedEarly(0)

    # --- reading them ---------------------------------------------------------------------------

    def __iter__(self) -> Iterator[ControlRequest]:
        while not self.ended:
            yield from self.take()

    def waiting(self) -> list[ControlRequest]:
        """What has come already; never blocks."""
        return self.take() if select.select([self._reader], [], [], 0)[0] else []

    def take(self) -> list[ControlRequest]:
        """The next requests; blocks until there is something, which may be none."""
        taken = self._reader.recv(64)
        self.ended = self.ended or _END in taken
        if any(number in taken for number in STOPS if number != signal.SIGHUP):
            # They waited for a busy process together, and come in any order.
            taken = taken.replace(bytes([signal.SIGHUP]), b"")
        return [request for number in taken if (request := self._request(number)) is not None]

    def _request(self, number: int) -> ControlRequest | None:
        """The descriptor tells every signal that has a handler, the user's own, too."""
        if number not in (*STOPS, REPORT) or not _is_ours(signal.getsignal(number)):
            return None
        moment = now()
        before = self._counted.get(number, -math.inf)
        if number == signal.SIGHUP:
            before = max(before, self._stopped_at)
        if moment < before + SAME_SIGNAL:
            return None
        self._counted[number] = moment
        if number == REPORT:
            return ControlRequest.REPORT
        self._stopped_at = moment
        return ControlRequest.STOP

    def fileno(self) -> int:
        """Readable when ``take`` doesn't block."""
        return self._reader.fileno()

    def end(self) -> None:
        """End the iteration; from any thread."""
        with suppress(OSError):
            self._writer.send(bytes([_END]))


@contextmanager
def signal_inbox(*more: signal.Signals, starting: bool = False) -> Iterator[SignalInbox]:
    """The process's signals, until the end of the block. In the main thread only."""
    inbox = SignalInbox(more, starting=starting)
    try:
        inbox.take_signals()
        yield inbox
    finally:
        inbox.close()


def interrupt_main() -> None:
    """Have the main thread run its handler of SIGTERM: it may wait for something."""
    main = threading.main_thread().ident
    assert main is not None
    signal.pthread_kill(main, signal.SIGTERM)


def _is_ours(handler: object) -> bool:
    return getattr(handler, "__func__", None) is SignalInbox._noted


def _has_a_use(number: int) -> bool:
    """Whether the program handles this signal itself, in Python or below it (faulthandler)."""
    handler = signal.getsignal(number)
    if _is_ours(handler):
        return False
    return handler is not signal.SIG_DFL or _caught_below_python(number)


def _caught_below_python(number: int) -> bool:
    try:
        with open("/proc/self/status") as status:
            caught = next(line for line in status if line.startswith("SigCgt:"))
    except (OSError, StopIteration):  # not on this system
        return False
    return bool(int(caught.split()[1], 16) >> (number - 1) & 1)
