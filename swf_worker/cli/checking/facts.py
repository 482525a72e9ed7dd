"""Asks what the checks need to know: side by side, within seconds, changing nothing."""

from __future__ import annotations

import os
import queue
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from ...clock import now
from ...core.registered_types import RegisteredType
from ...definition import ActivityDefinition
from ...errors import (
    ConfigurationError,
    OperationNotPermittedFault,
    ServiceError,
    ServiceUnavailableError,
)
from ...options import OPTION_NAMES, Options
from ...runtime.threads.clock import start_daemon
from ...service.clients import OPERATOR_CALLS, Where, is_local
from ...service.faults import NOT_PERMITTED
from ...service.operator_calls import Credentials, Greeting, OperatorCalls, Pending, patiently
from ...task import ActivityType
from ...worker import ActivityWorker

Key = TypeVar("Key", bound=Hashable)
Answer = TypeVar("Answer")

REACHING = 4.5
"""Seconds to find credentials, and to hear anything of the endpoint."""
ASKING = 4.0
"""Seconds for all that SWF and STS are then asked."""
_AGAIN = 2.0
"""Seconds in which a call that is throttled, or breaks off, is made again."""


@dataclass(slots=True)
class Reached:
    """One way to SWF: workers may share it."""

    credentials: str | ServiceError | ConfigurationError
    """The provider that has some."""
    where: Where | None = None
    endpoint: str = ""
    local: bool = False
    set_up: ConfigurationError | None = None
    """Why there is no way: no region, say."""
    greeting: Greeting | ServiceError | None = None
    heard: bool = False
    """SWF has answered a signed call, whatever it said."""
    caller: str | ServiceError | None = None
    """Whose credentials they are; None: STS was not asked."""

    @property
    def answers(self) -> bool:
        """Whether SWF is there."""
        return self.heard or isinstance(self.greeting, Greeting)


@dataclass(slots=True)
class Told:
    """What SWF says of one worker's domain, task list and types."""

    deprecated: bool | ServiceError
    """Of the domain."""
    pending: Pending | ServiceError
    types: dict[ActivityType, RegisteredType | ServiceError] = field(default_factory=dict)

    @property
    def answered(self) -> bool:
        """Whether any of it is SWF's word."""
        every = (self.deprecated, self.pending, *self.types.values())
        return any(not isinstance(each, ServiceError) or each.request_id for each in every)

    @property
    def refused(self) -> ServiceError | None:
        """An error of the credentials themselves, or of the clock: every call meets it."""
        for answer in (self.deprecated, self.pending, *self.types.values()):
            if isinstance(answer, OperationNotPermittedFault) and not is_denied(answer):
                return answer
        return None


@dataclass(frozen=True, slots=True)
class WorkerFacts:
    """One worker."""

    options: Options
    definitions: tuple[ActivityDefinition, ...]
    reached: Reached
    told: Told | None
    """None where nothing could be asked."""
    serves_any: bool = False
    """It has a ``handle_unregistered``."""

    @property
    def subject(self) -> str:
        """What its lines are about."""
        return f"{self.options.domain}/{self.options.task_list}"

    def registered(self, activity_type: ActivityType) -> RegisteredType | None:
        """A type as it is registered, where that is known."""
        answer = None if self.told is None else self.told.types.get(activity_type)
        return answer if isinstance(answer, RegisteredType) else None


def is_denied(answer: object) -> bool:
    """Whether a call was refused because this identity may not make it."""
    return isinstance(answer, OperationNotPermittedFault) and answer.code in NOT_PERMITTED


def gather(workers: Sequence[ActivityWorker]) -> list[WorkerFacts]:
    """The facts of each worker. Takes REACHING and ASKING seconds at most."""
    ways = {way_of(worker): worker for worker in workers}
    calls = {way: _Way(worker) for way, worker in ways.items()}
    try:
        _reach(list(calls.values()))
        told = _ask(workers, [calls[way_of(worker)] for worker in workers])
    finally:
        for way in calls.values():
            way.close()
    return [
        WorkerFacts(
            options_of(worker),
            worker.definitions,
            calls[way_of(worker)].reached,
            answers,
            type(worker).handle_unregistered is not ActivityWorker.handle_unregistered,
        )
        for worker, answers in zip(workers, told, strict=True)
    ]


def options_of(worker: ActivityWorker) -> Options:
    """Its settled options."""
    return Options(**{name: getattr(worker, name) for name in OPTION_NAMES})


def way_of(worker: ActivityWorker) -> tuple[Hashable, ...]:
    """The same for workers that reach SWF in the same way."""
    return (worker.session, worker.region_name, worker.endpoint_url, id(worker.client_config))


