"""What a service manager is told, and when."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from ...clock import now
from ..threads.clock import start_daemon
from .service_manager import Manager

EXTENSION = 60.0
"""Seconds of a stop that are asked for at a time: who stands still for longer may be ended."""
EXTENDED_EACH = 15.0
AGAIN = 1.0
"""Seconds until what is not alive is asked again."""
LOOK_STARTING, LOOK_STOPPING, LOOK = 0.25, 1.0, 10.0
"""Seconds between two looks at how the process is doing."""


class OnError(Protocol):
    """Told once of each thing that is broken, the manager's socket say."""

    def __call__(self, error: Exception, where: str, /) -> object: ...


@dataclass(frozen=True, slots=True)
class Standing:
    """How the process is doing."""

    status: str
    """For a person, in a line."""
    ready: bool = False
    """SWF takes its polls."""
    stopping: bool = False
    ends_by: float | None = None
    """When a stop is over at the latest, by our clock."""


@dataclass(slots=True)
class Notifier:
    """Tells a manager how the process is doing. It has no thread: whoever has one calls ``turn``,
    again and again.

    ``alive`` says whether the process does its work. While it doesn't, nothing is told that would
    have the manager wait for it: no WATCHDOG, no EXTEND_TIMEOUT_USEC.
    """

    manager: Manager
    look: Callable[[], Standing]
    on_error: OnError
    alive: Callable[[], bool] = lambda: True
    _ready: bool = False
    _stopping: bool = False
    _status: str = ""
    _sign_due: float = 0.0
    """When the next sign of life is due."""
    _said: set[str] = field(default_factory=set)
    _telling: threading.Lock = field(default_factory=threading.Lock)

    def turn(self) -> float:
        """Tell what is new or due; returns the seconds until the next turn, at most."""
        standing = self.tell_news()
        each = self._signs_each(standing)
        if each is not None and now() >= self._sign_due:
            signed = self._is_alive() and self._tell(self._signs(standing))
            self._sign_due = now() + (each if signed else min(AGAIN, each))
        wait = LOOK_STOPPING if standing.stopping else LOOK if self._ready else LOOK_STARTING
        return wait if each is None else max(0.0, min(wait, self._sign_due - now()))

    def tell_news(self) -> Standing:
        """Tell what is new, at once; from any thread."""
        with self._telling:
            try:
                standing = self.look()
            except Exception as error:  # a word for a person isn't worth a sign of life
                self._broken("the status for the service manager", error)
                standing = Standing(self._status, self._ready, self._stopping)
            self._tell_new(standing)
            return standing

    def _tell_new(self, standing: Standing) -> None:
        news = {}
        if standing.stopping and not self._stopping:
            news["STOPPING"] = "1"
        elif standing.ready and not self._ready and not standing.stopping:
            news["READY"] = "1"
        if standing.status != self._status:
            news["STATUS"] = standing.status
        if not news or not self._tell(news):
            return  # it is told at a later turn
        self._status = standing.status
        self._ready = self._ready or "READY" in news
        if "STOPPING" in news:
            self._stopping, self._sign_due = True, 0.0

    def _signs_each(self, standing: Standing) -> float | None:
        """Seconds between two signs of life; None where nobody waits for any."""
        watchdog = self.manager.watchdog
        each = [] if watchdog is None else [watchdog / 2]
        if standing.ends_by is not None:
            each.append(EXTENDED_EACH)
        return min(each, default=None)

    def _signs(self, standing: Standing) -> dict[str, str]:
        signs = {} if self.manager.watchdog is None else {"WATCHDOG": "1"}
        if standing.ends_by is not None:
            left = min(EXTENSION, standing.ends_by - now())
            if left > 0:  # what lasts longer than its bound isn't waited for
                signs["EXTEND_TIMEOUT_USEC"] = str(int(left * 1e6))
        return signs

    def _is_alive(self) -> bool:
        try:
            return self.alive()
        except Exception as error:  # nothing is ended because nobody could tell
            self._broken("the look whether the process is alive", error)
            return True

    def _tell(self, said: dict[str, str]) -> bool:
        try:
            if said:
                self.manager.tell(said)
        except BlockingIOError:  # it has not read what it was told before
            return False
        except (OSError, ValueError) as error:
            self._broken("the service manager's socket", error)
            return False
        return True

    def _broken(self, what: str, error: Exception) -> None:
        if what not in self._said:
            self._said.add(what)
            self.on_error(error, what)


class NotifyThread:
    """Has a manager told what a process's workers do, from before their start to the end of the
    process: what handlers leave is waited for after them."""

    def __init__(self, manager: Manager) -> None:
        self._manager = manager
        self._notifier: Notifier | None = None
        self._news = threading.Event()
        start_daemon("notify", self._run)

    def begin(
        self,
        look: Callable[[], Standing],
        on_error: OnError,
        alive: Callable[[], bool],
    ) -> None:
        """There are workers to tell of."""
        self._notifier = Notifier(self._manager, look, on_error, alive)
        self._news.set()

    def tell_news(self) -> None:
        """Something has changed: it is told at once, for the process may be at its end."""
        if self._notifier is not None:
            self._notifier.tell_news()
        self._news.set()

    def _run(self) -> None:
        self._news.wait()
        while True:
            self._news.clear()
            assert self._notifier is not None
            self._news.wait(self._notifier.turn())
