"""The state of a local SWF, on moto's backend: one lock, one heap of deadlines, a queue and a
wake-up for each task list, look-ups by token."""

from __future__ import annotations

import heapq
import itertools
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from moto.swf.exceptions import SWFDomainAlreadyExistsFault, SWFTypeDeprecatedFault
from moto.swf.models import SWFBackend

from ..clock import now
from . import activities, faults
from .clock import LocalClock
from .decisions import take_decisions
from .execution import LocalDomain, LocalExecution
from .tasks import LocalActivityTask, LocalDecisionTask

ACCOUNT, REGION = "123456789012", "us-east-1"
AtTime = Callable[[float], None]


@dataclass(slots=True, eq=False)
class HeldPoll:
    """A poll that waits, and what it was given."""

    ready: threading.Condition
    item: Any = None


@dataclass(slots=True)
class TaskQueue:
    """One task list: the tasks that wait, or the polls that wait for them, the oldest first."""

    items: list[tuple[int, int, Any]] = field(default_factory=list)
    polls: deque[HeldPoll] = field(default_factory=deque)

    def put(self, priority: int, order: int, item: Any) -> None:
        """Hand it to the oldest poll; a poll that comes just now must not overtake it."""
        if self.polls:
            poll = self.polls.popleft()
            poll.item = item
            poll.ready.notify()
        else:
            heapq.heappush(self.items, (-priority, order, item))

    def pop(self, wanted: Callable[[Any], bool]) -> Any:
        """The first item that is still wanted, or None; the others are dropped."""
        while self.items:
            item = heapq.heappop(self.items)[2]
            if wanted(item):
                return item
        return None

    def wake_all(self) -> None:
        """Let every poll go."""
        for poll in self.polls:
            poll.ready.notify()


