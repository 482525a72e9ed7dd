"""Asks what the checks need to know: side by side, within seconds, changing nothing."""

from __future__ import annotations

import os
import queue
from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import partial
from typing import Any

from ...clock import now
from ...errors import ConfigurationError, ServiceError, ServiceUnavailableError
from ...options import OPTION_NAMES, Options
from ...runtime.threads.clock import start_daemon
from ...service.clients import OPERATOR_CALLS, is_local
from ...service.operator_calls import Credentials, OperatorCalls, patiently
from ...worker import ActivityWorker
from .facts import Reached, Told, WorkerFacts

Key = tuple[int, str, Hashable]
"""One of an answer: of which worker, or way, which call, and of what."""
Jobs = dict[Key, Callable[[], Any]]

REACHING = 4.5
"""Seconds to find credentials, and to hear anything of the endpoint."""
ASKING = 4.0
"""Seconds for all that SWF and STS are then asked."""
_AGAIN = 2.0
"""Seconds in which a call that is throttled, or breaks off, is made again."""
_CREDENTIALS, _GREETING, _CALLER = "credentials", "greeting", "GetCallerIdentity"
_DOMAIN, _PENDING, _TYPE = "DescribeDomain", "CountPendingActivityTasks", "DescribeActivityType"


def gather(workers: Sequence[ActivityWorker]) -> list[WorkerFacts]:
    """The facts of each worker. Takes REACHING and ASKING seconds at most."""
    ways = {way_of(worker): _Way(worker) for worker in workers}
    way_of_each = [ways[way_of(worker)] for worker in workers]
    try:
        _reach(list(ways.values()))
        told = _ask(workers, way_of_each)
    finally:
        for way in ways.values():
            way.close()
    return [
        WorkerFacts(
            options_of(worker),
            worker.definitions,
            way.reached,
            answers,
            type(worker).handle_unregistered is not ActivityWorker.handle_unregistered,
        )
        for worker, way, answers in zip(workers, way_of_each, told, strict=True)
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
        self.reached = Reached(_late(_CREDENTIALS, 0), local=is_local(worker))
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
    jobs: Jobs = {}
    for number, way in enumerate(ways):
        if not isinstance(way.reached.credentials, ConfigurationError):
            jobs[number, _CREDENTIALS, None] = way.credentials.find
        if way.calls is not None:
            jobs[number, _GREETING, None] = partial(patiently, way.calls.greet, 1.0)
    answers = side_by_side(jobs, REACHING)
    for number, way in enumerate(ways):
        found = way.reached.credentials
        way.reached.credentials = answers.get((number, _CREDENTIALS, None), found)
        way.reached.greeting = answers.get((number, _GREETING, None))


def _ask(workers: Sequence[ActivityWorker], ways: Sequence[_Way]) -> list[Told | None]:
    """What SWF says of each; None where it can't be asked."""
    jobs: Jobs = {}
    for number, (worker, way) in enumerate(zip(workers, ways, strict=True)):
        if way.calls is not None and way.usable:
            jobs |= _questions(number, worker, way.calls)
            if way.asks_sts:
                jobs[id(way), _CALLER, None] = way.calls.caller
    answers = side_by_side(jobs, ASKING)
    told = [_told(number, worker, answers) for number, worker in enumerate(workers)]
    for way, of_worker in zip(ways, told, strict=True):
        way.reached.caller = answers.get((id(way), _CALLER, None))
        way.reached.heard |= of_worker is not None and of_worker.answered
    return told


def _questions(number: int, worker: ActivityWorker, calls: OperatorCalls) -> Jobs:
    domain, task_list = worker.domain, worker.task_list
    asked: Jobs = {
        (number, _DOMAIN, None): partial(calls.is_domain_deprecated, domain),
        (number, _PENDING, None): partial(calls.count_pending, domain, task_list),
    }
    for definition in worker.definitions:
        asked[number, _TYPE, definition.type] = partial(calls.describe, domain, definition.type)
    return {key: partial(patiently, call, _AGAIN) for key, call in asked.items()}


def _told(number: int, worker: ActivityWorker, answers: Mapping[Key, Any]) -> Told | None:
    if (number, _DOMAIN, None) not in answers:
        return None
    types = (definition.type for definition in worker.definitions)
    return Told(
        answers[number, _DOMAIN, None],
        answers[number, _PENDING, None],
        {kind: answers[number, _TYPE, kind] for kind in types},
    )


def side_by_side(jobs: Jobs, seconds: float) -> dict[Key, Any]:
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
            ended.put((key, _answer(key[1], jobs[key])))

    for number in range(min(len(jobs), OPERATOR_CALLS)):
        start_daemon(f"check-{number}", work)
    answers: dict[Key, Any] = {}
    while len(answers) < len(jobs):
        try:
            key, answer = ended.get(timeout=max(0.0, until - now()))
        except queue.Empty:
            break
        answers[key] = answer
    return {key: answers.get(key, _late(key[1], seconds)) for key in jobs}


def _answer(name: str, call: Callable[[], Any]) -> Any:
    try:
        return call()
    except ServiceError as error:
        return error
    except Exception as error:  # a session, or a tracer, of the user's
        return ServiceError(name, "", f"{type(error).__name__}: {error}")


def _late(name: str, seconds: float) -> ServiceError:
    return ServiceUnavailableError(name, "", f"no answer within {seconds:g} s")
