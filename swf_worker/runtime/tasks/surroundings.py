"""What observers put around handlers. Whatever these raise, it is told and touches no task."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from ...definition import ActivityDefinition
from ...errors import ConfigurationError
from ...observer import Observer
from ...options import Options
from ...task import ActivityTask
from .invocation import Ended, Invocation

OnError = Callable[[BaseException, str], None]
Manager = AbstractContextManager[object]
Carrier = Mapping[str, str]
Attach = Callable[[Carrier], Manager]


def for_worker(observer: Observer, options: Options) -> Observer:
    """Who is told of the worker with these options."""
    bind = getattr(observer, "for_worker", None)
    if bind is None:
        return observer
    bound: Observer = bind(options.domain, options.task_list, options.identity)
    if not callable(getattr(bound, "observe", None)):
        raise ConfigurationError(
            f"observers: for_worker(...) of {observer!r} gave {bound!r}, which has no method "
            "observe(record)"
        )
    return bound


class Around:
    """Some context managers, as one that is entered once and raises nothing of theirs."""

    __slots__ = ("_entered", "_managers", "_on_error")

    def __init__(self, on_error: OnError) -> None:
        self._on_error = on_error
        self._managers: list[tuple[Manager, str]] = []
        self._entered: list[tuple[Manager, str]] = []

    def add(self, make: Callable[[Any], Manager], given: Any, where: str) -> None:
        """One more, inside of the others."""
        try:
            self._managers.append((make(given), where))
        except BaseException as error:
            self._on_error(error, where)

    def __enter__(self) -> None:
        for manager, where in self._managers:
            try:
                manager.__enter__()
                self._entered.append((manager, where))
            except BaseException as error:
                self._on_error(error, where)

    def __exit__(self, *_: object) -> None:
        while self._entered:
            manager, where = self._entered.pop()
            try:
                manager.__exit__(None, None, None)
            except BaseException as error:
                self._on_error(error, where)


@dataclass(slots=True)
class SurroundedInvocation(Invocation):
    """A call of a handler inside of what observers put around it."""

    around: Manager | None = None

    def _run(self) -> Ended:
        assert self.around is not None
        with self.around:
            return Invocation._run(self)

    async def run_async(self) -> Ended:
        """A coroutine function, on the loop this is awaited on."""
        assert self.around is not None
        with self.around:
            return await Invocation.run_async(self)


class Surroundings:
    """What one worker's observers put around its handlers."""

    def __init__(self, observers: Sequence[Observer], on_error: OnError) -> None:
        self._on_error = on_error
        self._arounds: list[tuple[Callable[[ActivityTask], Manager], str]] = []
        self._carriers: list[tuple[Callable[[ActivityTask], Carrier], str]] = []
        self.attaches: list[tuple[Attach, str]] = []
        """What handler processes make of the carriers, in their order."""
        for each in observers:
            name = f"the observer {type(each).__name__}"
            around, carrier, attach = (
                getattr(each, optional, None) for optional in ("around", "carrier", "attach")
            )
            if around is not None:
                self._arounds.append((around, name))
            if carrier is not None and attach is not None:
                self._carriers.append((carrier, name))
                self.attaches.append((attach, name))

    def __bool__(self) -> bool:
        return bool(self._arounds or self._carriers)

    def of(
        self, task: ActivityTask, definition: ActivityDefinition
    ) -> tuple[Around | None, list[Carrier]]:
        """What the task's handler runs in, here or in another process."""
        if definition.mode == "process":
            return None, [self._carrier(carrier, task, name) for carrier, name in self._carriers]
        around = Around(self._on_error)
        for make, name in self._arounds:
            around.add(make, task, name)
        return around, []

    def _carrier(self, carrier: Callable[..., Carrier], task: ActivityTask, name: str) -> Carrier:
        try:
            given = dict(carrier(task))
            for each in (*given, *given.values()):
                each.encode()  # a lone surrogate, or what is no text, can't be sent
            return given
        except BaseException as error:
            self._on_error(error, name)
            return {}
