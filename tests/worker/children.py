"""Handlers that run in processes, and what they need there: importable, as a user's are."""

from __future__ import annotations

import asyncio
import atexit
import contextvars
import ctypes
import faulthandler
import gc
import io
import locale
import logging
import multiprocessing
import os
import resource
import signal
import socket
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import structlog

from swf_worker import (
    ActivityCanceled,
    ActivityContext,
    ActivityFailed,
    ActivityWorker,
    JsonConverter,
    TextConverter,
    activity,
    current_context,
)

LOG = structlog.get_logger("handlers")
VARIABLE: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")
STARTED: list[str] = []


def in_process(name, **options):
    options.setdefault("heartbeat_interval", 0.2)
    return activity(name=name, version="1", isolation="process", **options)


def hold_the_gil(seconds: int) -> None:
    ctypes.PyDLL(None).sleep(ctypes.c_uint(seconds))


@in_process("Pid")
def pid(seconds: float = 0) -> int:
    time.sleep(seconds)
    return os.getpid()


@in_process("LimitedPid", max_concurrent=1)
def limited_pid(seconds: float = 0) -> int:
    return pid(seconds)


@in_process("Together")
def together(folder: str, count: int) -> int:
    """Ends when so many run at once."""
    Path(folder, str(os.getpid())).touch()
    until = time.monotonic() + 30
    while len(list(Path(folder).iterdir())) < count:
        if time.monotonic() > until:
            raise TimeoutError("alone")
        time.sleep(0.01)
    return os.getpid()


@in_process("Inside")
def inside(context: ActivityContext, name: str) -> dict[str, Any]:
    before = VARIABLE.get()
    VARIABLE.set(name)
    context.logger.info("from inside", name=name)
    LOG.warning("unbound", number=1, what={"a": object})
    try:
        raise ZeroDivisionError
    except ZeroDivisionError:
        LOG.exception("caught")
    context.heartbeat({"name": name})
    return {
        "before": before,
        "current": current_context() is context,
        "workflow": context.task.workflow_execution.workflow_id,
        "stopping": context.worker_stopping,
        "remaining": context.time_remaining,
    }


@in_process("Records")
def records() -> None:
    LOG.info("from structlog", number=1)
    log = logging.getLogger("app.part")
    log.info("%d from logging", 5, extra={"order": 7, "odd": object})
    log.debug("debug from logging")
    try:
        raise ZeroDivisionError
    except ZeroDivisionError:
        log.exception("caught by logging")


@in_process("HoldTheGil")
def gil(seconds: int) -> str:
    hold_the_gil(seconds)
    return "held"


@in_process("Die")
def die(how: str) -> str:
    print("last words", file=sys.stderr, flush=True)
    match how:
        case "segv":
            ctypes.string_at(0)
        case "exit":
            os._exit(3)
        case "sys.exit":
            sys.exit()
        case "memory":
            resource.setrlimit(resource.RLIMIT_AS, (300 << 20, 300 << 20))
            bytearray(1 << 30)
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
    return "lived"


class Nasty(Exception):
    def __init__(self):
        super().__init__("nasty")
        self.unpicklable = lambda: None

    def __reduce__(self):
        raise TypeError("no")


class Mute(Exception):
    def __str__(self):
        raise RuntimeError("no words")


@in_process("Raise")
def raises(what: str) -> None:
    match what:
        case "nasty":
            raise Nasty
        case "mute":
            raise Mute
        case "failed":
            raise ActivityFailed("Own", {"a": 1}, retryable=False)
        case "chain":
            try:
                raise KeyError("inner")
            except KeyError as error:
                raise ValueError("outer " * 20_000) from error
        case "canceled":
            raise ActivityCanceled
        case "group":
            raise ExceptionGroup("several", [OSError("one"), Nasty()])


@in_process("Result")
def result(kind: str) -> Any:
    return {"emoji": "\U0001f600" * 16_383, "large": "x" * 40_000, "object": object()}[kind]


@in_process("UntilAsked")
def until_asked(context: ActivityContext) -> str:
    context.wait_for_stop(60)
    context.raise_if_canceled()
    return "never asked"


@in_process("Finish")
def finish(context: ActivityContext) -> str:
    """Is asked, and finishes all the same."""
    context.wait_for_stop(60)
    return f"asked: {context.cancel_reason}"


@in_process("Draining")
def draining(context: ActivityContext) -> str:
    while not context.worker_stopping:
        time.sleep(0.01)
    return "saved"


