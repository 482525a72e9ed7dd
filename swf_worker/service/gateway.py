"""The SwfService of production: one method an operation, one call an attempt."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..core.lifecycle import POLL_LIMIT
from ..core.registered_types import read_described
from ..errors import (
    MalformedResponseError,
    ServiceError,
    ServiceUnavailableError,
    SwfWorkerError,
)
from ..options import Options, default_identity
from ..outcome import Canceled, Completed, Failed, Outcome
from ..status import Backlog
from ..task import ActivityTask, ActivityType, WorkflowExecution
from .answers import NotAnAnswer
from .api import Overtime, Polled, RegisteredTimeouts, Timers
from .attempts import Attempt, Attempts
from .clients import Calls, build_clients
from .credentials import CredentialsRefresher, NoCredentialsError, ProviderChain
from .faults import CONNECTION_CODE, EXPIRED, translate, why_not_connected
from .refusals import refusal

ANSWER_LIMIT = 30.0
COUNT_LIMIT = 5.0


class TokenCalls:
    """The calls that need a task token and nothing else."""

    def __init__(
        self,
        beats: Calls,
        answers: Calls,
        timers: Timers,
        credentials: CredentialsRefresher | None = None,
    ) -> None:
        self._beats = beats
        self._answers = answers
        self._credentials = credentials
        self._attempts = Attempts(timers)

    def heartbeat(
        self, task_token: str, details: str | None, limit: float, overtime: Overtime | None = None
    ) -> bool:
        """RecordActivityTaskHeartbeat. Only the JSON value ``true`` is a request."""
        members = {"taskToken": task_token}
        if details is not None:
            members["details"] = details
        name = "RecordActivityTaskHeartbeat"
        answer = self._call(self._beats, name, limit, members, overtime)
        return answer.get("cancelRequested") is True

    def respond(self, task_token: str, outcome: Outcome) -> None:
        """The Respond call for ``outcome``."""
        members = {"taskToken": task_token}
        match outcome:
            case Completed(result):
                operation, given = "RespondActivityTaskCompleted", {"result": result}
            case Canceled(details):
                operation, given = "RespondActivityTaskCanceled", {"details": details}
            case Failed(reason, details):
                operation = "RespondActivityTaskFailed"
                given = {"reason": reason, "details": details}
        for name, text in given.items():
            if text is not None:
                members[name] = text
        self._call(self._answers, operation, ANSWER_LIMIT, members)

    def close(self) -> None:
        """Cut the attempts that still run or are about to, and close the clients' connections."""
        self._attempts.close()
        self._beats.close()
        self._answers.close()

    def _call(
        self,
        calls: Calls,
        operation: str,
        limit: float,
        members: dict[str, Any],
        overtime: Overtime | None = None,
    ) -> dict[str, Any]:
        attempt = self._attempts.begin(limit, overtime, calls.close)
        try:
            return calls.call(operation, members)
        except Exception as error:
            raise self._understood(operation, attempt, error, calls) from error
        finally:
            self._attempts.end(attempt)

    def _understood(
        self, operation: str, attempt: Attempt, error: Exception, calls: Calls
    ) -> ServiceError:
        _drop_frames(error)
        if attempt.cut_short and not isinstance(error, NoCredentialsError):
            # What died in silence on the way: others that were kept as long may have, too.
            calls.close()
            if attempt.sent is False:
                return ServiceUnavailableError(operation, CONNECTION_CODE, why_not_connected(error))
            said = f"no whole answer within {attempt.seconds:g} s"
            return ServiceUnavailableError(operation, "", said, ambiguous=True)
        refused = translate(operation, error, sent=attempt.sent)
        if refused.ambiguous and (not refused.code or isinstance(error, NotAnAnswer)):
            attempt.blame()
            calls.close()
        if refused.code in EXPIRED and self._credentials is not None:
            self._credentials.ended()
        return refused


