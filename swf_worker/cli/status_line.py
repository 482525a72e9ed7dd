"""How a supervisor asks its worker processes what they do: a socket beside the channel, so that no
step of a stop waits behind an answer."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from contextlib import suppress
from typing import Literal

import msgspec

from ..clock import now
from ..errors import ServiceError
from ..instrumentation.health.snapshot import ProcessSnapshot
from ..instrumentation.health.watched import WatchedProcess
from ..runtime.children.wire import Frame, Frames, encode
from ..runtime.threads.clock import start_daemon
from ..status import Backlog
from ..text import safe_str

What = Literal["probe", "metrics", "tasks", "backlog"]
"""A snapshot, with its metrics or its tasks; or how many tasks wait."""


class Question(Frame, frozen=True):
    """``number`` is its answer's as well: what comes too late is told by it."""

    number: int
    what: What


class Reply(Frame, frozen=True):
    """What is told: a snapshot, a backlog, or why it can't be."""

    number: int
    snapshot: ProcessSnapshot | None = None
    backlog: Backlog | None = None
    error: str | None = None


# --- in the worker process ----------------------------------------------------------------------


def answer_questions(line: socket.socket, process: WatchedProcess) -> None:
    """Answer, in a thread, for as long as the supervisor lives."""

    def run() -> None:
        frames = Frames(Question)
        with suppress(OSError, msgspec.DecodeError), line:
            while data := line.recv(65_536):
                for question in frames.feed(data)[-1:]:  # nobody waits for the ones before it
                    line.sendall(_reply(process, question))

    start_daemon("status", run)


def _reply(process: WatchedProcess, question: Question) -> bytes:
    number = question.number
    try:
        if question.what != "backlog":
            tasks, metrics = question.what == "tasks", question.what == "metrics"
            return encode(Reply(number, process.snapshot(tasks=tasks, metrics=metrics)))
        counted = process.backlog_so_far()
        if isinstance(counted, ServiceError):
            return encode(Reply(number, error=safe_str(counted)))
        return encode(Reply(number, backlog=counted))
    except Exception as error:  # a bug of ours: the process works on, and so does this
        return encode(Reply(number, error=f"{type(error).__name__}: {safe_str(error)}"))


# --- in the supervisor --------------------------------------------------------------------------


class StatusLine:
    """The supervisor's end of one. Not thread-safe."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self._frames = Frames(Reply)
        self._number = 0

    def ask(self, what: What) -> None:
        """Ask; what was asked before is not waited for any more."""
        self._number += 1
        with suppress(OSError):
            self._line.send(encode(Question(self._number, what)), socket.MSG_DONTWAIT)

    def reply(self, until: float) -> Reply | None:
        """The answer to the last question, if it comes in time; else one that came too late for an
        earlier one: whoever answers lives."""
        late: Reply | None = None
        while (data := self._received(until)) is not None:
            with suppress(msgspec.DecodeError):
                replies: list[Reply] = self._frames.feed(data)
                for reply in replies:
                    late = reply
                    if reply.number == self._number:
                        return reply
        return late

    def _received(self, until: float) -> bytes | None:
        self._line.settimeout(max(0.001, until - now()))
        try:
            return self._line.recv(1_048_576) or None
        except OSError:
            return None

    def end(self) -> None:
        """The process has ended: whoever waits for it is woken."""
        with suppress(OSError):
            self._line.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Nobody asks any more."""
        self._line.close()


def asked(lines: Sequence[StatusLine], what: What, until: float) -> list[Reply | None]:
    """All of them at once."""
    for line in lines:
        line.ask(what)
    return [line.reply(until) for line in lines]
