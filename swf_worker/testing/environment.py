"""``ActivityEnvironment``: runs a handler with no service, no worker and no thread."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from typing import Any

from ..codecs.chain import Codec, checked
from ..context import ActivityContext, ask_to_stop, current
from ..converter import Converter
from ..core.execution import Execution, Policy, step
from ..core.messages import StopCause
from ..definition import define, mark_of
from ..errors import ConfigurationError
from ..failure import FailureWording
from ..options import Wrapper
from ..outcome import Outcome
from ..payloads.writing import compact_json
from ..runtime.runners.event_loop import new_event_loop, running_loop
from ..runtime.tasks.invocation import CANCEL_MARK, Ended, Invocation
from ..task import ActivityTask, ActivityType, CancelReason, WorkflowExecution

TASK = ActivityTask(
    task_token="a-task-token",  # noqa: S106 (no password)
    activity_id="activity-1",
    activity_type=ActivityType("Activity", "1.0"),
    workflow_execution=WorkflowExecution("workflow-1", "run-1"),
    started_event_id=6,
)


class _Context(ActivityContext):
    """Keeps the heartbeats' details as the handler gave them."""

    def __init__(self, environment: ActivityEnvironment) -> None:
        super().__init__(environment.task, environment)
        self._environment = environment

    def heartbeat(self, details: Any = None) -> None:
        """Captured, and shortened or encoded as a real one would be."""
        super().heartbeat(details)
        self._environment.heartbeats.append(details)
        if self._environment.on_heartbeat is not None:
            self._environment.on_heartbeat(details)


def _name(handler: Callable[..., Any]) -> str:
    return getattr(handler, "__qualname__", None) or repr(handler)


