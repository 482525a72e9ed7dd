"""An execution's decision tasks: scheduled, handed out, over, timed out."""

from __future__ import annotations

from .execution import NONE, DecisionTask, Execution, TaskListOverride


def schedule(execution: Execution) -> None:
    """One decision task more, unless one waits already: it will see all events anyway. Within a
    decision's batch it comes at the end."""
    if not execution.open or execution.scheduled_decision is not None:
        return
    if execution.in_batch:
        execution.decision_wanted = True
        return
    override = execution.override
    own: str = execution.configuration["taskList"]["name"]
    task_list = override.name if override else own
    schedule_to_start = override.schedule_to_start if override else NONE
    event_id = execution.add_event(
        "DecisionTaskScheduled",
        startToCloseTimeout=execution.configuration["taskStartToCloseTimeout"],
        scheduleToStartTimeout=schedule_to_start,
        taskList={"name": task_list},
        taskPriority=execution.configuration.get("taskPriority"),
    )
    execution.scheduled_decision = DecisionTask(
        execution, event_id, task_list, schedule_to_start, execution.priority
    )
    if execution.started_decision is None:
        _offer(execution.scheduled_decision)


def _offer(task: DecisionTask) -> None:
    task.execution.host.offer_decision(task)
    if task.schedule_to_start != NONE:
        task.execution.host.call_later(float(task.schedule_to_start), lambda: _not_started(task))


def begin(task: DecisionTask, identity: str | None) -> None:
    """Hand out the waiting decision task."""
    execution = task.execution
    task.started_event_id = execution.add_event(
        "DecisionTaskStarted", scheduledEventId=task.scheduled_event_id, identity=identity
    )
    task.previous_started_event_id = execution.previous_started_event_id
    execution.scheduled_decision, execution.started_decision = None, task
    timeout = execution.configuration["taskStartToCloseTimeout"]
    if timeout != NONE:
        execution.host.call_later(float(timeout), lambda: _not_completed(task))


def complete(
    task: DecisionTask,
    context: str | None,
    task_list: str | None,
    schedule_to_start: str | None,
) -> int:
    """The task is over, with what it says of those to come; returns its event's id. A decision
    task that waited meanwhile is offered by ``settle``."""
    execution = task.execution
    event_id = execution.add_event(
        "DecisionTaskCompleted",
        scheduledEventId=task.scheduled_event_id,
        startedEventId=task.started_event_id,
        executionContext=context,
        taskList=None if task_list is None else {"name": task_list},
        taskListScheduleToStartTimeout=schedule_to_start,
    )
    execution.started_decision = None
    execution.previous_started_event_id = task.started_event_id
    if context is not None:
        execution.latest_execution_context = context
    if task_list is not None:
        execution.override = TaskListOverride(task_list, schedule_to_start or NONE)
    return event_id


def settle(execution: Execution) -> None:
    """After a decision task that is over: the next one is scheduled if something asked for it, and
    one that waited is offered."""
    wanted, execution.decision_wanted = execution.decision_wanted, False
    if execution.scheduled_decision is not None:
        if execution.open:
            _offer(execution.scheduled_decision)
    elif wanted:
        schedule(execution)


def _not_started(task: DecisionTask) -> None:
    execution = task.execution
    if not task.wanted:
        return
    execution.scheduled_decision = None
    _timed_out(task, "SCHEDULE_TO_START")


def _not_completed(task: DecisionTask) -> None:
    execution = task.execution
    if not execution.open or execution.started_decision is not task:
        return
    execution.started_decision = None
    _timed_out(task, "START_TO_CLOSE")


def _timed_out(task: DecisionTask, kind: str) -> None:
    execution = task.execution
    execution.add_event(
        "DecisionTaskTimedOut",
        timeoutType=kind,
        scheduledEventId=task.scheduled_event_id,
        startedEventId=task.started_event_id,
    )
    override = execution.override
    if override and override.schedule_to_start != NONE and override.name == task.task_list:
        execution.override = None  # it was for a while: the execution's own list holds again
    execution.decision_wanted = True
    settle(execution)
