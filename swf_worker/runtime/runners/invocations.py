"""What the runners share: how a task's invocation is made."""

from __future__ import annotations

from typing import Protocol

from ..tasks.invocation import Invocation
from ..tasks.task_run import TaskRun


class InvocationOf(Protocol):
    """Makes a task's invocation."""

    def __call__(self, run: TaskRun, /) -> Invocation: ...
