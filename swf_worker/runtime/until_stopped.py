"""Workers as a process's purpose (``run()``, ``swf-worker run``): the main thread opens the polls
and waits for the end; what the process is told becomes steps of the one stop."""

from __future__ import annotations

import atexit
import logging
import os
import queue
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import NoReturn, Protocol

from ..clock import now
from ..core import lifecycle
from ..errors import ConfigurationError
from ..exit_codes import ExitCode
from ..log import identity_of
from ..task import ActivityTask
from ..text import safe_str
from .notify.notifier import NotifyThread
from .notify.service_manager import taken_from
from .process.recorded import say_line
from .process.streams import make_standard_streams_safe
from .runners.event_loop import running_loop
from .running_worker import RunningWorker
from .standing import are_alive, standing_of
from .stopping.control_thread import ControlThread, control_thread
from .stopping.lifecycle_driver import LifecycleDriver
from .stopping.process_exit import (
    ATEXIT_LIMIT,
    FLUSHING,
    LEFT,
    ExitPlan,
    ProcessExit,
    Say,
    left_behind,
)
from .stopping.signals import ControlRequest, StoppedEarly, signal_inbox
from .threads.clock import for_at_most

PROCESS_END = 1.0
"""Seconds of the bound that are kept for the end of the process itself."""
_SAYING = 1.0


_loading: list[str] = []


@contextmanager
def loading(target: str) -> Iterator[None]:
    """The command line loads the workers behind ``target``: nobody else is to start any."""
    _loading.append(target)
    try:
        yield
    finally:
        _loading.pop()


def check_not_loading(call: str) -> None:
    """ConfigurationError while the command line loads its target: flags and signals would mean
    nothing to a worker that runs inside of that."""
    if _loading:
        raise ConfigurationError(
            f"{call} was called while `swf-worker` loads {_loading[-1]}, which runs the worker "
            "itself: return it, and call that only in a program of your own, under "
            'if __name__ == "__main__"'
        )


def refuse_in_event_loop(call: str) -> None:
    """RuntimeError in an event loop, which this call would block, handlers' coroutines included."""
    if running_loop() is not None:
        raise RuntimeError(
            f"{call} would block this event loop: use `async with worker:`, and "
            "`await worker.wait_async()` inside of it to run until it is stopped"
        )


def check_main_thread() -> None:
    """Signals are handled in the main thread only."""
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError(
            "run() handles signals and must be called in the main thread; to embed a worker in "
            "another thread use start(), stop() and wait(), which touch no signals"
        )


class Prepare(Protocol):
    """Starts a worker, all but its polls."""

    def __call__(self, driver: LifecycleDriver, /) -> RunningWorker: ...


def run_as_process(workers: Sequence[Prepare], say: Say) -> int:
    """Run workers in this process until they are stopped, and handle its signals; the process's end
    is bounded, whatever handlers leave behind. Returns the exit code."""
    check_not_loading("run()")
    refuse_in_event_loop("run()")
    check_main_thread()
    manager = taken_from(os.environ)
    notify = None if manager is None else NotifyThread(manager)
    own, registered = threading.enumerate(), atexit._ncallbacks()
    make_standard_streams_safe()
    with signal_inbox(starting=True) as inbox, control_thread(inbox) as control:
        try:
            ended = run_prepared(workers, control, notify)
        except StoppedEarly:
            return ExitCode.DONE
    seconds = max(LEFT, ended.until - now())
    if left_behind(own) or atexit._ncallbacks() > registered:
        ProcessExit(say).after_main(ended.code, seconds, own=own, keeps_on=ended.left)
    return ended.code


def run_prepared(
    workers: Sequence[Prepare], control: ControlThread, notify: NotifyThread | None
) -> ExitPlan:
    """Prepare the workers, run them until they are stopped, and raise what ended one of them.
    ``notify`` tells whoever started the process."""
    driver = LifecycleDriver()
    running: list[RunningWorker] = []
    try:
        for prepare in workers:
            running.append(prepare(driver))
    except BaseException:
        driver.tell(lifecycle.StopRequested(once=True))  # those that were started before it end
        for worker in running:
            worker.wait(driver.longest_stop)
        raise
    exit_plan = run_until_stopped(running, control, notify)
    for worker in running:
        worker.raise_error()
    return exit_plan


