"""The worker's end of the channel to a handler process, on the pool's selector. Nothing blocks."""

from __future__ import annotations

import selectors
import socket
from contextlib import suppress

from .wire import Frame, Frames, ToWorker, receive


class Connection:
    """Frames to a child and from it."""

    def __init__(self, channel: socket.socket) -> None:
        channel.setblocking(False)
        self._channel = channel
        self._selector: selectors.BaseSelector | None = None
        """None before it is open, and once the child has said its last word."""
        self._key: object = None
        self._frames = Frames(ToWorker)
        self._unsent = bytearray()

    def open(self, selector: selectors.BaseSelector, key: object) -> None:
        """Have the selector tell, with ``key``, when there is something to do."""
        selector.register(self._channel, selectors.EVENT_READ, key)
        self._selector, self._key = selector, key

    def is_at(self, fileobj: object) -> bool:
        """Whether the selector means this one."""
        return fileobj is self._channel

    def send(self, data: bytes) -> None:
        """Say something, now or as soon as there is room."""
        if self._selector is not None:
            self._unsent += data
            self.flush()

    def flush(self) -> None:
        """Send what waits."""
        if self._selector is None:
            return
        try:
            while self._unsent:
                del self._unsent[: self._channel.send(self._unsent)]
        except (BlockingIOError, InterruptedError):
            pass
        except OSError:
            self._unsent.clear()  # it is ending
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._unsent else 0)
        self._selector.modify(self._channel, wanted, self._key)

    def hear(self) -> list[Frame] | None:
        """What it has said; None where there is nothing now. msgspec.MsgspecError for what is no
        frame."""
        if self._selector is None:
            return None
        try:
            data = receive(self._channel)
        except (BlockingIOError, InterruptedError):
            return None
        if not data:
            self.stop_listening()
            return None
        return self._frames.feed(data)

    def stop_listening(self) -> None:
        """It has said all, or nothing that it says can be trusted any more."""
        if self._selector is not None:
            self._selector.unregister(self._channel)
            self._selector = None

    def hang_up(self) -> None:
        """Say that nothing more will be said; what it says is still heard."""
        with suppress(OSError):
            self._channel.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """The child is gone."""
        self.stop_listening()
        self._channel.close()
