"""What the worker and a handler process say to each other: frames of a length and msgpack.

Everything that comes of a task crosses as plain data of these types. Only the setup is
pickled: the worker's own functions, converters and wrappers, when a child starts.
"""

from __future__ import annotations

import dataclasses
import json
import socket
import struct
from typing import Any

import msgspec

from ...task import ActivityTask, ActivityType, WorkflowExecution

_LENGTH = struct.Struct("!I")
LONGEST = 16 * 1_048_576
"""Bytes of a frame, at most: a length beyond that is none, and would swallow whatever follows."""


class Frame(msgspec.Struct, frozen=True, tag=True):
    """Anything that is said."""


# --- to the child -------------------------------------------------------------------------------


class Begin(Frame, frozen=True):
    """The first frame: how to find ``__main__`` where the setup needs it, and the setup."""

    argv: list[str]
    main_name: str | None
    main_path: str | None
    setup: bytes
    log_levels: dict[str, int] = {}
    """Of the standard library's loggers here, "" for the root."""
    captures_warnings: bool = False
    as_records: bool = False
    """Every line is a record: what is printed is told at once, and so is what nobody catches."""


class Run(Frame, frozen=True):
    """Run a task with the setup's so-many-th activity."""

    number: int
    """What is said about this task carries it."""
    activity: int
    task: str
    remaining: float | None
    """Seconds to the nearest limit that is known."""
    worker_stopping: bool
    carriers: list[dict[str, str]] = []
    """Of the setup's attaches, in their order."""


class Ask(Frame, frozen=True):
    """Ask the handler to stop; ``reasons`` in the order in which they came."""

    reasons: list[str]


class WorkerStopping(Frame, frozen=True):
    """The worker drains."""


class Terminate(Frame, frozen=True):
    """A SIGTERM follows, and is meant."""


ToChild = Begin | Run | Ask | WorkerStopping | Terminate


# --- to the worker ------------------------------------------------------------------------------


class Ready(Frame, frozen=True):
    """The setup is loaded: tasks may come."""


class Broken(Frame, frozen=True):
    """The setup can't be loaded here."""

    why: str


class Said(Frame, frozen=True):
    """Something about a task. ``number`` is its Run's: what a process forked by an earlier handler
    says, or what comes late, is told by it."""

    number: int


class Began(Said, frozen=True):
    """The handler is called now: from here on the task can't run a second time."""


class Progress(Said, frozen=True):
    """The handler's progress, as text for a heartbeat."""

    details: str | None


class Shortened(Said, frozen=True):
    """Heartbeat details didn't fit."""

    why: str


class Raised(msgspec.Struct, frozen=True):
    """What was raised, for the worker's log."""

    type: str
    message: str
    traceback: str


class ObserverBroke(Said, frozen=True):
    """What an observer put around the handler raised; the handler runs all the same."""

    where: str
    raised: Raised


class LeftBehind(Said, frozen=True):
    """What of the process the handler has changed for good: what was put back, and what can't be,
    so that the process must be replaced."""

    put_back: list[str]
    stuck: list[str]


class Logged(Frame, frozen=True):
    """A structlog event of the child's; ``created`` in seconds since 1970."""

    level: str
    event: str
    fields: dict[str, Any]
    logger: str | None
    created: float


class Recorded(Frame, frozen=True):
    """A record of the standard library's logging."""

    record: dict[str, Any]
    fields: dict[str, Any]


class Returned(Said, frozen=True):
    """The handler returned; the text fits."""

    result: str | None


class Failed(Said, frozen=True):
    """The handler, its wrapper or its converter raised; the failure is worded."""

    reason: str
    details: str | None
    raised: Raised | None


class Canceled(Said, frozen=True):
    """The handler raised ActivityCanceled."""

    details: str | None


class HandedOver(Said, frozen=True):
    """A manual_completion handler returned."""


TaskEnd = Returned | Failed | Canceled | HandedOver
OfTask = Began | Progress | Shortened | ObserverBroke | LeftBehind | TaskEnd
ToWorker = Ready | Broken | Logged | Recorded | OfTask


# --- frames on a socket -------------------------------------------------------------------------

_encoder = msgspec.msgpack.Encoder()


def encode(frame: Frame) -> bytes:
    """A frame's bytes."""
    body = _encoder.encode(frame)
    return _LENGTH.pack(len(body)) + body


def task_text(task: ActivityTask) -> str:
    """A task as ASCII: what SWF sent may hold lone surrogates, which UTF-8 can't carry."""
    return json.dumps(dataclasses.astuple(task))


def read_task(text: str) -> ActivityTask:
    """A task out of its text."""
    token, activity_id, kind, execution, event_id, given = json.loads(text)
    return ActivityTask(
        token, activity_id, ActivityType(*kind), WorkflowExecution(*execution), event_id, given
    )


class Frames:
    """Frames out of a stream of bytes, however it is cut."""

    def __init__(self, types: Any) -> None:
        self._decoder = msgspec.msgpack.Decoder(types)
        self._bytes = bytearray()

    def feed(self, data: bytes) -> list[Any]:
        """The frames that are whole now. msgspec.DecodeError for what is none."""
        self._bytes += data
        frames = []
        while len(self._bytes) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._bytes)
            if length > LONGEST:
                raise msgspec.DecodeError(f"a frame of {length} bytes")
            end = _LENGTH.size + length
            if len(self._bytes) < end:
                break
            frames.append(self._decoder.decode(bytes(self._bytes[_LENGTH.size : end])))
            del self._bytes[:end]
        return frames


def receive(channel: socket.socket) -> bytes:
    """What has come, b"" at the end."""
    try:
        return channel.recv(65_536)
    except (BlockingIOError, InterruptedError):
        raise
    except OSError:  # a reset says no more than an end
        return b""
