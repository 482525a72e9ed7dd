"""A handler process's end of the channel to its worker."""

from __future__ import annotations

import os
import socket
import threading
from typing import Any

from .wire import Frame, Frames, ToChild, encode, receive


class Channel:
    """Several threads may speak."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._lock = threading.Lock()
        self._frames = Frames(ToChild)
        self._silent = False

    def silence(self) -> None:
        """In a process that a handler has forked: it has nothing to say here."""
        self._silent = True

    def say(self, frame: Frame) -> None:
        """Say it. Where the worker is gone, so is this process."""
        if not self._sent(frame):
            os._exit(1)

    def mention(self, frame: Frame) -> bool:
        """Say it; whether anybody hears. A line of the log decides nothing."""
        return not self._silent and self._sent(frame)

    def _sent(self, frame: Frame) -> bool:
        if self._silent:
            return True
        data = encode(frame)
        with self._lock:
            try:
                self._channel.sendall(data)
            except OSError:
                return False
        return True

    def listen(self) -> list[Any] | None:
        """The next frames; None at the end."""
        data = receive(self._channel)
        return self._frames.feed(data) if data else None
