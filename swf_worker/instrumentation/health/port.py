"""``health_port`` of one worker, or of several that run together: opened at their start, closed at
the end of the last one."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ...errors import ConfigurationError
from ...observations import HealthServed, Observer
from ...options import Options
from ...runtime.running_worker import RunningWorker
from ...status import Backlog
from .report import Counted, Member
from .watched import WatchedProcess

if TYPE_CHECKING:
    from .server import HealthServer

Address = tuple[str, int]


class HealthPort:
    """A ``Source`` of this process. Without an address nothing is opened: ``watched`` may be
    asked by somebody else."""

    def __init__(
        self, address: Address | None, workers: int = 1, watched: WatchedProcess | None = None
    ) -> None:
        self._process = watched or WatchedProcess()
        self.several = workers > 1
        self._watched = watched is not None or address is not None
        self._address = address
        self._workers = workers
        self._server: HealthServer | None = None
        self._lock = threading.Lock()

    def observers_of(self, own: Sequence[Observer]) -> list[Observer]:
        """What is to be observing one more worker, beside its own observers."""
        return self._process.observers_of(own) if self._watched else []

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Open it, if it isn't, for a start; one that fails closes it. ConfigurationError where
        the port can't be had."""
        with self._lock:
            if self._address is not None and self._server is None:
                from .server import HealthServer  # and all of http.server, where there is a port

                self._server = HealthServer(self, *self._address)
        try:
            yield
        except BaseException:
            self.close()
            raise

    def tells_of(self, worker: RunningWorker) -> None:
        """This is one of its workers; when the last has ended, it is closed."""
        worker.finished.add_done_callback(lambda _: self._one_ended())
        if self._server is not None:
            worker.tell(HealthServed(self._server.url))

    def _one_ended(self) -> None:
        with self._lock:
            self._workers -= 1
            over = self._workers <= 0
        if over:
            self.close()

    def close(self) -> None:
        """Answer no more."""
        with self._lock:
            server, self._server, self._address = self._server, None, None
        if server is not None:
            server.close()

    @classmethod
    def of(cls, workers: Sequence[Options]) -> HealthPort:
        """The port that workers which run together have, if they have one."""
        return cls(address_of(workers), len(workers))

    # --- a source -------------------------------------------------------------------------------

    def members(self) -> Sequence[Member]:
        """This process."""
        return (Member(f"process {os.getpid()}", self._process.snapshot()),)

    def counted(self) -> Counted:
        """This process's metrics."""
        snapshot = self._process.snapshot(metrics=True)
        return Counted([("", snapshot.metrics or [])], snapshot.no_metrics)

    def backlog(self) -> Backlog:
        """How many tasks wait in the workers' task lists."""
        return self._process.backlog()


def address_of(workers: Iterable[Options]) -> Address | None:
    """The one port of workers that run together. ConfigurationError where they name two."""
    found = {
        (options.health_host, options.health_port)
        for options in workers
        if options.health_port is not None
    }
    if len(found) > 1:
        named = " and ".join(sorted(f"{host}:{port}" for host, port in found))
        raise ConfigurationError(
            f"these workers run together and have one health port, but name {named}: give them "
            "the same health_host and health_port, or one of them alone"
        )
    return found.pop() if found else None
