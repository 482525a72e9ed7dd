"""The code of a handler process: one task at a time, in the main thread; a second thread listens.

The worker sends the heartbeats, so a handler may hold the GIL here for as long as it likes.
"""

from __future__ import annotations

import ctypes
import faulthandler
import os
import pickle
import queue
import signal
import socket
import sys
import threading
import traceback
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from types import FrameType

from ...clock import now
from ...context import ActivityContext, ask_to_stop
from ...core.messages import HandlerFailed
from ...definition import ActivityDefinition, define
from ...failure import FailureWording
from ...task import CancelReason
from ...text import safe_str
from ..process.files import flush
from ..process.forks import at_fork
from ..process.interpreter import Main, load_main, take_over
from ..process.recorded import tell_uncaught
from ..process.streams import SafeText, make_standard_streams_safe
from ..stopping.process_exit import ProcessExit
from ..tasks.invocation import Ended, Invocation
from ..tasks.surroundings import Around, SurroundedInvocation
from . import role
from .channel import Channel
from .records import record_uncaught, send_events, send_records
from .restore import ProcessState, report_stacks_at, undisturbed
from .setup import ChildSetup
from .task_link import RemoteTaskLink, end_of, told
from .wire import (
    Ask,
    Began,
    Begin,
    Broken,
    Frame,
    LeftBehind,
    ObserverBroke,
    Ready,
    Returned,
    Run,
    TaskEnd,
    Terminate,
    WorkerStopping,
    read_task,
)

END_LIMIT = 1.0
"""Seconds that threads and registered functions have at its end."""
_GROUP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
OOM_SCORE = 500
"""In thousandths of the memory that there is, as the kernel counts."""
_PR_SET_PDEATHSIG = 1
_TERMINATED = 143


def _not_for_us(number: int, frame: FrameType | None) -> None:
    """Handles a signal of the whole group."""


