"""``@activity`` marks a function; a worker turns the mark into an ``ActivityDefinition``."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Required, TypedDict, TypeVar, Unpack

from .checks import (
    check_converter,
    check_duration,
    check_keywords,
    check_name,
    check_number,
    check_version,
    check_whole,
)
from .errors import ConfigurationError
from .options import Duration
from .task import ActivityType

if TYPE_CHECKING:
    from .codecs.chain import Codec
    from .converter import Converter
    from .failure import FailureWording
    from .inputs import Inputs
    from .signature import HandlerSignature

Handler = TypeVar("Handler", bound=Callable[..., Any])
_MARK = "__swf_activity__"

TIMEOUT_NAMES = (
    "heartbeat_timeout",
    "start_to_close_timeout",
    "schedule_to_start_timeout",
    "schedule_to_close_timeout",
)
"""The registration defaults that are timeouts, as ``@activity`` and ``LocalSwf`` name them."""


class ActivityOptions(TypedDict, total=False):
    """The keywords of ``@activity(...)``, which documents them."""

    name: str | None
    version: Required[str]
    isolation: Literal["thread", "process"]
    heartbeat_interval: float | None
    deadline: float | None
    heartbeat_deadline: float | None
    heartbeat_timeout: Duration | None
    start_to_close_timeout: Duration | None
    schedule_to_start_timeout: Duration | None
    schedule_to_close_timeout: Duration | None
    default_task_list: str | None
    description: str | None
    max_concurrent: int | None
    converter: Converter | None
    codecs: Sequence[Codec] | None
    input: Literal["whole", "members"] | None
    manual_completion: bool
    cancel_kills: bool
    failure_messages: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityMark:
    """What ``@activity`` was given. Unchecked: the worker's construction validates it."""

    name: str | None = None
    version: str = ""
    isolation: Literal["thread", "process"] = "thread"
    heartbeat_interval: float | None = None
    deadline: float | None = None
    heartbeat_deadline: float | None = None
    heartbeat_timeout: Duration | None = None
    start_to_close_timeout: Duration | None = None
    schedule_to_start_timeout: Duration | None = None
    schedule_to_close_timeout: Duration | None = None
    default_task_list: str | None = None
    description: str | None = None
    max_concurrent: int | None = None
    converter: Converter | None = None
    codecs: Sequence[Codec] | None = None
    input: Literal["whole", "members"] | None = None
    manual_completion: bool = False
    cancel_kills: bool = False
    failure_messages: bool = False


