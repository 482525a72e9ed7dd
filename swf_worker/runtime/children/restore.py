"""What belongs to the whole process goes back to what it was, between two tasks of a child: what
one handler sets is not for the next one. ``on_process_start`` is the place for what is to stay."""

from __future__ import annotations

import faulthandler
import gc
import locale
import logging
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from ..process.streams import is_lost

_TIMERS = (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)
_SIGNALS = tuple(sorted(map(int, signal.valid_signals())))
_STREAMS = ("stdin", "stdout", "stderr")


@dataclass(frozen=True, slots=True)
class Left:
    """What a handler left behind, in words."""

    put_back: tuple[str, ...] = ()
    stuck: tuple[str, ...] = ()
    """What can't be put back: the process can take no more tasks."""


@dataclass(slots=True)
class Part:
    """One thing of the process: how to read it, and how to write it."""

    name: str
    read: Callable[[], Any]
    write: Callable[[Any], object] | None = None
    """None: nobody can."""
    said: Callable[[Any, Any], Iterable[str]] = lambda before, after: ()
    """Names of what has changed."""
    before: Any = None

    def remember(self) -> None:
        """As it is now."""
        self.before = self.read()

    def put_back(self) -> str | None:
        """As it was; returns what to say if it was another. CantPutBackError where it stays so."""
        found = self.read()
        if found == self.before:
            return None
        names = ", ".join(self.said(self.before, found))
        what = f"{self.name} ({names})" if names else self.name
        if self.write is None:
            raise CantPutBackError(what)
        try:
            self.write(self.before)
        except Exception:
            raise CantPutBackError(what) from None
        return what


class CantPutBackError(Exception):
    """It stays as a handler has left it."""


