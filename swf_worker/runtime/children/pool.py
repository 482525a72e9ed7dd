"""The worker's handler processes: started when needed, kept warm, one task at a time each.

One thread does everything here: it starts the children (the kernel ties their lives to the thread
that started them), reads what they say and what they write to stderr, and sees them die. Others
only leave calls for it.
"""

from __future__ import annotations

import os
import selectors
import signal
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import IO, Protocol, cast

import msgspec

from ...clock import now
from ..process.interpreter import Imports
from ..process.recorded import recorded
from ..tasks.invocation import Ended
from ..threads.clock import StartThread
from .child_process import Child, ChildPhase, TaskInChild, spawn
from .output import Output
from .wire import Begin, Broken, Frame, Logged, Ready, Recorded, encode

LOOK = 0.5
"""Seconds between two looks at the children, where the kernel can't tell that one has died."""
_HELD = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Owner(Protocol):
    """Who decides over the children."""

    def child_ready(self, child: Child) -> None: ...
    def child_free(self, child: Child, ended: Ended) -> None: ...
    def child_logged(self, frame: Logged) -> None: ...
    def child_recorded(self, frame: Recorded) -> None: ...
    def child_gone(self, child: Child) -> None: ...
    def child_failed_to_start(self, error: Exception) -> None: ...