class ActivityEnvironment:
    """One task, and a handler run on it: what it heartbeats is captured, and the test decides
    when it is asked to stop.

    task: the task the handler sees; a made-up one by default.
    on_heartbeat: called with each heartbeat's details: the place to cancel "midway".
    time_remaining: what ``context.time_remaining`` says.
    converter, codecs, wrappers: as the worker's, for ``outcome``.
    """

    def __init__(
        self,
        task: ActivityTask = TASK,
        *,
        on_heartbeat: Callable[[Any], object] | None = None,
        time_remaining: float | None = None,
        converter: Converter | None = None,
        codecs: Sequence[Codec] = (),
        wrappers: Sequence[Wrapper] = (),
    ) -> None:
        self.task = task
        self.on_heartbeat = on_heartbeat
        self.heartbeats: list[Any] = []
        """The details of each ``context.heartbeat(...)``, in order."""
        self.warnings: list[str] = []
        """Why heartbeat details were shortened or reworded."""
        self.stopping = False
        """What ``context.worker_stopping`` says."""
        self.context: ActivityContext = _Context(self)
        self._time_remaining = time_remaining
        self._converter = converter
        self._codecs = checked(codecs)
        self._wrappers = wrappers
        self._asked: list[CancelReason] = []
        self._interrupts: list[Callable[[], object]] = []

    # --- stop causes, at will -------------------------------------------------------------------

    def cancel(self) -> None:
        """SWF asks for the cancellation: the next heartbeat reported it."""
        self.ask(CancelReason.REQUESTED)

    def shutdown(self) -> None:
        """The worker's drain is over."""
        self.stopping = True
        self.ask(CancelReason.WORKER_SHUTDOWN)

    def close_task(self) -> None:
        """SWF has closed the task."""
        self.ask(CancelReason.TASK_CLOSED)

    def ask(self, reason: CancelReason) -> None:
        """Ask the handler to stop, for any cause, from any thread."""
        self._asked.append(reason)
        ask_to_stop(self.context, reason)
        for interrupt in self._interrupts:
            interrupt()

    # --- running --------------------------------------------------------------------------------

    def run(self, handler: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call the handler with Python values, as any function, and return what it returns or
        raise what it raises. The context is filled in for the parameter that takes it. For an
        async handler, ``await`` the result."""
        call = self._with_context(handler, args, kwargs)
        if inspect.iscoroutinefunction(handler):
            return self._interruptible(call())

        def called() -> Any:
            current.set(self.context)
            return call()

        return contextvars.copy_context().run(called)

    def outcome(
        self,
        handler: Callable[..., Any],
        input: Any = None,  # noqa: A002 (SWF's name)
        *,
        raw_input: str | None = None,
    ) -> Outcome | None:
        """What SWF would be answered: the input decoded, the handler run, the result encoded,
        the outcome decided as the worker does. None: nothing (the task is closed, or handed
        over). ``input`` is a Python value that is encoded as JSON, ``raw_input`` literal text."""
        invocation = self._invocation(handler, input, raw_input)
        if invocation.definition.is_async:
            if running_loop() is not None:
                raise RuntimeError(
                    f"outcome() can't run the async handler {_name(handler)} in an async test: use "
                    "`await environment.outcome_async(...)`"
                )
            with asyncio.Runner(loop_factory=new_event_loop) as runner:
                return self._decided(runner.run(self._interruptible(invocation.run_async())))
        return self._decided(invocation.run())

    async def outcome_async(
        self,
        handler: Callable[..., Any],
        input: Any = None,  # noqa: A002 (SWF's name)
        *,
        raw_input: str | None = None,
    ) -> Outcome | None:
        """``outcome``, for an async handler in an async test."""
        invocation = self._invocation(handler, input, raw_input)
        if not invocation.definition.is_async:
            raise TypeError(
                f"outcome_async() is for async handlers, and {_name(handler)} is a plain function: "
                "use outcome()"
            )
        return self._decided(await self._interruptible(invocation.run_async()))

    def _invocation(
        self, handler: Callable[..., Any], value: Any, raw_input: str | None
    ) -> Invocation:
        mark = mark_of(handler)
        if mark is None:
            raise ConfigurationError(f"{handler!r} is not marked with @activity")
        text = raw_input if raw_input is not None else None
        if raw_input is None and value is not None:
            text = compact_json(value)
        definition = define(handler, mark, self._converter, self._codecs)
        self.task = replace(self.task, input=text, activity_type=definition.type)
        self.context.task = self.task
        return Invocation(definition, self.context, self._wrappers)

    def _decided(self, ended: Ended) -> Outcome | None:
        state = Execution(Policy(wording=FailureWording().of(self._converter, self._codecs)))
        for reason in self._asked:
            state, _ = step(state, StopCause(reason))
        state, _ = step(state, ended.event)
        return state.answer

    def _with_context(
        self, handler: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Callable[[], Any]:
        mark = mark_of(handler)
        if mark is None:
            raise ConfigurationError(f"{handler!r} is not marked with @activity")
        signature = define(handler, mark, self._converter).signature
        given, named = list(args), dict(kwargs)
        if signature.context not in named:
            given, named = signature.call(given, named, self.context)
        return lambda: handler(*given, **named)

    async def _interruptible(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        loop = asyncio.get_running_loop()

        async def inside() -> Any:
            current.set(self.context)
            return await coroutine

        task = loop.create_task(inside())

        def interrupt() -> None:
            loop.call_soon_threadsafe(task.cancel, CANCEL_MARK)

        self._interrupts.append(interrupt)
        if self._asked:
            interrupt()
        try:
            return await task
        finally:
            self._interrupts.remove(interrupt)

    # --- what the context asks ------------------------------------------------------------------

    def progress(self, details: str | None) -> None:
        """Captured by the context."""

    def shortened(self, why: str) -> None:
        """Kept in ``warnings``."""
        self.warnings.append(why)

    def worker_stopping(self) -> bool:
        """``stopping``."""
        return self.stopping

    def time_remaining(self) -> float | None:
        """As given."""
        return self._time_remaining