def run_until_stopped(
    workers: Sequence[RunningWorker], control: ControlThread, notify: NotifyThread | None
) -> ExitPlan:
    """Open the polls and wait, until the workers have ended or their time is over."""
    driver = workers[0].driver
    driver.on_exit_now = lambda: _exit_now(workers)
    driver.kept_for_the_end = PROCESS_END
    news: queue.SimpleQueue[None] = queue.SimpleQueue()

    def stopping() -> None:
        news.put(None)
        if notify is not None:
            notify.tell_news()

    driver.on_stopping = stopping
    if notify is not None:
        on_error = workers[0].engine.internal_error
        notify.begin(lambda: standing_of(workers), on_error, lambda: are_alive(workers))
    for worker in workers:
        worker.finished.add_done_callback(lambda _: news.put(None))
    control.inbox.take_signals()
    control.inbox.starting = False  # from here on nothing interrupts: what comes is done
    if control.handled_by(lambda request: _handle(request, workers)):
        for worker in workers:
            worker.announce()
        driver.open()
    else:
        driver.request_stop()
    while not all(worker.finished.done() for worker in workers):
        left = None if driver.ends_by is None else driver.ends_by - PROCESS_END - now()
        try:
            news.get(timeout=None if left is None else max(0.0, left))
        except queue.Empty:
            break
    given_up = [task for worker in workers for task in _ended(worker)]
    running_on = [thread for worker in workers for thread in worker.left_threads]
    return ExitPlan(
        ExitCode.ABANDONED if given_up else ExitCode.DONE, *_time_left(driver), running_on
    )


def _time_left(driver: LifecycleDriver) -> tuple[float, float]:
    """Handlers' threads and processes may go on to the drain's end, as their tasks might have."""
    moment = now()
    if driver.began_at is None or driver.ends_by is None:
        return moment + LEFT, ATEXIT_LIMIT
    drained = moment if driver.state.stops > 1 else driver.began_at + driver.longest_drain
    until = max(moment, min(max(drained, moment + LEFT), driver.ends_by - PROCESS_END))
    return until, min(ATEXIT_LIMIT, max(PROCESS_END - FLUSHING, driver.ends_by - until - FLUSHING))


def _ended(worker: RunningWorker) -> Sequence[ActivityTask]:
    """What a worker abandoned. One whose end hangs, in ``on_stop`` say, is told and left."""
    if not worker.finished.done():
        worker.overdue()
        return worker.engine.unfinished()[1]
    worker.wait(PROCESS_END)
    return worker.finished.result()


def _handle(request: ControlRequest, workers: Sequence[RunningWorker]) -> None:
    match request:
        case ControlRequest.STOP:
            workers[0].driver.signaled()
        case ControlRequest.STOP_ONCE:
            workers[0].driver.request_stop()
        case ControlRequest.REPORT:
            for worker in workers:
                worker.engine.report(threads=worker is workers[0])


def _exit_now(workers: Sequence[RunningWorker]) -> NoReturn:
    unfinished = [(worker.place, *worker.engine.unfinished()) for worker in workers]

    def say() -> None:
        for handler in logging.getLogger().handlers:
            with suppress(Exception):  # anybody's
                handler.flush()
        for place, _, tasks in unfinished:
            for task in tasks:
                _tell_abandoned(place, task)
        polls = sum(open_polls for _, open_polls, _ in unfinished)
        if polls:
            text = f"{polls} open poll(s); a task that SWF gives to one will time out"
            say_line(f"abandoned: {text}", "abandoned open polls", open_polls=polls)

    for_at_most(_SAYING, say)
    os._exit(ExitCode.ABANDONED)


def _tell_abandoned(place: Mapping[str, str], task: ActivityTask) -> None:
    execution = task.workflow_execution
    say_line(
        f"abandoned: {task.activity_type} activity {safe_str(task.activity_id)} of "
        f"workflow {execution.workflow_id} (run {execution.run_id})",
        "abandoned",
        **{**place, **identity_of(task)},
    )
