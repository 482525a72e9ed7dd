"""The end of a process that ran workers: bounded, whatever their handlers left behind.

The interpreter waits for threads that aren't daemons, for executors and for processes of
``multiprocessing``, for good; and while it takes itself apart, a thread that goes on printing makes
it abort. So here they get a time, what the program has registered with ``atexit`` is run, and the
process is ended with its exit code, before the interpreter begins with its own end.
"""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from types import FrameType
from typing import Any, NoReturn, Protocol

from ...clock import now
from ..process.files import close_files, flush
from ..threads.clock import start_daemon
from .program_code import ProgramCode

LEFT = 5.0
"""Seconds that what handlers left behind gets at least, where the bound has them."""
ATEXIT_LIMIT = 2.0
"""Seconds that functions registered with ``atexit`` get, where threads have used up the time."""
FLUSHING = 0.5
_UNTOLD = 1.0
"""Seconds for which threads are waited for without a word."""
_LOOK = 0.25
"""Seconds between two looks whether the main program has ended: nothing tells it."""


@dataclass(frozen=True, slots=True)
class ExitPlan:
    """How the workers of a process ended, and what of the stop's bound is left for the rest."""

    code: int
    until: float
    """What handlers left behind gets until then, by our clock."""
    atexit_limit: float
    left: Sequence[threading.Thread]
    """Threads of ours in which handlers still run."""


class Say(Protocol):
    """Logs a line."""

    def __call__(self, event: str, /, **fields: Any) -> object: ...


class ProcessExit:
    """One process's end."""

    def __init__(self, say: Say | None = None) -> None:
        self._say = say
        self._code_of: Callable[[], int] = int
        self._until = 0.0
        self._atexit_limit = ATEXIT_LIMIT
        self._at_exit: Callable[[], object] = self._leave_from_main
        self._begun = threading.Event()
        self._hurried = threading.Event()
        self._registered = threading.Lock()
        """Held by whoever runs what is registered: the main thread, or we, once."""

    # --- how it is to end -----------------------------------------------------------------------

    def begin(self, code: int, until: float, atexit_limit: float = ATEXIT_LIMIT) -> None:
        """The process ends with ``code``: when all threads and registered functions have ended, and
        at ``until`` (by our clock) and a moment at the latest."""
        self._arrange(lambda: code, self._leave_from_main)
        self._count_down(until, atexit_limit)

    def after_main(
        self,
        code: int,
        seconds: float,
        *,
        own: Iterable[threading.Thread],
        keeps_on: Sequence[threading.Thread],
    ) -> None:
        """The same, for a program that goes on for now: its own end begins it, with ``seconds`` for
        what was left, and has its code, or ``code`` where it doesn't say any. The program's ``own``
        threads are waited for first, as Python does. Where nothing hangs and no handler
        ``keeps_on``, the interpreter ends it as usual."""

        began = threading.Event()

        def at_exit() -> None:
            began.set()
            if any(thread.is_alive() for thread in keeps_on):
                self._leave_from_main()

        self._arrange(ProgramCode(code), at_exit)

        def wait() -> None:
            while not (main_has_ended() or began.wait(_LOOK)):
                pass
            for thread in own:
                if not thread.daemon and thread is not threading.main_thread():
                    thread.join()
            self._count_down(now() + seconds, ATEXIT_LIMIT)

        start_daemon("process-exit", wait)

    def hurry(self) -> None:
        """Wait for nothing any more."""
        self._hurried.set()

    def _arrange(self, code_of: Callable[[], int], at_exit: Callable[[], object]) -> None:
        self._code_of, self._at_exit = code_of, at_exit
        atexit.register(at_exit)
        # All are started now: a process that has begun to end gives no more threads. Each takes
        # over from the one before where that hangs.
        for number, act in enumerate((self._leave_with_last_words, self._leave, self._exit)):
            start_daemon(f"process-exit-{number}", partial(self._stage, number, act))

    def _count_down(self, until: float, atexit_limit: float) -> None:
        self._until, self._atexit_limit = until, atexit_limit
        self._begun.set()

    def _stage(self, number: int, act: Callable[[], object]) -> None:
        self._begun.wait()
        if number == 0 and not self._hurried.wait(min(_UNTOLD, max(0.0, self._until - now()))):
            self._tell("waiting for threads that handlers left", seconds=self._until - now())
        self._hurried.wait(max(0.0, self._until - now()))
        later = (0.0, self._atexit_limit, self._atexit_limit + FLUSHING)[number]
        threading.Event().wait(later)
        act()

    # --- the end --------------------------------------------------------------------------------

    def _leave_from_main(self) -> None:
        """The interpreter has waited for all threads, and calls what is registered: us first."""
        if self._registered.acquire(blocking=False):
            self._run_registered()
            self._leave()
        threading.Event().wait()  # it is being ended

    def _tell(self, event: str, **fields: Any) -> None:
        left = left_threads()
        if left and self._say is not None:
            self._say(event, threads=[thread.name for thread in left], **fields)

    def _leave_with_last_words(self) -> None:
        self._tell("threads that handlers left are left behind")
        if self._registered.acquire(blocking=False):
            self._run_registered()
        self._leave()

    def _run_registered(self) -> None:
        atexit.unregister(self._at_exit)
        run_registered()

    def _leave(self) -> NoReturn:
        with suppress(BaseException):
            logging.shutdown()
        flush()
        close_files()
        self._exit()

    def _exit(self) -> NoReturn:
        os._exit(self._code_of() & 0xFF)


def run_registered() -> None:
    """Run what the program has registered with ``atexit``, now. What ``multiprocessing`` has comes
    last: it waits for processes that handlers left, for good."""
    processes: Any = getattr(sys.modules.get("multiprocessing.util"), "_exit_function", None)
    if processes is not None:
        atexit.unregister(processes)
    with suppress(BaseException):  # each function's error is printed, and keeps none from running
        atexit._run_exitfuncs()
    if processes is not None:
        with suppress(BaseException):
            processes()


def left_threads() -> list[threading.Thread]:
    """Threads that the interpreter would wait for."""
    own = {threading.main_thread(), threading.current_thread()}
    return [each for each in threading.enumerate() if not each.daemon and each not in own]


def left_behind(own: Iterable[threading.Thread]) -> bool:
    """Whether there are threads beside the program's ``own``, or processes."""
    children: Any = getattr(sys.modules.get("multiprocessing"), "active_children", list)
    return bool(set(threading.enumerate()) - set(own)) or bool(children())


def main_has_ended() -> bool:
    """Whether the interpreter has begun to end: it waits for threads, in the main one."""
    main = threading.main_thread()
    if not main.is_alive():
        return True
    frame: FrameType | None = sys._current_frames().get(main.ident or 0)
    while frame is not None and frame.f_back is not None:
        frame = frame.f_back
    return (
        frame is not None
        and frame.f_code.co_name == "_shutdown"
        and frame.f_globals.get("__name__") == "threading"
    )
