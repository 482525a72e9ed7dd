"""The state of a local SWF: its domains, one lock, the time, the task lists and the tokens. What
operations do with it is in ``operations/``."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager

from . import faults, ids
from .clock import LocalClock
from .deadlines import Deadlines
from .executions import activities, closing, deciding
from .executions.execution import ActivityTask, DecisionTask, Execution, LocalDomain
from .pages import PageTokens
from .quotas import MAX_POLLERS, Quotas
from .task_lists import TaskLists

REGION = "us-east-1"
"""Of requests that aren't signed for one."""


class LocalBackend:
    """All of it. Every operation runs under ``lock``."""

    def __init__(
        self,
        clock: LocalClock,
        poll_hold: float,
        *,
        accept_unrequested_cancel: bool = False,
        shuffle: int | None = None,
        throttle: bool = False,
    ) -> None:
        self.domains: dict[str, LocalDomain] = {}
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        """Notified whenever any history changes."""
        self.accept_unrequested_cancel = accept_unrequested_cancel
        self.quotas = Quotas() if throttle else None
        max_polls = MAX_POLLERS if throttle else None
        self.activity_lists: TaskLists[ActivityTask] = TaskLists(self.lock, shuffle, max_polls)
        self.decision_lists: TaskLists[DecisionTask] = TaskLists(self.lock, shuffle, max_polls)
        self.polled: set[tuple[str, str]] = set()
        """Domains and task lists that somebody has polled for activity tasks."""
        self._poll_hold = poll_hold
        self._activities: dict[str, ActivityTask] = {}
        self._decisions: dict[str, DecisionTask] = {}
        self._deadlines = Deadlines(clock)
        self.pages = PageTokens(self.now)
        self._deadlines.drive(self.tick)

    # --- what executions need (``Host``) --------------------------------------------------------

    def now(self) -> float:
        """The local clock's time, in whole milliseconds."""
        return self._deadlines.now()

    def one_moment(self) -> AbstractContextManager[None]:
        """What happens in it has one timestamp."""
        return self._deadlines.one_moment()

    def call_later(self, delay: float, function: Callable[[], None]) -> None:
        """Call it when it is due."""
        self._deadlines.call_later(delay, function)

    def note_change(self) -> None:
        """Some history changed."""
        self.changed.notify_all()

    def offer_activity(self, task: ActivityTask) -> None:
        """A task waits in its list."""
        self.activity_lists.put(task.execution.domain.name, task)

    def offer_decision(self, task: DecisionTask) -> None:
        """A decision task waits in its list."""
        self.decision_lists.put(task.execution.domain.name, task)

    def history_is_full(self, execution: Execution) -> None:
        """It is terminated when what happens now has happened: as on SWF, a batch of decisions
        may go a little over the limit."""
        self.call_later(0, lambda: closing.end_of_history(execution))

    # --- time and end ---------------------------------------------------------------------------

    def tick(self) -> float | None:
        """Process what is due, in order; returns when the next thing is due."""
        with self.lock:
            return self._deadlines.process()

    def close(self) -> None:
        """Let every held poll go, and stop the clock's thread."""
        self._deadlines.stop()
        with self.lock:
            self.activity_lists.close()
            self.decision_lists.close()
            self.changed.notify_all()

    # --- domains --------------------------------------------------------------------------------

    def domain(self, name: str) -> LocalDomain:
        """A domain; UnknownResourceFault where there is none."""
        found = self.domains.get(name)
        if found is None:
            raise faults.unknown_domain(name)
        return found

    def execution(self, domain_name: str, workflow_id: str, run_id: str) -> Execution:
        """One run, open or closed."""
        with self.lock:
            return self.domain(domain_name).find(workflow_id, run_id)

    # --- polls and tokens -----------------------------------------------------------------------

    def take_activity(
        self, domain: str, task_list: str, identity: str | None
    ) -> ActivityTask | None:
        """The next activity task, held for until one comes."""
        self.domain(domain)
        self.polled.add((domain, task_list))
        task = self.activity_lists.take(domain, task_list, self._poll_hold)
        if task is not None:
            task.task_token = ids.task_token()
            self._activities[task.task_token] = task
            activities.begin(task, identity)
        return task

    def take_decision(
        self, domain: str, task_list: str, identity: str | None
    ) -> DecisionTask | None:
        """The next decision task, held for until an execution needs one."""
        self.domain(domain)
        task = self.decision_lists.take(domain, task_list, self._poll_hold)
        if task is not None:
            deciding.begin(task, identity)
        return task

    def new_decision_token(self, task: DecisionTask) -> str:
        """Another token of a decision task: each page of its history has its own."""
        token = ids.task_token()
        self._decisions[token] = task
        return token

    def open_activity(self, token: str) -> ActivityTask:
        """The open task of a token; SWF's fault where there is none."""
        task = self._activities.get(token)
        if task is None:
            raise faults.invalid_token()
        if not task.execution.open:
            raise faults.unknown_execution(task.execution.workflow_id, task.execution.run_id)
        if task.state != "STARTED":
            raise faults.unknown_activity(task.scheduled_event_id)
        return task

    def open_decision(self, token: str) -> DecisionTask:
        """The started decision task of a token; SWF's fault where there is none."""
        task = self._decisions.get(token)
        if task is None:
            raise faults.invalid_token()
        if not task.execution.open:
            raise faults.unknown_execution(task.execution.workflow_id, task.execution.run_id)
        if task.execution.started_decision is not task:
            raise faults.unknown_decision(task.scheduled_event_id)
        return task