class Boto3Service(TokenCalls):
    """SWF itself, by whichever way calls take. Building it does no I/O."""

    def __init__(
        self,
        options: Options,
        timers: Timers,
        *,
        senders: int,
        answerers: int,
        refresher_of: Callable[[ProviderChain], CredentialsRefresher],
    ) -> None:
        # Slot threads answer as well. (A pool's size costs nothing until it is used.)
        answerers += options.max_concurrent_activities
        clients = build_clients(
            options, senders=senders, answerers=answerers, refresher_of=refresher_of
        )
        super().__init__(clients.beats, clients.answers, timers, clients.credentials)
        self._clients = clients
        self._options = options
        self._identity = options.identity or default_identity()

    @property
    def why_boto3(self) -> str | None:
        """Why calls go through boto3's client; None where they go the direct way."""
        return self._clients.why_boto3

    @property
    def place(self) -> str:
        """Which SWF it is, by its region and address."""
        return f"{self._clients.where.url} {self._clients.where.region}"

    def poll(self) -> Polled:
        """PollForActivityTask: held by SWF for up to 60 s, cut at 75."""
        members = {
            "domain": self._options.domain,
            "taskList": {"name": self._options.task_list},
            "identity": self._identity,
        }
        answer = self._call(self._clients.polls, "PollForActivityTask", POLL_LIMIT, members)
        return read_poll(answer)

    def holds_poll(self, seconds: float) -> bool:
        """Whether a poll has left so long ago and is not answered. (Where a recorder or tracer has
        botocore's connections, nobody can tell.)"""
        return self._attempts.longest_unanswered(POLL_LIMIT) >= seconds

    def describe(self, activity_type: ActivityType) -> RegisteredTimeouts:
        """DescribeActivityType's heartbeat and start-to-close defaults."""
        members = {
            "domain": self._options.domain,
            "activityType": {"name": activity_type.name, "version": activity_type.version},
        }
        answer = self._call(self._clients.beats, "DescribeActivityType", ANSWER_LIMIT, members)
        registered = read_described(answer)
        return RegisteredTimeouts(
            heartbeat=registered.seconds("heartbeat_timeout"),
            start_to_close=registered.seconds("start_to_close_timeout"),
        )

    def count_pending(self) -> Backlog:
        """CountPendingActivityTasks, of the worker's own task list."""
        name = "CountPendingActivityTasks"
        members = {
            "domain": self._options.domain,
            "taskList": {"name": self._options.task_list},
        }
        return read_count(self._call(self._clients.beats, name, COUNT_LIMIT, members))

    def close(self) -> None:
        """Cut the attempts that still run or are about to, and close the clients' connections."""
        self._clients.credentials.close()
        super().close()
        self._clients.polls.close()

    def fatal_at_start(self, error: ServiceError) -> SwfWorkerError | None:
        """The error to stop with when the first poll is refused, None if waiting may mend it."""
        polled = f"domain {self._options.domain!r}, task list {self._options.task_list!r}, "
        return refusal(error, self._clients.where, polled)


def read_count(answer: dict[str, Any]) -> Backlog:
    """A count's answer."""
    count = answer.get("count")
    if isinstance(count, bool) or not isinstance(count, int):
        raise MalformedResponseError("CountPendingActivityTasks", "", "no count in the answer")
    return Backlog(count, answer.get("truncated") is True)


def read_poll(answer: dict[str, Any]) -> Polled:
    """A poll's answer as a task. An empty poll has no task token, or an empty one."""
    token = answer.get("taskToken")
    if not token:
        return Polled(None)
    if not isinstance(token, str):
        raise MalformedResponseError("PollForActivityTask", "", "a task token that is no text")
    activity, execution = answer.get("activityType"), answer.get("workflowExecution")
    activity = activity if isinstance(activity, dict) else {}
    execution = execution if isinstance(execution, dict) else {}
    texts, missing = [], []
    for name, text in (
        ("activityId", answer.get("activityId")),
        ("activityType.name", activity.get("name")),
        ("activityType.version", activity.get("version")),
        ("workflowExecution.workflowId", execution.get("workflowId")),
        ("workflowExecution.runId", execution.get("runId")),
    ):
        if not isinstance(text, str) or not text:
            text = ""
            missing.append(name)
        texts.append(text)
    given = answer.get("input")
    if given is not None and not isinstance(given, str):
        given = None
        missing.append("input")
    activity_id, type_name, version, workflow_id, run_id = texts
    task = ActivityTask(
        task_token=token,
        activity_id=activity_id,
        activity_type=ActivityType(type_name, version),
        workflow_execution=WorkflowExecution(workflow_id, run_id),
        started_event_id=answer["startedEventId"],
        input=given,
    )
    return Polled(task, tuple(missing))


def _drop_frames(error: BaseException | None) -> None:
    """Forget the frames of botocore, and urllib3's pool: they hold sockets open for as long as an
    error is kept."""
    waiting, seen = [error], set()
    while waiting:
        error = waiting.pop()
        if error is None or id(error) in seen:
            continue
        seen.add(id(error))
        error.__traceback__ = None
        for holder in ("pool", "_pool", "conn", "_conn"):
            if holder in vars(error):
                setattr(error, holder, None)
        waiting += [error.__cause__, error.__context__]
