"""Timers for limits, both ways of a request, and names that lead where a test says."""

from __future__ import annotations

import socket
import threading
from contextlib import ExitStack, contextmanager, suppress
from functools import partial

import pytest

from swf_worker.options import Options, RetryPolicy
from swf_worker.runtime.threads.clock import MonotonicClock, start_daemon
from swf_worker.runtime.threads.scheduler import Scheduler
from swf_worker.service import direct_or_boto3
from swf_worker.service.credentials import CredentialsRefresher
from swf_worker.service.gateway import Boto3Service
from swf_worker.service.retries import TenacityBackoff

REAL = socket.getaddrinfo


@pytest.fixture
def timers():
    scheduler = Scheduler(MonotonicClock(), start_daemon, lambda error: None)
    yield scheduler
    thread = scheduler.close()
    if thread:
        thread.join()


@pytest.fixture(params=["direct", "boto3"])
def either(request, monkeypatch):
    """Both ways of a call, whatever else would settle it."""
    reason = "told so" if request.param == "boto3" else None
    monkeypatch.setattr(direct_or_boto3, "why_boto3", lambda *args, **kinds: reason)
    return request.param


def service_of(url, timers, **options):
    """SWF at an address, as a worker has it."""
    refresher_of = partial(
        CredentialsRefresher,
        start_thread=start_daemon,
        timers=timers,
        backoff=TenacityBackoff(RetryPolicy()),
        observe=lambda record: None,
    )
    options = Options(domain="d", task_list="t", endpoint_url=url, **options)
    return Boto3Service(options, timers, senders=2, answerers=2, refresher_of=refresher_of)


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


@contextmanager
def hanging_up(host, port):
    """An address that takes connections and ends them at once."""
    with socket.create_server((host, port)) as listener:

        def serve():
            with suppress(OSError):
                while True:
                    listener.accept()[0].close()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


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


@pytest.fixture
def connect(timers, either):
    opened = []

    def make(url, **options):
        service = service_of(url, timers, **options)
        assert (service.why_boto3 is None) is (either == "direct")
        opened.append(service)
        return service

    yield make
    for service in opened:
        service.close()
