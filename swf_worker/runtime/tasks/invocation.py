"""Decode, call, encode: one handler run, in whatever thread or loop it belongs, as one event for
the machine. Nothing a handler raises gets past here."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import os
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from typing import Any, NoReturn, TypeVar

from ...coded import coded_result
from ...context import ActivityContext, current
from ...converter import encoded_result
from ...core.messages import (
    Event,
    HandlerCanceled,
    HandlerFailed,
    HandlerHandedOver,
    HandlerReturned,
)
from ...definition import ActivityDefinition
from ...errors import (
    ActivityCanceled,
    CodecError,
    InputDecodeError,
    PayloadTooLargeError,
    ResultEncodeError,
)
from ...failure import FailureWording
from ...options import Wrapper
from ...outcome import MAX_REASON, Completed, Failed, FailureReason
from ...signature import Arguments

_BARE = nullcontext()
T = TypeVar("T")

CANCEL_MARK = "swf_worker asks the handler to stop"
"""The message of every CancelledError that we deliver: how ours are told from others'."""

_WAITS = (1.0, 2.0, 4.0, 8.0, *[15.0] * 20)
"""Seconds between the tries of a result's codecs: five minutes in all."""

_REASONS: dict[type[BaseException], FailureReason] = {
    InputDecodeError: FailureReason.INPUT_DECODE_ERROR,
    ResultEncodeError: FailureReason.RESULT_ENCODE_ERROR,
    PayloadTooLargeError: FailureReason.PAYLOAD_TOO_LARGE,
}


@dataclass(frozen=True, slots=True)
class Ended:
    """How a handler run ended: the machine's event, and what was raised (for the logs)."""

    event: Event
    error: BaseException | None = None


@dataclass(slots=True)
class Invocation:
    """One call of one handler."""

    definition: ActivityDefinition
    context: ActivityContext
    wrappers: Sequence[Wrapper] = ()
    wording: FailureWording = field(default_factory=FailureWording)
    _raised: BaseException | None = None

    def run(self) -> Ended:
        """A plain function, here and now, in a context of its own."""
        process = os.getpid()
        ended = contextvars.copy_context().run(self._run)
        if os.getpid() != process:
            end_of_fork(ended.error)
        return ended

    def _run(self) -> Ended:
        current.set(self.context)
        try:
            args, kwargs = self._arguments()
            with self._wrapped() if self.wrappers else _BARE:
                try:
                    value = self.definition.function(*args, **kwargs)
                    if inspect.isawaitable(value):
                        raise _not_awaited(value)
                except BaseException as error:
                    self._raised = error
                    raise
            return self._returned(value)
        except BaseException as error:
            return self._ended_by(error)

    async def run_async(self) -> Ended:
        """A coroutine function, on the loop this is awaited on."""
        process = os.getpid()
        current.set(self.context)
        try:
            beside = self.definition.does_io
            if beside:
                args, kwargs = await _in_a_thread(self._arguments)
            else:
                args, kwargs = self._arguments()
            with self._wrapped() if self.wrappers else _BARE:
                try:
                    value = await self.definition.function(*args, **kwargs)
                except BaseException as error:
                    self._raised = error
                    raise
            if beside:
                ended = await _in_a_thread(self._returned, value, finished=True)
            else:
                ended = self._returned(value)
        except BaseException as error:
            ended = self._ended_by(error)
        if os.getpid() != process:
            end_of_fork(ended.error)
        return ended

    def _arguments(self) -> Arguments:
        definition, context = self.definition, self.context
        args, kwargs = definition.inputs.read(context.task.input)
        return definition.signature.call(args, kwargs, context)

    @contextmanager
    def _wrapped(self) -> Iterator[None]:
        with ExitStack() as stack:
            for wrapper in self.wrappers:
                stack.enter_context(wrapper(self.context))
            yield
        if self._raised is not None:
            raise self._raised  # a wrapper swallowed it: a handler that raised has failed

    def _returned(self, value: Any) -> Ended:
        if self.definition.options.manual_completion:
            return Ended(HandlerHandedOver())
        definition = self.definition
        if definition.does_io:
            text = self._stored(value)
        else:
            text = encoded_result(definition.converter, value)
        return Ended(HandlerReturned(Completed(text)))

    def _text(self, value: Any) -> str | None:
        codecs = self.definition.codecs
        text = encoded_result(self.definition.converter, value, limited=not codecs)
        return coded_result(codecs, text) if codecs else text

    def _stored(self, value: Any) -> str | None:
        """A result that may be put somewhere. Hours of work may be in it: what may pass is tried
        again, while the heartbeats go on, until something asks to stop."""
        for wait in _WAITS:
            try:
                return self._text(value)
            except CodecError as error:
                if not error.may_pass:
                    raise ResultEncodeError(str(error)) from None
            if self.context.wait_for_stop(wait):
                break
        return self._text(value)

    def _ended_by(self, error: BaseException) -> Ended:
        try:
            return self._worded(error)
        except BaseException:  # whatever breaks in the wording, the task is answered
            return Ended(HandlerFailed(Failed(type(error).__name__[:MAX_REASON])), error)

    @property
    def _wording(self) -> FailureWording:
        return self.definition.wording(self.wording)

    def _worded(self, error: BaseException) -> Ended:
        _begin_in_handler(error)
        if isinstance(error, ActivityCanceled):
            return Ended(HandlerCanceled(self._wording.canceled(error.details)), error)
        if isinstance(error, asyncio.CancelledError):
            return self._cancelled(error)
        reason = _REASONS.get(type(error))
        if reason is not None and self._raised is None:
            failed = self._wording.of_sdk(reason, str(error))
        else:
            failed = self._wording.of_exception(error)
        return Ended(HandlerFailed(failed), error)

    def _cancelled(self, error: asyncio.CancelledError) -> Ended:
        if is_ours(error):
            return Ended(HandlerCanceled(), error)
        failed = self._wording.of_sdk(
            FailureReason.CANCELLED_ERROR,
            "the handler let out a CancelledError that was not the worker's",
            error=error,
        )
        return Ended(HandlerFailed(failed), error)


