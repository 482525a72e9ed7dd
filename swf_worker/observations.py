"""What happened, as frozen records. The shell reports each step once, with one of these.

Logs, metrics and traces are observers of them (``swf_worker.observer.Observer``). An observer's
error is logged and never touches a task.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .errors import ServiceError
from .journal_observations import JournalEntryExpired as JournalEntryExpired
from .journal_observations import JournalEntryLeft as JournalEntryLeft
from .journal_observations import JournalFailed as JournalFailed
from .journal_observations import JournalPutAside as JournalPutAside
from .journal_observations import JournalRestored as JournalRestored
from .journal_observations import JournalTakenUp as JournalTakenUp
from .observer import Observation as Observation
from .observer import Observer as Observer
from .outcome import Outcome
from .task import ActivityTask, ActivityType, CancelReason

# --- the worker ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CredentialsNotRefreshed(Observation):
    """The ``provider`` of the credentials gave no new ones. ``ended``: the old ones, if there are
    any, are no longer valid. ``retry_in`` seconds; None while it has not answered."""

    provider: str
    why: str
    ended: bool
    retry_in: float | None


@dataclass(frozen=True, slots=True)
class CredentialsRefreshed(Observation):
    """There are new credentials, after it went wrong."""

    provider: str


@dataclass(frozen=True, slots=True)
class WorkerStarted(Observation):
    """Polls are being opened. ``calls``: the way that calls to SWF take, "direct" or "boto3", and
    why it is that."""

    domain: str
    task_list: str
    identity: str
    activities: tuple[ActivityType, ...]
    calls: str = "direct"


@dataclass(frozen=True, slots=True)
class HealthServed(Observation):
    """The worker's ``health_port`` is open: probes, metrics and a page, under ``url``."""

    url: str


@dataclass(frozen=True, slots=True)
class WorkerStopping(Observation):
    """No new polls. Open polls and running tasks are waited for, ``at_most`` so many seconds.
    ``to_leave_now`` says what ends that, where signals stop the worker."""

    open_polls: int
    running: int
    at_most: float
    to_leave_now: str | None = None


@dataclass(frozen=True, slots=True)
class DrainEnded(Observation):
    """The drain is over: the handlers still running are asked to stop. Open polls are still waited
    for, up to 60 s and a margin: SWF may give one a task at any moment."""

    running: int
    open_polls: int


@dataclass(frozen=True, slots=True)
class WorkerStopped(Observation):
    """The end. ``abandoned`` tasks were left without an answer."""

    abandoned: tuple[ActivityTask, ...]
    error: str | None = None


@dataclass(frozen=True, slots=True)
class ProgramEnded(Observation):
    """The program has ended while its worker ran: these tasks, and what its open polls bring, are
    left to SWF's timeouts."""

    abandoned: tuple[ActivityTask, ...]
    open_polls: int


@dataclass(frozen=True, slots=True)
class StopOverdue(Observation):
    """The bound of the stop is over, and the worker's own end hangs: ``stack`` tells where, in
    ``on_stop`` mostly. The process ends all the same."""

    stack: str


@dataclass(frozen=True, slots=True)
class InternalError(Observation):
    """A bug of the SDK or of an observer or hook, kept from harming any task."""

    where: str
    error: BaseException


# --- polls --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PollSucceeded(Observation):
    """A poll came back, with a task or empty (``task`` None)."""

    task: ActivityTask | None
    seconds: float


@dataclass(frozen=True, slots=True)
class PollFailed(Observation):
    """A poll failed; polling goes on in ``retry_in`` seconds. ``task_may_be_lost``: SWF may have
    handed a task to it, which will then time out."""

    error: ServiceError
    retry_in: float
    task_may_be_lost: bool


@dataclass(frozen=True, slots=True)
class PollCut(Observation):
    """Something on the way, a load balancer say, ended a poll at about the length of the long
    poll: it counts as an empty one. ``seconds``: how long it lasted."""

    error: ServiceError
    seconds: float


@dataclass(frozen=True, slots=True)
class TaskRepeated(Observation):
    """SWF delivered a token again. The task doesn't run again."""

    task: ActivityTask
    answer_sent_again: bool


# --- what holds the worker ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LoopBlocked(Observation):
    """The event loop has not turned for ``seconds``: no async handler runs meanwhile. Heartbeats
    go on. ``activity`` names the handler that blocks it, where that is known."""

    seconds: float
    activity: ActivityTask | None
    stack: str


@dataclass(frozen=True, slots=True)
class LoopFreed(Observation):
    """The event loop turns again; it was blocked for ``seconds``."""

    seconds: float
    activity: ActivityTask | None


@dataclass(frozen=True, slots=True)
class HandlerProcessDied(Observation):
    """A handler process died by itself, or could not start. Its task, if it ran one, fails with
    ``HandlerDied``; one that it had not begun with runs in another process, and is not in
    ``task``. ``restart_in``: seconds before that type's next task gets a process."""

    pid: int | None
    how: str
    task: ActivityTask | None
    stderr: str
    restart_in: float


@dataclass(frozen=True, slots=True)
class HandlerNotStarted(Observation):
    """No handler process could be started, ``starts`` times in a row, so this task that waits for
    one fails. ``why``: the last one's error."""

    task: ActivityTask
    starts: int
    why: str


