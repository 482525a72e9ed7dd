"""Whether SWF holds a poll: it would have refused it at once."""

from __future__ import annotations

import socket
import threading

import pytest

from swf_worker import errors
from swf_worker.service import clients
from tests import wire
from tests.conftest import eventually
from tests.service.conftest import dead, service_of
from tests.wire import Wire


class Polling:
    """A poll, in a thread, until its service is closed."""

    def __init__(self, service):
        self._service = service
        self._thread = threading.Thread(target=self._poll)
        self.error = None

    def _poll(self):
        try:
            self._service.poll()
        except errors.ServiceError as error:
            self.error = error

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._service.close()
        self._thread.join()


@pytest.mark.usefixtures("either")
def test_a_poll_that_has_left_and_is_not_answered_is_held(timers):
    with Wire(PollForActivityTask=[wire.silence]) as scripted:
        service = service_of(scripted.url, timers)
        assert not service.holds_poll(0.05)
        with Polling(service):
            assert eventually(lambda: service.holds_poll(0.05))
            assert not service.holds_poll(30)
        assert not service.holds_poll(0.05)


@pytest.mark.usefixtures("either")
def test_one_that_is_still_connecting_is_not(timers, monkeypatch):
    monkeypatch.setattr(clients, "CONNECT_TIMEOUT", 1)
    with socket.create_server(("127.0.0.2", 0)) as free:
        port = free.getsockname()[1]
    with dead("127.0.0.2", port):
        service = service_of(f"http://127.0.0.2:{port}", timers)
        with Polling(service) as polling:
            assert not eventually(lambda: service.holds_poll(0.05), 0.5)
        assert polling.error is not None