def deaf(path: str | None = None) -> None:
    """Never asks; SIGTERM lets it clean up."""
    try:
        if path is not None:
            Path(path).touch()
        time.sleep(60)
    finally:
        if path is not None:
            Path(path).unlink()


def stubborn() -> None:
    """Survives SIGTERM."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        try:
            time.sleep(60)
        except BaseException:
            pass


deaf_plain = in_process("Deaf")(deaf)


@in_process("Deadline", deadline=2.0)
def with_deadline(path: str) -> None:
    deaf(path)


@in_process("Kills", cancel_kills=True)
def kills() -> None:
    stubborn()


@in_process("Lease", heartbeat_deadline=0.8)
def lease(context: ActivityContext) -> None:
    stubborn()


@in_process("Chatty")
def chatty(context: ActivityContext, count: int) -> str:
    for number in range(count):
        context.heartbeat({"number": number})
    time.sleep(0.5)
    return "told"


@in_process("Hand", manual_completion=True)
def hand_over(path: str) -> None:
    Path(path).write_text(current_context().task.task_token)


@in_process("Text", converter=TextConverter())
def text(given: str) -> str:
    return given[::-1]


@in_process("Limited", max_concurrent=1)
def limited(seconds: float) -> list[float]:
    began = time.monotonic()
    time.sleep(seconds)
    return [began, time.monotonic()]


@in_process("Noise")
def noise() -> str:
    print("handler's own words", file=sys.stderr, flush=True)
    return "said"


@in_process("Flood")
def flood(megabytes: int) -> str:
    for _ in range(megabytes):
        sys.stderr.write("x" * (1 << 20))
    return "written"


@in_process("Lingers")
def lingers() -> str:
    atexit.register(time.sleep, 60)
    return "done"


@in_process("BareFork")
def bare_fork() -> str:
    if os.fork() == 0:
        return "from the fork"
    time.sleep(0.3)
    return "from the parent"


@in_process("Terminates")
def terminates() -> Any:
    child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
    child.start()
    child.terminate()
    child.join(10)
    return child.exitcode


@in_process("Spawns")
def spawns() -> list[int]:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.map(abs, [-1, -2])


@in_process("Logs")
def logs() -> str:
    LOG.info("odd", large=2**70, fine=1.5, **{"lone \ud800": Odd(3)})
    LOG.info("x" * 1_000_000, y="y" * 1_000_000)
    return "logged"


class Odd(int):
    pass


@in_process("Counts")
def counts(context: ActivityContext) -> str:
    until = time.monotonic() + 0.4
    number = 0
    while time.monotonic() < until:
        number += 1
        context.heartbeat({"number": number})
    context.heartbeat("the last")
    until = time.monotonic() + 1
    while time.monotonic() < until:
        number += 1
    return "counted"


class Gentle(JsonConverter):
    """A converter of the user's own."""

    def __init__(self, greeting: str) -> None:
        self.greeting = greeting

    def encode(self, value: Any) -> str | None:
        return f"{self.greeting} {super().encode(value)}"


@contextmanager
def marked(context: ActivityContext):
    VARIABLE.set("wrapped")
    yield


@contextmanager
def refusing(context: ActivityContext):
    raise PermissionError("not today")
    yield


class WithHook(ActivityWorker):
    domain = "tests"
    task_list = "tasks"

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.model = "small"
        self.lock = open  # stays, it pickles
        self.unpicklable = lambda: None

    def on_process_start(self) -> None:
        assert not hasattr(self, "unpicklable")
        STARTED.append(f"{self.model} of {self.domain}")

    @staticmethod
    @in_process("Hooked")
    def hooked(seconds: float = 0) -> list[str]:
        time.sleep(seconds)
        return STARTED


class BrokenHook(WithHook):
    def on_process_start(self) -> None:
        raise OSError("no GPU here")


class LingeringHook(WithHook):
    """Fails, and leaves a thread behind that keeps its process from ending."""

    def on_process_start(self) -> None:
        threading.Thread(target=time.sleep, args=(60,)).start()
        raise OSError("no GPU here")


class HangingHook(WithHook):
    def on_process_start(self) -> None:
        time.sleep(60)


class SecondHangs(WithHook):
    def __init__(self, *, marker: str, **options: Any) -> None:
        super().__init__(**options)
        self.marker = Path(marker)

    def on_process_start(self) -> None:
        if self.marker.exists():
            time.sleep(60)
        self.marker.touch()