@dataclass(frozen=True, slots=True)
class HandlerLeft(Observation):
    """A handler left something of its whole process changed: signal handlers, timers, the working
    directory, variables (by name). ``put_back`` was put back before the next task (told once a
    type); ``stuck`` can't be, and the process is replaced."""

    activity: ActivityTask
    put_back: tuple[str, ...]
    stuck: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HandlerLogged(Observation):
    """A handler process logged something with structlog, at ``created`` (seconds since 1970)."""

    level: str
    event: str
    fields: Mapping[str, Any]
    logger: str | None
    created: float


@dataclass(frozen=True, slots=True)
class HandlerRecorded(Observation):
    """A handler process logged something with the standard library. ``record`` has the attributes
    of its ``logging.LogRecord``, ``fields`` what it was given beside them, and the task's ids."""

    record: Mapping[str, Any]
    fields: Mapping[str, Any]


# --- asked for with SIGUSR1 ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class WorkerReported(Observation):
    """What the worker does now; ``TaskReported`` and ``ThreadReported`` follow."""

    phase: str
    open_polls: int
    tasks: int


@dataclass(frozen=True, slots=True)
class TaskReported(Observation):
    """One task that is not over. ``phase`` is one of ``swf_worker.core.execution.Phase``'s values,
    ``seconds`` count since the poll's answer, ``causes`` is what asked it to stop, and ``stack``
    tells where its handler is (None: it has ended)."""

    task: ActivityTask
    phase: str
    seconds: float
    causes: tuple[CancelReason, ...]
    stack: str | None


@dataclass(frozen=True, slots=True)
class ThreadReported(Observation):
    """Where a thread of the process is."""

    name: str
    stack: str


# --- one task -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TaskStarted(Observation):
    """A task was taken and its handler is being started (unless it waits: ``TaskHeld``)."""

    task: ActivityTask


@dataclass(frozen=True, slots=True)
class HandlerStarted(Observation):
    """The handler is called now, ``seconds`` after the poll's answer."""

    task: ActivityTask
    seconds: float


@dataclass(frozen=True, slots=True)
class TaskHeld(Observation):
    """As many handlers of its type run as its ``max_concurrent`` allows: the task waits in its
    slot, with its heartbeats."""

    task: ActivityTask
    max_concurrent: int


@dataclass(frozen=True, slots=True)
class StopAsked(Observation):
    """The handler was asked to stop."""

    task: ActivityTask
    reason: CancelReason


@dataclass(frozen=True, slots=True)
class HeartbeatAccepted(Observation):
    """SWF accepted a heartbeat."""

    task: ActivityTask
    cancel_requested: bool
    late_by: float


@dataclass(frozen=True, slots=True)
class HeartbeatLate(Observation):
    """A heartbeat left more than half its interval late: something holds the machine, the GIL
    or the senders. ``interval`` and ``late_by`` in seconds."""

    task: ActivityTask
    interval: float
    late_by: float


@dataclass(frozen=True, slots=True)
class HeartbeatFailed(Observation):
    """A heartbeat was not accepted and is tried again in ``retry_in`` seconds."""

    task: ActivityTask
    error: ServiceError
    retry_in: float


@dataclass(frozen=True, slots=True)
class HeartbeatIntervalGuessed(Observation):
    """Nothing tells the type's heartbeat timeout, so its tasks beat every ``interval`` seconds."""

    activity_type: ActivityType
    interval: float
    why: str


@dataclass(frozen=True, slots=True)
class InputUnclear(Observation):
    """At the start: a JSON object that names ``parameter`` may be meant as that parameter itself,
    or as an object of all of them. ``taken_as`` is how it is taken; ``input=`` of ``@activity``
    says which, and ends the warning."""

    activity_type: ActivityType
    parameter: str
    taken_as: str


@dataclass(frozen=True, slots=True)
class DetailsShortened(Observation):
    """Heartbeat details were over SWF's 2,048 characters, or no JSON (said once a task)."""

    task: ActivityTask
    why: str


@dataclass(frozen=True, slots=True)
class TaskDecided(Observation):
    """The handler ended and the decision stands. ``seconds`` since the poll's answer."""

    task: ActivityTask
    outcome: Outcome | None
    seconds: float
    error: BaseException | None = None


@dataclass(frozen=True, slots=True)
class AnswerRetried(Observation):
    """An answer was not accepted and is sent again in ``retry_in`` seconds."""

    task: ActivityTask
    outcome: Outcome
    error: ServiceError
    retry_in: float


@dataclass(frozen=True, slots=True)
class TaskEnded(Observation):
    """The task is over for this worker and its slot is free.

    ``disposition`` is one of ``swf_worker.core.execution.Disposition``'s values; ``beats`` counts
    the accepted heartbeats; ``answer_seconds`` went from the handler's end to the answer's
    acceptance.
    """

    task: ActivityTask
    disposition: str
    outcome: Outcome | None
    seconds: float
    beats: int
    error: ServiceError | None = None
    answer_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class HandlerStuck(Observation):
    """A handler that can't be killed ran past its deadline; its beats have stopped."""

    task: ActivityTask
    stack: str