class HandlerProcess:
    """One handler process."""

    def __init__(self, channel: socket.socket, parent: int | None = None) -> None:
        self._channel = Channel(channel)
        self._parent = parent
        self._runs: queue.SimpleQueue[Run | None] = queue.SimpleQueue()
        # Of the task that was heard of last: what follows on the pipe is for it, also before the
        # main thread has begun with it.
        self._current: tuple[ActivityContext, RemoteTaskLink] | None = None
        self._stopping = False
        self._as_records = False
        self._announced = False
        self._signaled = False
        self._raised = False
        self._definitions: list[ActivityDefinition] = []
        self._setup: ChildSetup | None = None
        self._wording = FailureWording()

    # --- signals --------------------------------------------------------------------------------

    def take_signals(self) -> None:
        """Ctrl-C, a closed terminal and systemd signal whole groups: none of it is for a handler.
        SIGTERM is, when the worker announced it. Handlers, not SIG_IGN, which a handler's programs
        would inherit. (What is ignored from outside, by nohup, they shall inherit.)
        """
        for number in (signal.SIGINT, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, _not_for_us)
        signal.signal(signal.SIGTERM, self._on_sigterm)
        # From Python 3.14 on it would tell C's frames as well: more than is kept of stderr.
        only = {"c_stack": False} if sys.version_info >= (3, 14) else {}
        faulthandler.enable(all_threads=False, **only)
        report_stacks_at(signal.SIGUSR1)
        at_fork(_GROUP_SIGNALS, self._forked)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())

    def _forked(self) -> None:
        """A handler has forked: that process is its own, and neither ours nor the worker's."""
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        if signal.getsignal(signal.SIGHUP) is _not_for_us:
            signal.signal(signal.SIGHUP, signal.SIG_DFL)
        self._channel.silence()

    def _on_sigterm(self, number: int, frame: FrameType | None) -> None:
        self._signaled = True
        if self._announced and not self._raised:
            self._raised = True  # once: a second one would end the cleaning up
            raise SystemExit(_TERMINATED)  # so that `finally` and `with` of the handler clean up

    # --- the second thread ----------------------------------------------------------------------

    def listen(self) -> None:
        """Take what the worker says, until it hangs up."""
        while (frames := self._channel.listen()) is not None:
            for frame in frames:
                self._hear(frame)
        if self._current is not None:
            os._exit(1)  # the worker is gone, in the middle of a task
        self._runs.put(None)

    def _hear(self, frame: Frame) -> None:
        current = self._current
        match frame:
            case Run():
                link = RemoteTaskLink(self._channel, frame)
                link.stopping = link.stopping or self._stopping
                assert self._setup is not None
                codecs, place = self._definitions[frame.activity].codecs, self._setup.place
                self._current = ActivityContext(read_task(frame.task), link, codecs, place), link
                self._runs.put(frame)
            case Ask(reasons) if current is not None:
                for reason in reasons:
                    ask_to_stop(current[0], CancelReason(reason))
            case WorkerStopping():
                self._stopping = True
                if current is not None:
                    current[1].stopping = True
            case Terminate():
                self._announced = True
                if self._signaled:  # the signal was faster
                    # To the main thread: a signal that another one takes ends none of its waits.
                    main = threading.main_thread().ident
                    assert main is not None
                    signal.pthread_kill(main, signal.SIGTERM)

    # --- the main thread ------------------------------------------------------------------------

    def load(self) -> bool:
        """Load the worker's setup: whether that could be done."""
        frames = None
        while not frames:
            frames = self._channel.listen()
            if frames is None:
                return False
        try:
            self._load(frames[0])
        except BaseException as error:
            traceback.print_exc()
            self._channel.say(Broken(f"{type(error).__name__}: {safe_str(error)}"))
            return False
        self._channel.say(Ready())
        for frame in frames[1:]:
            self._hear(frame)
        return True

    def _load(self, begin: Begin) -> None:
        sys.argv[:] = begin.argv
        send_records(self._channel, begin.log_levels, warnings=begin.captures_warnings)
        self._as_records = begin.as_records
        if begin.as_records:
            tell_uncaught(record_uncaught)
            if isinstance(sys.stdout, SafeText):
                sys.stdout.reconfigure(line_buffering=True)
        if begin.main_name is not None or begin.main_path is not None:
            load_main(Main(begin.main_name, begin.main_path))
        self._setup = setup = pickle.loads(begin.setup)  # noqa: S301 (the worker's own)
        assert isinstance(setup, ChildSetup)
        self._definitions = [define(*each) for each in setup.activities]
        self._wording = FailureWording(setup.failure_tracebacks)
        if setup.on_process_start is not None:
            setup.on_process_start()
        send_events(self._channel)

    def work(self) -> None:
        """Run tasks, one after the other."""
        state = ProcessState()
        reports = signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL
        while (run := self._runs.get()) is not None:
            turn = HandlerTurn()
            # Twice: what strikes in the inner one's own steps is the outer one's.
            undisturbed(partial(undisturbed, partial(self._run, run, turn, state)))
            assert turn.end is not None
            self._current = None
            if self._as_records:
                flush()  # while it is known whose it is
            if self._announced and not isinstance(turn.end, Returned):
                os._exit(_TERMINATED)  # why it ends, the worker knows best
            left = state.put_back()
            if self._parent is not None:
                die_with(self._parent)  # a change of users ends that
            if reports:
                report_stacks_at(signal.SIGUSR1)
            if left.put_back or left.stuck:
                # Before the end: the next task may come right behind that.
                self._channel.say(LeftBehind(run.number, [*left.put_back], [*left.stuck]))
            self._channel.say(turn.end)

    def _run(self, run: Run, turn: HandlerTurn, state: ProcessState) -> None:
        """Run the handler, once, until nothing of it can interrupt us any more. (Signal handlers of
        its own may raise at any time, in the middle of ours, too: then this is called again.)"""
        assert self._setup is not None
        assert self._current is not None
        context, link = self._current
        definition = self._definitions[run.activity]
        try:
            if not turn.began:
                turn.began = True
                self._channel.say(Began(run.number))
                ended = self._invocation(run, definition, context).run()
                turn.end = end_of(ended, run.number)
        except BaseException as error:
            turn.error = error
        state.calm()
        if turn.end is None:
            wording = definition.wording(self._wording)
            failed = HandlerFailed(wording.of_exception(turn.error or InterruptedError()))
            turn.end = end_of(Ended(failed, turn.error), run.number)
        link.over()

    def _invocation(
        self, run: Run, definition: ActivityDefinition, context: ActivityContext
    ) -> Invocation:
        assert self._setup is not None
        call = (definition, context, self._setup.wrappers, self._wording)
        if not any(run.carriers):
            return Invocation(*call)
        around = Around(partial(self._observer_broke, run))
        for (attach, where), carrier in zip(self._setup.attaches, run.carriers, strict=True):
            if carrier:
                around.add(attach, carrier, where)
        return SurroundedInvocation(*call, around=around)

    def _observer_broke(self, run: Run, error: BaseException, where: str) -> None:
        if not isinstance(error, Exception):
            raise error  # it is ours that ends the handler, or a signal's of its own
        self._channel.say(ObserverBroke(run.number, where, told(error)))


@dataclass(slots=True)
class HandlerTurn:
    """One task's turn in this process, and how far it is."""

    began: bool = False
    error: BaseException | None = None
    """What was raised where no handler of ours has caught it."""
    end: TaskEnd | None = None


def die_with(parent: int) -> None:
    """Have the kernel kill this process when the worker's dies, whatever it is doing. (Elsewhere
    than on Linux, the end of the channel does it.)"""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)  # it died before that was set


def be_the_kernels_choice() -> None:
    """Where memory runs out, the kernel shall end this process, whose task alone fails then, and
    not the worker with all of them: as if half of all memory more were in use here."""
    with suppress(OSError, ValueError), open("/proc/self/oom_score_adj", "r+") as score:
        mine = int(score.read())
        score.seek(0)
        score.write(str(min(1000, mine + OOM_SCORE)))


def main(descriptor: int, parent: int) -> None:
    """Where a handler process begins."""
    die_with(parent)
    be_the_kernels_choice()
    role.is_child = True
    make_standard_streams_safe()
    take_over()
    os.set_inheritable(descriptor, False)
    child = HandlerProcess(socket.socket(fileno=descriptor), parent)
    child.take_signals()
    try:
        if child.load():
            name = "swf-worker-channel"
            threading.Thread(target=child.listen, name=name, daemon=True).start()
            child.work()
    finally:
        # Before the worker's patience is over: what is registered runs, whatever was left behind.
        ProcessExit().begin(0, now() + END_LIMIT, END_LIMIT / 2)