async def _in_a_thread(work: Callable[..., T], *args: Any, finished: bool = False) -> T:
    """Beside the loop. Interrupted only afterwards: before the handler begins, and not at all once
    it has ``finished``, because finished work wins."""
    run = contextvars.copy_context().run
    future = asyncio.get_running_loop().run_in_executor(None, run, work, *args)
    interrupt: asyncio.CancelledError | None = None
    while not future.done():
        try:
            await asyncio.shield(future)
        except asyncio.CancelledError as error:
            interrupt = error
        except BaseException:
            break  # the work's own: told below
    if interrupt is not None and not finished:
        raise interrupt
    return future.result()


def end_of_fork(error: BaseException | None) -> NoReturn:
    """A process that the handler has forked came back from it as well. Its task is not that one's
    to answer, nor are polls its to open: it ends here, as a program does that has ended so."""
    code = 0
    if isinstance(error, SystemExit):
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    elif error is not None:
        code = 1
        with suppress(BaseException):  # an exception of the user's can do anything
            said = "".join(traceback.format_exception(error))
            os.write(2, said.encode(errors="backslashreplace"))
    os._exit(code & 0xFF)


def _begin_in_handler(error: BaseException) -> None:
    """Drop our own frames from the top of the traceback: they tell a reader nothing."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    if trace is not None:
        error.__traceback__ = trace


def is_ours(error: BaseException | None) -> bool:
    """Whether a CancelledError is, or came of, one that we delivered."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, asyncio.CancelledError) and CANCEL_MARK in error.args:
            return True
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return False


def _not_awaited(value: Any) -> TypeError:
    close: Callable[[], None] | None = getattr(value, "close", None)
    if close is not None:
        close()  # no "was never awaited" warning on top of the failure
    return TypeError(
        "the handler returned an awaitable that nobody awaits; declare it with `async def`"
    )