class ProcessState:
    """What the process was like before its first task. In the main thread."""

    def __init__(self) -> None:
        self._folder = os.open(".", getattr(os, "O_PATH", os.O_RDONLY) | os.O_CLOEXEC)
        self._copies = [os.dup(number) for number in (0, 1, 2)]
        self._signals = Part("signal handlers", _handlers, self._set_handlers, _changed_signals)
        parts = [
            Part("timers", _timers, _set_timers),  # first: no other step is interrupted, then
            Part("the wakeup descriptor", _wakeup, signal.set_wakeup_fd),
            self._signals,
            Part("blocked signals", _mask, _set_mask),
            Part("the working directory", _cwd, lambda _: os.fchdir(self._folder)),
            Part("the environment", lambda: dict(os.environ), _set_environment, _changed_names),
            Part("standard streams", _streams, _set_streams),
            Part("standard descriptors", self._descriptors, self._set_descriptors),
            Part("locale", lambda: locale.setlocale(locale.LC_ALL), _set_locale),
            Part("sockets' default timeout", socket.getdefaulttimeout, socket.setdefaulttimeout),
            Part("logging's disabled level", lambda: logging.root.manager.disable, logging.disable),
            Part(
                "garbage collection", gc.isenabled, lambda on: gc.enable() if on else gc.disable()
            ),
            Part("the recursion limit", sys.getrecursionlimit, sys.setrecursionlimit),
            Part("tracing", lambda: (sys.gettrace(), sys.getprofile()), _set_tracing),
            Part("limits of resources", _limits, _set_limits),
            Part("processors", lambda: os.sched_getaffinity(0), _set_processors),
            Part("niceness", lambda: os.getpriority(os.PRIO_PROCESS, 0), _set_niceness),
            Part("users and groups", _owners),
            Part("session and process group", lambda: (os.getsid(0), os.getpgrp())),
            Part("the root directory", _root),
        ]
        self._parts = [part for part in parts if _is_there(part)]
        self._umask = os.umask(0o077)
        os.umask(self._umask)

    def calm(self) -> None:
        """First of all: signal handlers that a handler has set, and that may raise, are called no
        more. (Timers go on until they are put back.)"""
        before: dict[int, Any] = self._signals.before
        for number in _SIGNALS:
            found = signal.getsignal(number)
            if callable(found) and found != before[number]:
                signal.signal(number, signal.SIG_IGN)

    def put_back(self) -> Left:
        """Put everything back. Nothing that a handler's own signal handlers raise gets past."""
        put_back, stuck = [], []
        for part in self._parts:
            try:
                what = undisturbed(part.put_back)
            except CantPutBackError as error:
                stuck.append(str(error))
            else:
                if what is not None:
                    put_back.append(what)
        # In one step: a file that a thread makes meanwhile must not get another one's.
        if os.umask(self._umask) != self._umask:
            put_back.append("umask")
        _set_again(signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
        return Left(tuple(put_back), tuple(stuck))

    def _set_handlers(self, before: dict[int, Any]) -> None:
        found = _handlers()
        for number, handler in before.items():
            if found[number] != handler:
                signal.signal(number, handler)  # TypeError where it was not Python's

    def _descriptors(self) -> list[tuple[int, int, int]]:
        """What each one leads to, as one that a stream's loss has not changed."""
        return [_file(self._copies[number] if is_lost(number) else number) for number in (0, 1, 2)]

    def _set_descriptors(self, before: list[tuple[int, int, int]]) -> None:
        for number, copy in enumerate(self._copies):
            if self._descriptors()[number] != before[number]:
                os.dup2(copy, number)


def undisturbed(act: Callable[[], Any]) -> Any:
    """``act``, again where a handler's own signal handler raised in the middle of it."""
    for _ in range(10_000):
        try:
            return act()
        except CantPutBackError:
            raise
        except BaseException as error:
            raised = error
    raise CantPutBackError("signal handlers that raise without an end") from raised


def _is_there(part: Part) -> bool:
    try:
        part.remember()
    except Exception:  # not on this system
        return False
    return True


# --- reading and writing ------------------------------------------------------------------------


_ONCE = -1.0


def _timers() -> list[float]:
    """The interval of each that runs. (What is left of it changes by itself.)"""
    found = map(signal.getitimer, _TIMERS)
    return [interval or (_ONCE if first else 0.0) for first, interval in found]


def _set_timers(before: list[float]) -> None:
    for which, found, seconds in zip(_TIMERS, _timers(), before, strict=True):
        if found != seconds:
            signal.setitimer(which, max(0.0, seconds), max(0.0, seconds))


def _wakeup() -> int:
    descriptor = signal.set_wakeup_fd(-1)
    if descriptor != -1:
        signal.set_wakeup_fd(descriptor)
    return descriptor


def _handlers() -> dict[int, Any]:
    return {number: signal.getsignal(number) for number in _SIGNALS}


def _changed_signals(before: dict[int, Any], after: dict[int, Any]) -> list[str]:
    changed = (number for number, handler in before.items() if after[number] != handler)
    return [_signal_name(number) for number in changed]


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # one of the real-time ones
        return str(number)


def _mask() -> set[signal.Signals | int]:
    return set(signal.pthread_sigmask(signal.SIG_BLOCK, ()))


def _set_mask(mask: set[signal.Signals | int]) -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _cwd() -> str:
    """Without a look at the disk, which may hang."""
    if os.path.exists("/proc/self/cwd"):
        return os.readlink("/proc/self/cwd")
    return os.getcwd()


def _set_environment(before: dict[str, str]) -> None:
    for name in os.environ.keys() - before.keys():
        del os.environ[name]
    os.environ.update(before)
    time.tzset()


def _changed_names(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """The names; values may be secret."""
    return sorted(n for n in before.keys() | after.keys() if before.get(n) != after.get(n))


def _streams() -> list[Any]:
    return [getattr(sys, name) for name in _STREAMS]


def _set_streams(streams: list[Any]) -> None:
    for name, stream in zip(_STREAMS, streams, strict=True):
        setattr(sys, name, stream)


def _file(number: int) -> tuple[int, int, int]:
    try:
        found = os.fstat(number)
    except OSError:
        return (-1, -1, -1)  # closed
    return (found.st_dev, found.st_ino, found.st_rdev)


def _set_again(*numbers: signal.Signals) -> None:
    """What Python believes of these, told to the kernel once more: code below it may have set them,
    or whether they interrupt."""
    for number in numbers:
        handler = signal.getsignal(number)
        if handler is not None:
            signal.signal(number, handler)


def _set_locale(before: str) -> None:
    locale.setlocale(locale.LC_ALL, before)


def _set_tracing(before: tuple[Any, Any]) -> None:
    sys.settrace(before[0])
    sys.setprofile(before[1])


_LIMITS = tuple(
    value for name, value in sorted(vars(resource).items()) if name.startswith("RLIMIT_")
)


def _limits() -> dict[int, tuple[int, int]]:
    return {which: resource.getrlimit(which) for which in _LIMITS}


def _set_limits(before: dict[int, tuple[int, int]]) -> None:
    found = _limits()
    for which, limits in before.items():
        if found[which] != limits:
            resource.setrlimit(which, limits)


def _set_processors(before: set[int]) -> None:
    os.sched_setaffinity(0, before)


def _set_niceness(before: int) -> None:
    os.setpriority(os.PRIO_PROCESS, 0, before)


def _owners() -> tuple[Any, ...]:
    return (os.getresuid(), os.getresgid(), sorted(os.getgroups()))


def _root() -> tuple[int, int, int]:
    found = os.stat("/")
    return (found.st_dev, found.st_ino, found.st_rdev)


def report_stacks_at(number: int) -> None:
    """Have the stacks of all threads written at this signal, whatever has taken it since."""
    with suppress(RuntimeError, ValueError, OSError):
        faulthandler.unregister(number)
        faulthandler.register(number, all_threads=True)