def activity(
    function: Any = None, /, **options: Unpack[ActivityOptions]
) -> Callable[[Handler], Handler]:
    """Mark a function or method as the handler of an activity type, and return it unchanged.

    name: SWF's name of the activity type, 1 to 256 characters; the function's by default.
    version: SWF's version of it, 1 to 64 characters.
    isolation: where a plain function runs; an ``async def`` runs on the worker's event loop.
    heartbeat_interval: seconds between beats; by default a third of the heartbeat timeout.
    deadline: the worker's own limit in seconds, counted from the poll's answer: the handler is
        asked to stop before it (``CancelReason.TIMED_OUT``). Off by default.
    heartbeat_deadline: ask to stop (``LEASE_LOST``) when no beat was accepted for so many
        seconds. Off by default.
    heartbeat_timeout: a registration default (RegisterActivityType), as the next five: seconds
        without a heartbeat after which SWF times a task out. Whole seconds or "NONE", as the other
        timeouts. A decider may override each of them, so they set beat intervals and estimates,
        and never stop a handler.
    start_to_close_timeout: the seconds that a task may take once a worker has it.
    schedule_to_start_timeout: the seconds that a task may wait for a worker.
    schedule_to_close_timeout: the seconds that both may take together.
    default_task_list: where tasks go whose decider names no task list.
    description: the type's description, at most 1,024 characters.
    max_concurrent: how many tasks of this type run at once in a worker.
    converter: how this type's payloads are read and written; the worker's by default.
    codecs: what this type's texts go through behind the converter (``swf_worker.codecs``); the
        worker's by default, and [] for none.
    input: "whole" gives the decoded input to the one parameter that has no default, "members"
        spreads a JSON object over the parameters. By default one parameter is whole and several
        are members, and an input of before a parameter was added or taken away still fits where
        it can be told; where it can't, the start warns.
    manual_completion: the handler's return answers nothing: whoever holds the token answers.
    cancel_kills: a process that ignores a cancel request is killed.
    failure_messages: an input that code of the user's refuses (a validator, a ``__post_init__``)
        fails with that code's own words. They may quote the input, so by default only the place
        and the kind go out.

    Nothing else is checked here: ``ActivityWorker(...)`` raises ConfigurationError.
    """
    mark = new_mark(function, **options)

    def put_mark(function: Handler) -> Handler:
        given: object = function
        check_version_given(mark, given)
        if not callable(given) and not isinstance(given, classmethod):
            raise ConfigurationError(
                f"@activity marks functions and methods, not a {type(given).__name__} ({given!r})"
            )
        try:
            setattr(function, _MARK, mark)
        except AttributeError:
            raise ConfigurationError(
                f"{function!r} can't be marked: put @activity on the function's definition, or "
                "register it with @worker.activity(...)"
            ) from None
        return function

    return put_mark


def new_mark(function: Any = None, /, **options: Unpack[ActivityOptions]) -> ActivityMark:
    """A mark of these options. ``function`` is what ``@activity`` without parentheses gets."""
    check_keywords("activity()", options, ActivityOptions.__annotations__)
    mark = ActivityMark(**options)
    if function is not None:
        check_version_given(mark, function)
    return mark


def check_version_given(mark: ActivityMark, function: object) -> None:
    """ConfigurationError that names the function, where its mark has no version."""
    if not mark.version:
        raise ConfigurationError(
            f"{_label(function)}: @activity needs a version, as SWF's activity types do: "
            '@activity(version="1.0")'
        )


def _label(function: object) -> str:
    code = getattr(function, "__code__", None)
    place = f" ({code.co_filename}, line {code.co_firstlineno})" if code is not None else ""
    return f"{getattr(function, '__qualname__', None) or repr(function)}{place}"


def mark_of(function: object) -> ActivityMark | None:
    """The mark that ``@activity`` left on ``function``, or None."""
    mark = getattr(function, _MARK, None)
    return mark if isinstance(mark, ActivityMark) else None


@dataclass(frozen=True, slots=True)
class ActivityDefinition:
    """A validated handler: its type, its function, how to call it, its options."""

    type: ActivityType
    function: Callable[..., Any]
    signature: HandlerSignature
    inputs: Inputs
    converter: Converter
    codecs: tuple[Codec, ...]
    options: ActivityMark
    is_async: bool
    does_io: bool
    """Whether its payloads may have to be fetched or put somewhere: not on the event loop."""

    def wording(self, wording: FailureWording) -> FailureWording:
        """How this type's failures are worded."""
        return wording.of(self.converter, self.codecs)

    @property
    def mode(self) -> Literal["thread", "async", "process"]:
        """Where its handler runs."""
        return "async" if self.is_async else self.options.isolation


