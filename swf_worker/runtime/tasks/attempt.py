"""One attempt at one answer, with what the journal keeps of it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Protocol

from ...errors import ServiceError
from ...outcome import Outcome
from ...service.api import SwfService
from ...task import ActivityTask
from ..journal.keeper import Journal
from ..threads.thread_pool import Job, Pool


class AnswerServices(Protocol):
    """What an attempt needs."""

    @property
    def service(self) -> SwfService: ...
    @property
    def answers(self) -> Pool: ...
    @property
    def journal(self) -> Journal | None: ...


class Attempt:
    """``job`` makes it, in whichever thread does that; ``done`` hears how it went."""

    __slots__ = ("_done", "_outcome", "_services", "_task", "job")

    def __init__(
        self,
        services: AnswerServices,
        task: ActivityTask,
        outcome: Outcome,
        done: Callable[[ServiceError | None], Job | None],
    ) -> None:
        self._services = services
        self._task = task
        self._outcome = outcome
        self._done = done
        self.job = Job(self._call, self._tell)

    def _call(self) -> Any:
        journal = self._services.journal
        if journal is None or journal.before_attempt(self._task, self._outcome, self._elsewhere):
            return self._send()
        return self  # another thread has sent it meanwhile, and has told

    def _tell(self, result: Any) -> Job | None:
        return None if result is self else self._done(result)

    def _send(self) -> ServiceError | None:
        try:
            self._services.service.respond(self._task.task_token, self._outcome)
        except ServiceError as error:
            if self._services.journal is not None:
                self._services.journal.after_attempt(self._task, error)
            return error
        return None

    def _elsewhere(self, stuck: threading.Thread) -> None:
        """The disk hangs, and the thread with it."""
        self._services.answers.replace(stuck)
        self._services.answers.submit(Job(self._send, self._done))
