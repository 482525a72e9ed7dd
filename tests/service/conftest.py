"""Timers for limits, both ways of a request, and names that lead where a test says."""

from __future__ import annotations

import socket
from contextlib import ExitStack, contextmanager, suppress

import pytest

from swf_worker.runtime.clock import MonotonicClock, start_daemon
from swf_worker.runtime.scheduler import Scheduler
from swf_worker.service import transport

REAL = socket.getaddrinfo


@pytest.fixture
def timers():
    scheduler = Scheduler(MonotonicClock(), start_daemon, lambda error: None)
    yield scheduler
    thread = scheduler.close()
    if thread:
        thread.join()


@pytest.fixture(params=["our transport", "botocore's own way"])
def either(request, monkeypatch):
    if request.param == "botocore's own way":
        monkeypatch.setattr(transport, "install", lambda client, ca_bundle: None)
    return request.param


@contextmanager
def dead(host, port):
    """An address that answers no SYN: as many wait to be accepted as may."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(0)
        with suppress(TimeoutError):
            while True:
                waiting = stack.enter_context(socket.socket())
                waiting.settimeout(0.1)
                waiting.connect(listener.getsockname())
        yield


@pytest.fixture
def dns(monkeypatch):
    """What names lead to: addresses, an error, or a function that returns them."""
    names, asked = {}, []

    def look_up(host, port, *more, **kinds):
        if host not in names:
            return REAL(host, port, *more, **kinds)
        if socket.AI_NUMERICHOST in more:
            raise socket.gaierror(socket.EAI_NONAME, "no number")
        asked.append(host)
        found = names[host]
        found = found() if callable(found) else found
        if isinstance(found, Exception):
            raise found
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in found]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    names["asked"] = asked
    return names