def define(
    function: Callable[..., Any],
    mark: ActivityMark,
    default_converter: Converter | None,
    default_codecs: Sequence[Codec] = (),
) -> ActivityDefinition:
    """Validate a marked function; ConfigurationError says what is allowed."""
    from .codecs.chain import checked
    from .converter import JsonConverter  # here: a mark alone is light
    from .inputs import inputs_of
    from .signature import HandlerSignature

    label = getattr(function, "__qualname__", None) or repr(function)
    name = mark.name if mark.name is not None else getattr(function, "__name__", None)
    check_name(f"the activity name of {label}", name)
    assert isinstance(name, str)
    where = f"activity {name}"
    check_version(f"{where}: version", mark.version)
    _check_numbers(where, mark)
    _check_choices(where, mark)
    is_async = _check_kind(where, function)
    if mark.isolation == "process":
        if is_async:
            raise ConfigurationError(f"{where}: an async handler can't have isolation='process'")
        _check_process(where, function)
    converter = mark.converter or default_converter or JsonConverter()
    check_converter(f"{where}: converter", converter)
    codecs = default_codecs if mark.codecs is None else mark.codecs
    coded_by = checked(codecs, f"{where}: codecs") if codecs else ()
    signature = HandlerSignature.of(where, function)
    inputs = inputs_of(
        where,
        signature,
        converter,
        mark.input,
        codecs=coded_by,
        with_messages=mark.failure_messages,
    )
    return ActivityDefinition(
        type=ActivityType(name, mark.version),
        function=function,
        signature=signature,
        inputs=inputs,
        converter=converter,
        codecs=coded_by,
        options=mark,
        is_async=is_async,
        does_io=bool(coded_by) or bool(getattr(converter, "does_io", False)),
    )


def _check_process(where: str, function: Callable[..., Any]) -> None:
    """What another process can't import can't run there."""
    plain = function.func if isinstance(function, functools.partial) else function
    kind = None
    if inspect.ismethod(plain):
        kind = "a method, which needs the worker itself"
    elif getattr(plain, "__name__", "") == "<lambda>":
        kind = "a lambda, which no other process can import"
    elif "<locals>" in getattr(plain, "__qualname__", ""):
        kind = "defined inside another function, where no other process can import it"
    if kind is not None:
        raise ConfigurationError(
            f"{where}: its handler is {kind}; isolation='process' needs a function at the top "
            "level of a module. Move it there, or leave isolation out to run it in a thread"
        )


def _check_numbers(where: str, mark: ActivityMark) -> None:
    for seconds in ("heartbeat_interval", "deadline", "heartbeat_deadline"):
        value = getattr(mark, seconds)
        if value is not None:
            check_number(f"{where}: {seconds}", value, 0.1, 31_536_000)
    for timeout in TIMEOUT_NAMES:
        value = getattr(mark, timeout)
        if value is not None:
            check_duration(f"{where}: {timeout}", value)
    if mark.max_concurrent is not None:
        check_whole(f"{where}: max_concurrent", mark.max_concurrent, 1, 100_000)


def _check_choices(where: str, mark: ActivityMark) -> None:
    for option, value, allowed in (
        ("isolation", mark.isolation, ("thread", "process")),
        ("input", mark.input, (None, "whole", "members")),
    ):
        if value not in allowed:
            raise ConfigurationError(f"{where}: {option} is {value!r}: allowed are {allowed}")
    if mark.default_task_list is not None:
        check_name(f"{where}: default_task_list", mark.default_task_list)
    if mark.cancel_kills and mark.isolation != "process":
        raise ConfigurationError(f"{where}: cancel_kills needs isolation='process'")


def _check_kind(where: str, function: Callable[..., Any]) -> bool:
    plain = function.func if isinstance(function, functools.partial) else function
    if inspect.isclass(plain):
        raise ConfigurationError(f"{where}: a class can't be a handler; mark a function or method")
    if inspect.isgeneratorfunction(plain) or inspect.isasyncgenfunction(plain):
        raise ConfigurationError(f"{where}: a generator can't be a handler; return the result")
    if inspect.iscoroutinefunction(plain):
        return True
    if inspect.iscoroutinefunction(inspect.unwrap(plain)):
        raise ConfigurationError(
            f"{where}: a decorator wraps the async handler in a plain function, whose coroutine "
            "nobody would await; make the decorator's inner function `async def`, and await the "
            "handler in it"
        )
    return False