class ChildPool:
    """Children, and the thread that tends them."""

    def __init__(
        self,
        begin: Begin,
        owner: Owner,
        start_thread: StartThread,
        on_error: Callable[[BaseException], None],
    ) -> None:
        self._first_frame = encode(begin)
        self._imports = Imports()
        self._owner = owner
        self._on_error = on_error
        self._calls: deque[Callable[[], object]] = deque()
        self._wakeup, self._waker = socket.socketpair()
        self._waker.setblocking(False)
        self._wakeup.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._children: set[Child] = set()
        self._output = Output(start_thread)
        self._closing = False
        self._thread = start_thread("children", self._run)

    # --- calls, from any thread -----------------------------------------------------------------

    def start(self) -> None:
        """Start one more child."""
        self.call_soon(self._start)

    def say(self, child: Child, task: TaskInChild, frame: Frame) -> None:
        """Say something to a child that still runs this task."""
        data = encode(frame)

        def say() -> None:
            if child.task is task:
                self._send(child, data)

        self.call_soon(say)

    def give(self, child: Child, task: TaskInChild, frame: Frame) -> None:
        """Give an idle child a task."""
        data = encode(frame)

        def give() -> None:
            self._drain(child)  # what it wrote before is of no interest any more
            child.stderr_tail.clear()
            child.task = task
            self._send(child, data)

        self.call_soon(give)

    def say_to_all(self, frame: Frame) -> None:
        """Say something to every child that is ready."""
        data = encode(frame)

        def say() -> None:
            for child in self._ready():
                self._send(child, data)

        self.call_soon(say)

    def signal_all(self, number: int) -> None:
        """Signal every child that is ready."""

        def send() -> None:
            for child in self._ready():
                child.process.send_signal(number)

        self.call_soon(send)

    def _ready(self) -> list[Child]:
        return [child for child in self._children if child.state.loaded]

    def terminate(self, child: Child, task: TaskInChild, announcement: Frame) -> None:
        """Kill a child that still runs this task: SIGTERM, then SIGKILL."""
        data = encode(announcement)

        def terminate() -> None:
            if child.task is not task or child not in self._children:
                return  # its task has ended meanwhile
            child.state.enter(ChildPhase.TERMINATING)
            self._send(child, data)
            child.process.terminate()

        self.call_soon(terminate)

    def retire(self, child: Child) -> None:
        """Let an idle child end."""
        self.call_soon(lambda: self._hang_up(child))

    def close(self) -> threading.Thread:
        """End all children; returns the thread, which ends when they have."""

        def close() -> None:
            self._closing = True
            for child in list(self._children):
                self._hang_up(child)

        self.call_soon(close)
        return self._thread

    def call_soon(self, call: Callable[[], object]) -> None:
        """Have the pool's thread make a call."""
        self._calls.append(call)
        with suppress(OSError):  # full: it is awake; closed: nothing is left to do
            self._waker.send(b"x")

    # --- the thread -----------------------------------------------------------------------------

    def _run(self) -> None:
        # Children inherit it: a Ctrl-C between their start and their own handlers must not
        # kill them. And this thread is none for signals anyway.
        signal.pthread_sigmask(signal.SIG_BLOCK, _HELD)
        self._selector.register(self._wakeup, selectors.EVENT_READ)
        try:
            while not (self._closing and not self._children and not self._calls):
                self._turn()
        finally:
            for child in list(self._children):  # only after a bug of ours
                child.process.kill()
                child.process.wait()
                self._forget(child)
            self._output.close()
            self._selector.close()
            self._wakeup.close()
            self._waker.close()

    def _turn(self) -> None:
        died: set[Child] = set()
        for key, events in self._selector.select(self._patience()):
            child: Child | None = key.data
            with self._guarded():
                if child is None:
                    with suppress(BlockingIOError):
                        self._wakeup.recv(4096)
                elif child.connection.is_at(key.fileobj):
                    self._on_io(child, events)
                elif key.fileobj in child.files:
                    self._read(child, cast(IO[bytes], key.fileobj))
                else:
                    died.add(child)
        while self._calls:
            with self._guarded():
                self._calls.popleft()()
        moment = now()
        for child in list(self._children):
            with self._guarded():
                if child.state.is_overdue(moment):
                    child.process.kill()
                if (child in died or child.pidfd is None) and child.process.poll() is not None:
                    self._reap(child)

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """A bug of ours with one child must not end the others."""
        try:
            yield
        except BaseException as error:
            self._on_error(error)

    def _patience(self) -> float | None:
        moment = now()
        ends = [child.state.ends_at for child in self._children]
        moments = [each - moment for each in ends if each is not None]
        if any(child.pidfd is None for child in self._children):
            moments.append(LOOK)
        return max(0.0, min(moments)) if moments else None

    # --- one child ------------------------------------------------------------------------------

    def _start(self) -> None:
        if self._closing:
            return
        try:
            child = spawn(self._imports, as_records=recorded(1) is not None)
        except Exception as error:  # no descriptors, no processes: whoever waits must hear of it
            self._owner.child_failed_to_start(error)
            return
        self._children.add(child)
        child.connection.open(self._selector, child)
        for file in child.files:
            self._selector.register(file, selectors.EVENT_READ, child)
        self._watch_death(child)
        self._send(child, self._first_frame)

    def _watch_death(self, child: Child) -> None:
        """The end of the channel doesn't tell it: what a handler forked may hold that open."""
        with suppress(AttributeError, OSError):  # not on this system
            child.pidfd = os.pidfd_open(child.pid)
            self._selector.register(child.pidfd, selectors.EVENT_READ, child)

    def _send(self, child: Child, data: bytes) -> None:
        if child in self._children:
            child.connection.send(data)

    def _on_io(self, child: Child, events: int) -> None:
        if events & selectors.EVENT_WRITE:
            child.connection.flush()
        if events & selectors.EVENT_READ:
            self._receive(child)

    def _receive(self, child: Child) -> bool:
        """Take what it said; False when there is nothing now."""
        try:
            frames = child.connection.hear()
        except msgspec.MsgspecError as error:
            # Something else writes into the channel: nothing it says can be trusted any more.
            self._on_error(error)
            child.process.kill()
            child.connection.stop_listening()
            return False
        for frame in frames or ():
            self._dispatch(child, frame)
        return frames is not None

    def _dispatch(self, child: Child, frame: Frame) -> None:
        if isinstance(frame, Ready):
            child.state.is_ready()
            self._owner.child_ready(child)
        elif isinstance(frame, Broken):
            child.state.is_unusable(frame.why)
        elif isinstance(frame, Logged):
            self._owner.child_logged(frame)
        elif isinstance(frame, Recorded):
            self._owner.child_recorded(frame)
        elif child.task is not None and (ended := child.task.heard(frame)) is not None:
            if recorded(2) is not None:  # its lines have its ids
                self._drain(child)
                self._output.end_lines(child)
            child.task = None
            child.tasks_done += 1
            self._owner.child_free(child, ended)

    def _drain(self, child: Child) -> None:
        for file in child.files:
            while self._read(child, file):
                pass

    def _read(self, child: Child, file: IO[bytes]) -> bool:
        """Take what it wrote; False when there is nothing now."""
        if file.closed:
            return False
        try:
            data = os.read(file.fileno(), 65_536)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:
            data = b""
        if not data:
            with suppress(KeyError, ValueError):
                self._selector.unregister(file)
            return False
        self._output.take(child, file, data)
        return True

    def _hang_up(self, child: Child) -> None:
        """The end of the channel tells an idle child to end; one that doesn't is killed."""
        if child in self._children:
            child.state.enter(ChildPhase.LEAVING)
            child.connection.hang_up()

    def _reap(self, child: Child) -> None:
        while self._receive(child):  # a whole result that is in the pipe counts
            pass
        self._drain(child)
        self._output.end_lines(child)
        self._forget(child)
        self._owner.child_gone(child)

    def _forget(self, child: Child) -> None:
        self._children.discard(child)
        for file in child.files:
            with suppress(KeyError, ValueError):
                self._selector.unregister(file)
        if child.pidfd is not None:
            self._selector.unregister(child.pidfd)
            os.close(child.pidfd)
            child.pidfd = None
        child.connection.close()
        for file in child.files:
            file.close()
