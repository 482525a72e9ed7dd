"""Every token of one worker: which tasks are being taken, which run, how the last ones ended."""

from __future__ import annotations

import threading
from collections import OrderedDict

from ...core.messages import Disposition
from ...task import ActivityTask
from ..tasks.task_run import TaskRun

REMEMBERED_TOKENS = 10_000


class OpenTasks:
    """Every token of one worker, so that a token that SWF delivers twice doesn't run twice."""

    def __init__(self) -> None:
        self.abandoned: list[ActivityTask] = []
        """What ended without an answer."""
        self._lock = threading.Lock()
        self._taking: set[str] = set()
        self._runs: dict[str, TaskRun] = {}
        self._ended: OrderedDict[str, TaskRun | None] = OrderedDict()

    def __len__(self) -> int:
        """How many tasks are not over."""
        return len(self._runs)

    def open_runs(self) -> list[TaskRun]:
        """The tasks that are not over."""
        return list(self._runs.values())

    def reserve(self, token: str) -> bool:
        """Whether this token was never seen; it is now. In one piece with ``enter``'s check: the
        same token may come from two polls at once."""
        with self._lock:
            if token in self._runs or token in self._ended or token in self._taking:
                return False
            self._taking.add(token)
            return True

    def enter(self, run: TaskRun) -> None:
        """A reserved token's task is running."""
        with self._lock:
            self._runs[run.task.task_token] = run
            self._taking.discard(run.task.task_token)

    def reopen(self, token: str) -> TaskRun | None:
        """The ended task of a repeated token, if its answer has to be sent again."""
        with self._lock:
            ended = self._ended.get(token)
            if ended is not None:
                self._runs[token] = ended
            return ended

    def close(self, run: TaskRun) -> None:
        """A task is over. Only what may have to be answered again is kept whole."""
        token, disposition = run.task.task_token, run.state.disposition
        with self._lock:
            self._runs.pop(token, None)
            unaccepted = run.state.answer and disposition is not Disposition.ACCEPTED
            self._ended[token] = run if unaccepted else None
            self._ended.move_to_end(token)
            while len(self._ended) > REMEMBERED_TOKENS:
                self._ended.popitem(last=False)
            if disposition is Disposition.ABANDONED:
                self.abandoned.append(run.task)
