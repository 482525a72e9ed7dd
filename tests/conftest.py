"""Shared by all tests: no test may leave a thread, a process or a descriptor behind."""

from __future__ import annotations

import functools
import gc
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from botocore.handlers import BUILTIN_HANDLERS
from botocore.loaders import JSONFileLoader, Loader
from hypothesis import settings
from moto.core.models import botocore_stubber

from swf_worker import ActivityWorker, SwfWorkerError
from swf_worker.local import LocalSwf

pytest_plugins = ["pytester"]

# A shell that starts the tests in its background has Ctrl-C ignored, and whatever tests start would
# inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# How long an example takes is the machine's, and what else it does.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")


# moto, imported for the local SWF, hooks itself into every session of the process, and the worker
# would then leave its requests to botocore: tests take the way that production takes.
BUILTIN_HANDLERS.remove(("before-send", botocore_stubber))

_load_file = JSONFileLoader.load_file
_list_services = Loader.list_available_services


@functools.cache
def _loaded(path: str) -> Any:
    return _load_file(JSONFileLoader(), path)


@functools.cache
def _listed(paths: tuple[str, ...], kind: str) -> Any:
    return _list_services(Loader(list(paths), include_default_search_paths=False), kind)


# botocore reads its data and lists its folders anew for every session: half of a small test's time.
JSONFileLoader.load_file = lambda self, path: _loaded(path)  # type: ignore[method-assign]
Loader.list_available_services = lambda self, type_name: _listed(  # type: ignore[method-assign]
    tuple(self.search_paths), type_name
)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Figures that tests measured (``record_property("figure", ...)``), at the end of the run."""
    for report in terminalreporter.stats.get("passed", []):
        for name, value in report.user_properties:
            if name == "figure":
                terminalreporter.write_line(value)


def descriptors() -> set[str]:
    """The open descriptors, by what they are (a session's own files aside)."""
    found = set()
    for entry in Path("/proc/self/fd").iterdir():
        try:
            target = os.readlink(entry)
        except OSError:
            continue
        if target.startswith("socket:") or target.startswith("pipe:"):
            found.add(target)
    return found


def eventually(condition: Callable[[], bool], seconds: float = 5.0) -> bool:
    """Whether ``condition`` becomes true; for what nothing can tell us of by an event."""
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.005)
    return True


def children(pid: int | str = "self") -> list[int]:
    """The processes that a process has started and not reaped."""
    found: list[int] = []
    for listed in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):  # that thread is gone
            found += [int(child) for child in listed.read_text().split()]
    return found


@pytest.fixture(autouse=True)
def nothing_is_left(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """No thread, no process and no descriptor outlives a test."""
    threads = set(threading.enumerate())
    before = descriptors() if Path("/proc/self/fd").exists() else set()
    processes = set(children())
    yield
    assert eventually(lambda: not set(children()) - processes), (
        f"processes left behind: {set(children()) - processes}"
    )

    def left() -> list[threading.Thread]:
        return [
            thread
            for thread in threading.enumerate()
            if thread not in threads and thread.is_alive()
        ]

    assert eventually(lambda: not left()), f"threads left behind: {left()}"
    if before and descriptors() - before:
        caplog.get_records("call").clear()  # their tracebacks hold connections
        gc.collect()
        gc.freeze()  # the next one looks at what has come since, not at all of moto
        assert eventually(lambda: not descriptors() - before, 2), (
            f"descriptors left behind: {descriptors() - before}"
        )


class Recorder:
    """An observer that keeps everything."""

    def __init__(self) -> None:
        self.records: list[Any] = []
        self._changed = threading.Condition()

    def observe(self, record: Any) -> None:
        with self._changed:
            self.records.append(record)
            self._changed.notify_all()

    def of(self, kind: type) -> list[Any]:
        return [record for record in self.records if isinstance(record, kind)]

    def wait_for(self, kind: type, count: int = 1, timeout: float = 20) -> list[Any]:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.of(kind)) >= count, timeout), (
                f"no {count} {kind.__name__} in {self.records}"
            )
            return self.of(kind)


@contextmanager
def started(worker: ActivityWorker) -> Iterator[ActivityWorker]:
    """Started, and ended whatever happens; what ended it before is the test's to look at."""
    worker.start()
    try:
        yield worker
    finally:
        worker.request_stop()
        with suppress(SwfWorkerError):
            worker.wait(20)


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def quick_swf() -> Iterator[LocalSwf]:
    """A local SWF whose polls are held for a moment, so that stops are quick."""
    with LocalSwf(poll_hold=0.2) as swf:
        yield swf


MakeWorker = Callable[..., ActivityWorker]


@pytest.fixture
def make_worker(quick_swf: LocalSwf, recorder: Recorder) -> MakeWorker:
    """Builds a worker of the given activities, registered at the local SWF."""

    def make(*activities: Any, kind: type[ActivityWorker] = ActivityWorker, **options: Any) -> Any:
        options.setdefault("domain", "tests")
        options.setdefault("task_list", "tasks")
        worker = kind(
            activities=activities,
            endpoint_url=quick_swf.endpoint_url,
            observers=[recorder],
            **options,
        )
        quick_swf.register(worker)
        return worker

    return make