class LocalBackend(SWFBackend):
    """moto's backend with what it lacks. Every operation runs under ``lock``."""

    def __init__(
        self, clock: LocalClock, poll_hold: float, accept_unrequested_cancel: bool = False
    ) -> None:
        super().__init__(REGION, ACCOUNT)
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        """Notified whenever any history changes."""
        self._clock = clock
        self._poll_hold = poll_hold
        self._accept_unrequested_cancel = accept_unrequested_cancel
        self._order = itertools.count()
        self._deadlines: list[tuple[float, int, AtTime]] = []
        self._activity_queues: dict[tuple[str, str], TaskQueue] = {}
        self._decision_queues: dict[tuple[str, str], TaskQueue] = {}
        self._activities: dict[str, LocalActivityTask] = {}
        self._decisions: dict[str, LocalDecisionTask] = {}
        self.polled: set[tuple[str, str]] = set()
        """Domains and task lists that somebody has polled for activity tasks."""
        self._closed = False
        self._driver = clock.drive(self.tick)

    # --- time -----------------------------------------------------------------------------------

    def now(self) -> float:
        """The local clock's time."""
        return self._clock.now()

    def call_later(self, delay: float, function: AtTime) -> None:
        """Call ``function(due)`` when it is due."""
        due = self.now() + max(0.0, delay)
        heapq.heappush(self._deadlines, (due, next(self._order), function))
        if self._deadlines[0][0] == due:
            self._driver.sooner()

    def tick(self) -> float | None:
        """Process what is due, in order; returns when the next thing is due."""
        with self.lock:
            while self._deadlines and self._deadlines[0][0] <= self.now():
                due, _, function = heapq.heappop(self._deadlines)
                function(due)
            return self._deadlines[0][0] if self._deadlines else None

    def _process_timeouts(self) -> None:
        self.tick()  # moto calls it at the start of its operations

    def note_change(self, execution: LocalExecution) -> None:
        """Some history changed."""
        self.changed.notify_all()

    def close(self) -> None:
        """Let every held poll go, and stop the clock's thread."""
        self._driver.stop()
        with self.lock:
            self._closed = True
            for queue in (*self._activity_queues.values(), *self._decision_queues.values()):
                queue.wake_all()
            self.changed.notify_all()

    # --- domains and executions -----------------------------------------------------------------

    def register_domain(
        self,
        name: str,
        workflow_execution_retention_period_in_days: Any,
        description: str | None = None,
        tags: list[dict[str, str]] | None = None,
    ) -> None:
        """RegisterDomain."""
        if self._get_domain(name, ignore_empty=True):
            raise SWFDomainAlreadyExistsFault(name)
        domain = LocalDomain(
            name,
            workflow_execution_retention_period_in_days,
            account_id=self.account_id,
            region_name=self.region_name,
            description=description,
        )
        self.domains.append(domain)
        if tags:
            self.tagger.tag_resource(domain.to_short_dict()["arn"], tags)

    def start_workflow_execution(
        self,
        domain_name: str,
        workflow_id: str,
        workflow_name: str,
        workflow_version: str,
        tag_list: Any = None,
        workflow_input: str | None = None,
        **kwargs: Any,
    ) -> LocalExecution:
        """StartWorkflowExecution."""
        domain = self._get_domain(domain_name)
        workflow_type = domain.get_type("workflow", workflow_name, workflow_version)
        if workflow_type.status == "DEPRECATED":
            raise SWFTypeDeprecatedFault(workflow_type)
        execution = LocalExecution(
            self,
            domain,
            workflow_type,
            workflow_id,
            tag_list=tag_list,
            workflow_input=workflow_input,
            **kwargs,
        )
        domain.add_workflow_execution(execution)
        execution.start()
        return execution

    def request_cancel_workflow_execution(
        self, domain_name: str, workflow_id: str, run_id: str | None
    ) -> None:
        """RequestCancelWorkflowExecution."""
        domain = self._get_domain(domain_name)
        execution = domain.get_workflow_execution(workflow_id, run_id=run_id, raise_if_closed=True)
        assert isinstance(execution, LocalExecution)
        execution.request_cancel()

    def execution(self, domain_name: str, workflow_id: str, run_id: str) -> LocalExecution:
        """One run, open or closed."""
        with self.lock:
            found = self._get_domain(domain_name).get_workflow_execution(workflow_id, run_id)
            assert isinstance(found, LocalExecution)
            return found

    def activity_of(self, execution: LocalExecution) -> LocalActivityTask | None:
        """The first activity task that an execution scheduled."""
        return next(
            (t for t in self._activities.values() if t.workflow_execution is execution), None
        )

    # --- polls ----------------------------------------------------------------------------------

    def poll_for_activity_task(
        self, domain_name: str, task_list: Any, identity: str | None = None
    ) -> LocalActivityTask | None:
        """PollForActivityTask, held until a task comes. As on SWF, a task is also handed to a
        poll whose client has gone."""
        self._get_domain(domain_name)
        queue = self._queue(self._activity_queues, domain_name, task_list)
        self.polled.add((domain_name, task_list))
        task: LocalActivityTask | None = self._hold(
            queue, lambda task: task.state == "SCHEDULED" and task.workflow_execution.open
        )
        if task is not None:
            activities.begin(task.workflow_execution, task, identity)
        return task

    def poll_for_decision_task(
        self, domain_name: str, task_list: Any, identity: str | None = None
    ) -> LocalDecisionTask | None:
        """PollForDecisionTask, held until an execution needs a decision."""
        self._get_domain(domain_name)
        queue = self._queue(self._decision_queues, domain_name, task_list)
        execution: LocalExecution | None = self._hold(queue, _needs_decision)
        if execution is None:
            return None
        task = execution.begin_decision(identity)
        self._decisions[task.task_token] = task
        return task

    def _hold(self, queue: TaskQueue, wanted: Callable[[Any], bool]) -> Any:
        until = now() + self._poll_hold  # in real time, also on a manual clock
        while (item := queue.pop(wanted)) is None:
            left = until - now()
            if left <= 0 or self._closed:
                return None
            poll = HeldPoll(threading.Condition(self.lock))
            queue.polls.append(poll)
            poll.ready.wait(left)
            if poll.item is None:
                queue.polls.remove(poll)
            elif wanted(poll.item):  # it may have been closed since it was handed over
                return poll.item
        return item

    def _queue(
        self, queues: dict[tuple[str, str], TaskQueue], domain: str, task_list: str
    ) -> TaskQueue:
        key = (domain, task_list)
        if key not in queues:
            queues[key] = TaskQueue()
        return queues[key]

    def offer_activity(self, task: LocalActivityTask) -> None:
        """A task waits in its list: wake one poll. Higher priorities first, then older ones."""
        self._activities[task.task_token] = task
        domain = task.workflow_execution.domain.name
        queue = self._queue(self._activity_queues, domain, task.task_list)
        queue.put(task.priority, next(self._order), task)

    def offer_decision(self, execution: LocalExecution) -> None:
        """An execution may need a decision: wake one decider."""
        if _needs_decision(execution):
            queue = self._queue(self._decision_queues, execution.domain.name, execution.task_list)
            queue.put(0, next(self._order), execution)

    def count_pending_activity_tasks(self, domain_name: str, task_list: Any) -> int:
        """CountPendingActivityTasks: what is scheduled and not handed out."""
        self._get_domain(domain_name)
        queue = self._activity_queues.get((domain_name, task_list))
        waiting = [item[2] for item in queue.items] if queue else []
        return sum(task.state == "SCHEDULED" and task.workflow_execution.open for task in waiting)

    def count_pending_decision_tasks(self, domain_name: str, task_list: Any) -> int:
        """CountPendingDecisionTasks."""
        self._get_domain(domain_name)
        queue = self._decision_queues.get((domain_name, task_list))
        waiting = {id(item[2]): item[2] for item in queue.items} if queue else {}
        return sum(_needs_decision(execution) for execution in waiting.values())

    # --- answers --------------------------------------------------------------------------------

    def respond_decision_task_completed(
        self,
        task_token: str,
        decisions: list[dict[str, Any]] | None = None,
        execution_context: str | None = None,
    ) -> None:
        """RespondDecisionTaskCompleted."""
        task = self._decisions.get(task_token)
        if task is None:
            raise faults.invalid_token()
        execution = task.workflow_execution
        assert isinstance(execution, LocalExecution)
        if not execution.open:
            raise faults.unknown_execution(execution.workflow_id, execution.run_id)
        if execution.started_decision is not task:
            raise faults.unknown_decision(task.scheduled_event_id)
        take_decisions(execution, task, decisions or [], execution_context)

    def open_task(self, task_token: str) -> LocalActivityTask:
        """The started, open task of a token; SWF's fault where there is none."""
        task = self._activities.get(task_token)
        if task is None:
            raise faults.invalid_token()
        execution = task.workflow_execution
        if not execution.open:
            raise faults.unknown_execution(execution.workflow_id, execution.run_id)
        if task.state != "STARTED":
            raise faults.unknown_activity(task.scheduled_event_id)
        return task

    def record_activity_task_heartbeat(self, task_token: str, details: Any = None) -> None:
        """RecordActivityTaskHeartbeat."""
        task = self.open_task(task_token)
        task.last_heartbeat_timestamp = self.now()
        task.heartbeats += 1
        if details is not None:
            task.details = details
        self.changed.notify_all()

    def cancel_requested(self, task_token: str) -> bool:
        """What a heartbeat of this task reports."""
        return self._activities[task_token].cancel_requested_event_id is not None

    def respond_activity_task_completed(self, task_token: str, result: Any = None) -> None:
        """RespondActivityTaskCompleted."""
        self._answer(task_token, "ActivityTaskCompleted", result=result)

    def respond_activity_task_failed(
        self, task_token: str, reason: str | None = None, details: Any = None
    ) -> None:
        """RespondActivityTaskFailed."""
        self._answer(task_token, "ActivityTaskFailed", reason=reason, details=details)

    def respond_activity_task_canceled(self, task_token: str, details: Any = None) -> None:
        """RespondActivityTaskCanceled; refused where no cancellation was requested."""
        task = self.open_task(task_token)
        requested = task.cancel_requested_event_id
        if requested is None and not self._accept_unrequested_cancel:
            raise faults.cancel_not_requested(task.scheduled_event_id)
        self._answer(
            task_token,
            "ActivityTaskCanceled",
            details=details,
            latest_cancel_requested_event_id=requested,
        )

    def _answer(self, task_token: str, event_type: str, **members: Any) -> None:
        task = self.open_task(task_token)
        execution = task.workflow_execution
        assert isinstance(execution, LocalExecution)
        activities.answer(execution, task, event_type, **members)


def _needs_decision(execution: LocalExecution) -> bool:
    return (
        execution.open
        and execution.scheduled_decision is not None
        and execution.started_decision is None
    )