class _Way:
    """One way to SWF, and what is known of it."""

    def __init__(self, worker: ActivityWorker) -> None:
        self.calls: OperatorCalls | None = None
        try:
            self.credentials = Credentials(worker)
        except ConfigurationError as error:  # no such profile: no region of it either
            self.reached = Reached(error, set_up=error)
            return
        self.reached = Reached(_late("credentials", 0), local=is_local(worker))
        try:
            self.calls = OperatorCalls(worker, self.credentials)
        except ConfigurationError as error:
            self.reached.set_up = error
        else:
            self.reached.where, self.reached.endpoint = self.calls.where, self.calls.endpoint

    @property
    def usable(self) -> bool:
        """Whether SWF can be asked. (An answer to what isn't signed that doesn't look like SWF's
        may still be: the signed calls tell.)"""
        greeting = self.reached.greeting
        status = greeting.code.isdigit() if isinstance(greeting, ServiceError) else True
        return isinstance(self.reached.credentials, str) and greeting is not None and status

    @property
    def asks_sts(self) -> bool:
        """Credentials for a local SWF mean nothing: they are not shown to AWS."""
        return not self.reached.local or bool(os.environ.get("AWS_ENDPOINT_URL_STS"))

    def close(self) -> None:
        if self.calls is not None:
            self.calls.close()


def _reach(ways: Sequence[_Way]) -> None:
    jobs: dict[tuple[int, str], Callable[[], Any]] = {}
    for number, way in enumerate(ways):
        if not isinstance(way.reached.credentials, ConfigurationError):
            jobs[number, "credentials"] = way.credentials.find
        if way.calls is not None:
            jobs[number, "connecting"] = partial(patiently, way.calls.greet, 1.0)
    answers = side_by_side(jobs, REACHING)
    for number, way in enumerate(ways):
        way.reached.credentials = answers.get((number, "credentials"), way.reached.credentials)
        way.reached.greeting = answers.get((number, "connecting"))


def _ask(workers: Sequence[ActivityWorker], ways: Sequence[_Way]) -> list[Told | None]:
    jobs: dict[tuple[Any, ...], Callable[[], Any]] = {}
    for number, (worker, way) in enumerate(zip(workers, ways, strict=True)):
        calls = way.calls
        if calls is None or not way.usable:
            continue
        if way.asks_sts:
            jobs["GetCallerIdentity", id(way)] = calls.caller
        domain = worker.domain
        asked: dict[tuple[Any, ...], Callable[[], Any]] = {
            ("DescribeDomain", number): partial(calls.is_domain_deprecated, domain),
            ("CountPendingActivityTasks", number): partial(
                calls.count_pending_activities, domain, worker.task_list
            ),
        }
        for definition in worker.definitions:
            key = ("DescribeActivityType", number, definition.type)
            asked[key] = partial(calls.describe, domain, definition.type)
        jobs.update({key: partial(patiently, call, _AGAIN) for key, call in asked.items()})
    answers = side_by_side(jobs, ASKING)
    told: list[Told | None] = []
    for number, (worker, way) in enumerate(zip(workers, ways, strict=True)):
        way.reached.caller = answers.get(("GetCallerIdentity", id(way)))
        if ("DescribeDomain", number) not in answers:
            told.append(None)
            continue
        kinds = [definition.type for definition in worker.definitions]
        of_worker = Told(
            answers["DescribeDomain", number],
            answers["CountPendingActivityTasks", number],
            {kind: answers["DescribeActivityType", number, kind] for kind in kinds},
        )
        way.reached.heard = way.reached.heard or of_worker.answered
        told.append(of_worker)
    return told


def side_by_side(jobs: Mapping[Key, Callable[[], Any]], seconds: float) -> dict[Key, Any]:
    """What each returns or raises: a ServiceError, which is also what one gets that takes longer
    than all have. (It is left to itself.)"""
    waiting: queue.SimpleQueue[Key] = queue.SimpleQueue()
    ended: queue.SimpleQueue[tuple[Key, Any]] = queue.SimpleQueue()
    for key in jobs:
        waiting.put(key)
    until = now() + seconds

    def work() -> None:
        while now() < until:
            try:
                key = waiting.get_nowait()
            except queue.Empty:
                return
            ended.put((key, _answer(_name(key), jobs[key])))

    for number in range(min(len(jobs), OPERATOR_CALLS)):
        start_daemon(f"check-{number}", work)
    answers: dict[Key, Any] = {}
    while len(answers) < len(jobs):
        try:
            key, answer = ended.get(timeout=max(0.0, until - now()))
        except queue.Empty:
            break
        answers[key] = answer
    return {key: answers.get(key, _late(_name(key), seconds)) for key in jobs}


def _name(key: Any) -> str:
    return next(part for part in key if isinstance(part, str))


def _answer(name: str, call: Callable[[], Any]) -> Any:
    try:
        return call()
    except ServiceError as error:
        return error
    except Exception as error:  # a session, or a tracer, of the user's
        return ServiceError(name, "", f"{type(error).__name__}: {error}")


def _late(name: str, seconds: float) -> ServiceError:
    return ServiceUnavailableError(name, "", f"no answer within {seconds:g} s")
