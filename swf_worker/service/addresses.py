"""Connections to a host of several addresses, and look-ups that may hang.

``getaddrinfo`` can't be cut, and the standard library tries one address after the other, each with
the whole time that a connection has. So names are looked up by threads of their own, what was found
is kept and serves again where a look-up takes long or fails; and the addresses of a host are tried
beside each other. The one that was good last time is first for a while, one at which nobody
answered is last.
"""

from __future__ import annotations

import errno
import os
import selectors
import socket
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from ..clock import now

Address = tuple[Any, ...]
"""One of ``getaddrinfo``."""
Key = tuple[str, int]

FRESH = 30.0
"""Seconds for which an answer is used without another look-up."""
PATIENCE = 1.0
"""Seconds that a look-up may take where there are addresses from before."""
STUCK = 20.0
"""Seconds after which a look-up is given up for another."""
FORGOTTEN = 200.0
"""Seconds after which one that is stuck no longer counts."""
MOST_LOOKUPS = 4
BESIDE = 0.3
"""Seconds after which the next address is tried beside one that has not answered."""


@dataclass(slots=True)
class _Lookup:
    """One call of ``getaddrinfo``."""

    began: float
    ended: threading.Event = field(default_factory=threading.Event)
    found: list[Address] = field(default_factory=list)
    error: OSError | None = None


@dataclass(slots=True)
class _Known:
    """What is known of a name."""

    addresses: list[Address] = field(default_factory=list)
    at: float = float("-inf")
    running: list[_Lookup] = field(default_factory=list)


class Names:
    """Looks names up, and remembers."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Begin anew. (A forked process has none of the threads, and the lock as it was.)"""
        self._known: dict[Key, _Known] = {}
        self._lock = threading.Lock()

    def addresses(self, key: Key, patience: float) -> list[Address]:
        """Those of a host and port, the best first; OSError (``socket.gaierror``, TimeoutError)
        where none is known and none was found in so many seconds."""
        with suppress(OSError, UnicodeError):  # no number: a name
            return socket.getaddrinfo(*key, 0, socket.SOCK_STREAM, 0, socket.AI_NUMERICHOST)
        with self._lock:
            known = self._known.setdefault(key, _Known())
            if now() - known.at < FRESH:
                return list(known.addresses)
            lookup = self._started(key, known)
        lookup.ended.wait(min(patience, PATIENCE) if known.addresses else patience)
        with self._lock:
            if known.addresses:
                return list(known.addresses)  # old ones, where there are no newer
        if lookup.error is not None:
            raise lookup.error
        raise TimeoutError(f"the name {key[0]!r} was not found in {patience:g} s")

    def was_good(self, key: Key, address: Address) -> None:
        """A connection was made to it."""
        with self._lock:
            known = self._known.get(key)
            if known is not None and address in known.addresses and known.addresses[0] != address:
                known.addresses.remove(address)
                known.addresses.insert(0, address)

    def was_bad(self, key: Key, address: Address) -> None:
        """Nobody answered at it, though there was a connection: it comes last."""
        with self._lock:
            known = self._known.get(key)
            if known is not None and address in known.addresses:
                known.addresses.remove(address)
                known.addresses.append(address)

    def were_bad(self, key: Key) -> None:
        """No connection was made to any: look again."""
        with self._lock:
            known = self._known.get(key)
            if known is not None:
                known.at = float("-inf")

    def _started(self, key: Key, known: _Known) -> _Lookup:
        known.running = [each for each in known.running if now() - each.began < FORGOTTEN]
        latest = known.running[-1] if known.running else None
        if latest is not None:
            fresh = now() - latest.began < STUCK
            if fresh or len(known.running) >= MOST_LOOKUPS:
                return latest
        lookup = _Lookup(now())
        known.running.append(lookup)
        thread = threading.Thread(
            target=self._look_up, args=(key, known, lookup), name="swf-worker-name", daemon=True
        )
        try:
            thread.start()
        except RuntimeError as error:  # no more threads
            known.running.remove(lookup)
            lookup.error = OSError(errno.EAGAIN, str(error))
            lookup.ended.set()
        return lookup

    def _look_up(self, key: Key, known: _Known, lookup: _Lookup) -> None:
        try:
            lookup.found = socket.getaddrinfo(*key, 0, socket.SOCK_STREAM)
        except OSError as error:
            lookup.error = error
        except BaseException as error:  # a label that is too long; or somebody has patched it
            said = f"{type(error).__name__}: {error}"
            lookup.error = socket.gaierror(socket.EAI_NONAME, said)
        with self._lock:
            if lookup in known.running:
                known.running.remove(lookup)
            if lookup.found:
                # In the order that they came in: who rotates them spreads the load.
                known.addresses, known.at = lookup.found, now()
        lookup.ended.set()


NAMES = Names()
"""This process's."""
os.register_at_fork(after_in_child=NAMES.forget)


def connect(
    key: Key,
    timeout: float | None,
    options: Sequence[tuple[int, int, int | bytes]] = (),
    source: tuple[str, int] | None = None,
    names: Names = NAMES,
) -> tuple[socket.socket, tuple[Key, Address]]:
    """A connection to whichever address of the host answers first, and which one that is. OSError
    as ``socket`` raises it; TimeoutError after ``timeout`` seconds."""
    seconds = 60.0 if timeout is None else timeout
    until = now() + seconds
    addresses = names.addresses(key, seconds)
    try:
        sock, address = _first_of(addresses, until, lambda each: _begun(each, options, source))
    except OSError:
        names.were_bad(key)
        raise
    names.was_good(key, address)
    sock.settimeout(timeout)
    return sock, (key, address)


def _begun(
    address: Address, options: Sequence[tuple[int, int, int | bytes]], source: Any
) -> socket.socket:
    family, kind, protocol, _, where = address
    sock = socket.socket(family, kind, protocol)
    try:
        for option in options:
            sock.setsockopt(*option)
        if source:
            sock.bind(source)
        sock.setblocking(False)
        failed = sock.connect_ex(where)
        if failed not in (0, errno.EINPROGRESS, errno.EWOULDBLOCK):
            raise OSError(failed, os.strerror(failed), where)
    except BaseException:
        sock.close()
        raise
    return sock


def _first_of(
    addresses: Sequence[Address], until: float, begin: Callable[[Address], socket.socket]
) -> tuple[socket.socket, Address]:
    waiting = deque(addresses)
    under_way: set[socket.socket] = set()
    error: OSError = OSError(errno.EHOSTUNREACH, "the host has no address")
    next_at = float("-inf")
    with selectors.DefaultSelector() as selector:
        try:
            while waiting or under_way:
                moment = now()
                if moment >= until:
                    raise TimeoutError("timed out")
                if waiting and (moment >= next_at or not under_way):
                    address = waiting.popleft()
                    next_at = moment + BESIDE
                    try:
                        sock = begin(address)
                    except OSError as failed:
                        error = failed
                        continue
                    under_way.add(sock)
                    selector.register(sock, selectors.EVENT_WRITE, (sock, address))
                wait = min(until, next_at if waiting else until) - now()
                for key, _ in selector.select(max(0.0, wait)):
                    sock, address = key.data
                    under_way.remove(sock)
                    selector.unregister(sock)
                    number = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                    if not number:
                        return sock, address
                    error = OSError(number, os.strerror(number), address[4])
                    sock.close()
                    next_at = float("-inf")
            raise error
        finally:
            for sock in under_way:
                with suppress(OSError):
                    sock.close()