# --- what is left behind in a process -----------------------------------------------------------


@in_process("Changes")
def changes(what: list[str]) -> int:
    """Changes its process for good."""
    for each in what:
        _CHANGES[each]()
    return os.getpid()


def _take_the_signals() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
        loop.add_signal_handler(number, print)
    KEPT.append(loop)
    return loop


def _interrupt_later(interval: float) -> None:
    def interrupt(*_: object) -> None:
        raise TimeoutError("of an earlier task")

    signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, interval, interval)


@in_process("Strikes")
def strikes() -> str:
    def strike(*_: object) -> None:
        raise ValueError("alarm")

    signal.signal(signal.SIGALRM, strike)
    signal.setitimer(signal.ITIMER_REAL, 0.0002, 0.0002)
    return "done"


def _lose_the_folder() -> None:
    folder = tempfile.mkdtemp()
    os.chdir(folder)
    os.rmdir(folder)


def _set_environment() -> None:
    os.environ["OF_A_TASK"] = "a secret"
    os.environ["PATH"] = "/nowhere"
    del os.environ["HOME"]


def _redirect() -> None:
    sys.stdout = io.StringIO()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)


KEPT: list[Any] = []
_CHANGES: dict[str, Any] = {
    "signals": _take_the_signals,
    "closed loop": lambda: _take_the_signals().close(),
    "faulthandler": lambda: faulthandler.unregister(signal.SIGUSR1),
    "ignored": lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN),
    "alarm": lambda: _interrupt_later(30),
    "storm": lambda: _interrupt_later(0.002),
    "mask": lambda: signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM}),
    "folder": lambda: os.chdir("/"),
    "lost folder": _lose_the_folder,
    "umask": lambda: os.umask(0o077),
    "environment": _set_environment,
    "streams": _redirect,
    "locale": lambda: locale.setlocale(locale.LC_ALL, "C"),
    "timeout": lambda: socket.setdefaulttimeout(0.5),
    "limit": lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (100, 1000)),
    "processors": lambda: os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}),
    "session": os.setsid,
    "user": lambda: os.setegid(65534),
    "logging": logging.disable,
    "collection": gc.disable,
    "recursion": lambda: sys.setrecursionlimit(10_000),
}
CHANGES = list(_CHANGES)
STUCK = ["limit", "session", "user"]
"""What nobody can put back, at least not everybody."""


@in_process("Tells")
def tells() -> dict[str, Any]:
    """How it finds its process."""
    return {
        "pid": os.getpid(),
        "handlers": {
            name: getattr(signal.getsignal(getattr(signal, name)), "__qualname__", "default")
            for name in ("SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1", "SIGALRM", "SIGCHLD")
        },
        "timer": signal.getitimer(signal.ITIMER_REAL)[1],
        "mask": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
        "folder": os.getcwd(),
        "umask": os.umask(os.umask(0o022)),
        "environment": [os.environ.get(name) for name in ("OF_A_TASK", "PATH", "HOME")],
        "streams": [type(sys.stdout).__name__, os.fstat(1).st_ino],
        "locale": locale.setlocale(locale.LC_ALL),
        "timeout": socket.getdefaulttimeout(),
        "limit": resource.getrlimit(resource.RLIMIT_NOFILE),
        "processors": sorted(os.sched_getaffinity(0)),
        "session": os.getsid(0) == os.getpid(),
        "user": [os.getuid(), os.getegid()],
        "interpreter": [logging.root.manager.disable, gc.isenabled(), sys.getrecursionlimit()],
    }


def of_the_process(*_: object) -> None: ...


class SetsUp(ActivityWorker):
    def on_process_start(self) -> None:
        os.chdir("/")
        os.environ["OF_A_TASK"] = "of the process"
        signal.signal(signal.SIGTERM, of_the_process)


# --- processes that can't be started any more ---------------------------------------------------


class Breaks(ActivityWorker):
    """Its processes can be started as long as the file isn't there."""

    def on_process_start(self) -> None:
        trouble = Path(os.environ["TROUBLE"])
        if trouble.exists():
            print("the model is gone", file=sys.stderr)
            raise LookupError(trouble.read_text())


class Hangs(ActivityWorker):
    def on_process_start(self) -> None:
        while Path(os.environ["TROUBLE"]).exists():
            time.sleep(0.01)
