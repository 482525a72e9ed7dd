"""``swf-worker register MODULE:ATTRIBUTE …``: the types that workers serve, registered in SWF."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from ..core.registered_types import RegisteredType, registration
from ..definition import ActivityDefinition
from ..errors import ServiceError, ServiceUnavailableError, SwfWorkerError, UnknownResourceFault
from ..exit_codes import ExitCode
from ..service.clients import LOCAL_HINT, OPERATOR_CALLS
from ..service.operator_calls import Credentials, OperatorCalls, patiently
from ..service.refusals import refusal
from ..task import ActivityType
from ..worker import ActivityWorker
from .checking.asking import way_of
from .registering import Kind, Step, domain_step, type_steps, type_there, wanted
from .run import load_quietly
from .settings import whole

Result = TypeVar("Result")

FIRST = 5.0
PATIENCE = 30.0
"""Seconds in which the first call, and a later one, is made again, throttled say."""
_NOT_AS_SAID = (Kind.DRIFTED, Kind.MISSING)


def register(given: argparse.Namespace) -> int:
    """Print the plan, and carry it out."""
    days = whole("retention-days", given.retention_days, 0, 90)
    domains = [_Domain(group, given.create_domain, days) for group in _groups(load_quietly(given))]
    try:
        for domain in domains:
            domain.plan()
        steps = [step for domain in domains for step in domain.steps]
        for step in steps:
            print(step, flush=True)
        to_do = any(step.kind is Kind.REGISTER for step in steps)
        if to_do and given.dry_run:
            print("nothing was registered (--dry-run)")
        elif to_do:
            for domain in domains:
                domain.apply()
        elif not any(domain.failed for domain in domains):
            print("nothing to register")
    finally:
        for domain in domains:
            domain.close()
    failed = any(domain.failed for domain in domains)
    return ExitCode.FATAL if failed else ExitCode.DONE


def _groups(workers: Sequence[ActivityWorker]) -> list[list[ActivityWorker]]:
    """Workers of the same domain are registered together."""
    groups: dict[tuple[object, ...], list[ActivityWorker]] = {}
    for worker in workers:
        groups.setdefault((way_of(worker), worker.domain), []).append(worker)
    return list(groups.values())


class _Domain:
    """One domain, and the types that workers serve there."""

    def __init__(self, workers: Sequence[ActivityWorker], create: bool, days: int) -> None:
        self._name = workers[0].domain
        self._create, self._days = create, days
        self._wanted = wanted(each for worker in workers for each in worker.definitions)
        self._calls = OperatorCalls(workers[0], Credentials(workers[0]))
        self.steps: list[Step] = []

    @property
    def failed(self) -> bool:
        """Whether something is not registered as the code says."""
        deprecated = any(step.kind is Kind.DEPRECATED for step in self.steps[:1])
        kinds = {step.kind for step in self.steps}
        return bool(kinds & set(_NOT_AS_SAID)) or (deprecated and Kind.REGISTER in kinds)

    def close(self) -> None:
        """End its connections."""
        self._calls.close()

    # --- the plan -------------------------------------------------------------------------------

    def plan(self) -> None:
        """Look up what is there."""
        there = self._is_deprecated()
        self.steps = [domain_step(self._name, there, create=self._create, days=self._days)]
        if self.steps[0].kind is Kind.MISSING:
            return
        registered = {} if there is None else self._registered()
        self.steps += type_steps(self._name, self._wanted, registered)

    def _is_deprecated(self) -> bool | None:
        try:
            return self._call(lambda: self._calls.is_domain_deprecated(self._name), seconds=FIRST)
        except UnknownResourceFault:
            return None

    def _registered(self) -> dict[ActivityType, RegisteredType]:
        with ThreadPoolExecutor(OPERATOR_CALLS) as pool:
            answers = zip(self._wanted, pool.map(self._described, self._wanted), strict=True)
            return {kind: answer for kind, answer in answers if answer is not None}

    def _described(self, activity_type: ActivityType) -> RegisteredType | None:
        try:
            return self._call(partial(self._calls.describe, self._name, activity_type))
        except UnknownResourceFault:
            return None

    # --- carrying it out ------------------------------------------------------------------------

    def apply(self) -> None:
        """Register what the plan says."""
        first, *others = self.steps
        if first.kind is Kind.DEPRECATED:
            if self.failed:
                print(f"nothing was registered in {first.what}: it is deprecated", flush=True)
            return
        created = first.kind is Kind.REGISTER
        if created:
            self._call(lambda: self._calls.register_domain(self._name, self._days))
            print(f"registered {first.what}", flush=True)
        self.steps = [first, *(self._applied(step, created) for step in others)]

    def _applied(self, step: Step, created: bool) -> Step:
        definition = step.definition
        if step.kind is not Kind.REGISTER or definition is None:
            return step
        members = registration(definition)
        act = partial(self._calls.register_type, self._name, members)
        if self._call(act, appears=created):
            print(f"registered {step.what}", flush=True)
            return step
        return self._raced(step, definition)

    def _raced(self, step: Step, definition: ActivityDefinition) -> Step:
        """Somebody else has just registered it. (SWF may not tell yet as what.)"""
        there = self._described(definition.type)
        if there is None:
            print(f"{step.what} has just been registered by somebody else", flush=True)
            return step
        now = type_there(self._name, definition, there)
        print(f"{now} (it has just been registered by somebody else)", flush=True)
        return now

    def _call(
        self, call: Callable[[], Result], *, seconds: float = PATIENCE, appears: bool = False
    ) -> Result:
        try:
            return patiently(call, seconds, appears=appears)
        except UnknownResourceFault:
            raise
        except ServiceError as error:
            where = self._calls.where
            worded = refusal(error, where)
            if worded is not None:
                raise worded from error
            hint = f". {LOCAL_HINT}" if isinstance(error, ServiceUnavailableError) else ""
            said = f"{error} (domain {self._name!r}, region {where.region!r}){hint}"
            raise SwfWorkerError(said) from error
