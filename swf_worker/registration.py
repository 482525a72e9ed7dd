"""From marks to handlers: a subclass's marked methods, and ``handle_unregistered``."""

from __future__ import annotations

import functools
import inspect
import pickle
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from types import FunctionType
from typing import Any

from .context import ActivityContext
from .converter import JsonConverter
from .definition import ActivityDefinition, ActivityMark, define, mark_of
from .errors import ConfigurationError
from .options import OPTION_NAMES

_PUBLIC = OPTION_NAMES | {"activities", "error"}
_HOOKS = ("on_start", "on_stop", "on_process_start", "handle_unregistered", "on_fatal_error")
_SELF = ("self", "this", "worker", "_self", "_")
Handler = Callable[..., Any]


def marked_methods(worker: Any, base: type) -> Iterator[tuple[Handler, ActivityMark]]:
    """The methods of a subclass of ``base`` that are handlers."""
    kind = type(worker)
    for name in dir(kind):
        found = _marked(kind, name)
        if found is None:
            continue
        where, attribute, mark = found
        if hasattr(base, name) or name in _PUBLIC:
            raise ConfigurationError(
                f"handler {kind.__name__}.{name} shadows {base.__name__}.{name}; name the method "
                f"otherwise and keep the type's name with @activity(name={name!r})"
            )
        _check_method(f"{where.__name__}.{name}", where, attribute)
        yield getattr(worker, name), mark


def _marked(kind: type, name: str) -> tuple[type, object, ActivityMark] | None:
    """The class that marks this attribute, what it has there, and the mark. An override inherits
    the mark, and whatever wraps a marked function is found out."""
    for level in kind.__mro__:
        attribute = vars(level).get(name)
        for each in (attribute, *_wrapped(attribute)):
            mark = mark_of(each)
            if mark is not None:
                here = next(above for above in kind.__mro__ if name in vars(above))
                return here, vars(here)[name], mark
    return None


def _wrapped(attribute: object) -> Iterator[object]:
    """What a static or class method, a property or the like is made of."""
    for name in ("__func__", "fget", "func"):
        inner = getattr(attribute, name, None)
        if inner is not None:
            yield inner


def _check_method(where: str, kind: type, attribute: object) -> None:
    """A marked attribute must be what is called with the worker and the input."""
    if isinstance(attribute, (staticmethod, classmethod, functools.partialmethod)):
        return
    if mark_of(attribute) is None and any(mark_of(each) for each in _wrapped(attribute)):
        raise ConfigurationError(
            f"handler {where} is a {type(attribute).__name__}, which is read and not called: an "
            "activity is a method"
        )
    if not isinstance(attribute, FunctionType):
        return
    parameters = list(inspect.signature(attribute, follow_wrapped=False).parameters.values())
    first = parameters[0] if parameters else None
    if first is not None and first.kind is first.VAR_POSITIONAL:
        return  # a decorator's, which passes everything on
    if first is None or not _takes_the_worker(first, kind):
        said = "takes no parameter" if first is None else f"has {first.name!r} first"
        raise ConfigurationError(
            f"handler {where} {said}, where a method has self, and would get the worker in its "
            "place: write self before it, or put @staticmethod above @activity"
        )


def _takes_the_worker(first: inspect.Parameter, kind: type) -> bool:
    if first.annotation is first.empty:
        return first.name in _SELF
    annotated = getattr(first.annotation, "__name__", str(first.annotation)).strip("\"' ")
    return first.name in _SELF or annotated in ("Self", *(each.__name__ for each in kind.__mro__))


_NEAR = 0.85
"""How much alike an attribute and a name of ours are where the other one is meant."""


def check_attributes(kind: type, base: type) -> None:
    """ConfigurationError where a subclass has an attribute that is nearly an option's or a hook's:
    it would do nothing. (One that resembles none is the user's own.)"""
    own = [level for level in kind.__mro__ if issubclass(level, base) and level is not base]
    for level in own:
        for name, value in vars(level).items():
            if name.startswith("_") or name in _PUBLIC or hasattr(base, name):
                continue
            if mark_of(getattr(value, "__func__", value)) is not None:
                continue
            near = _HOOKS if isinstance(value, FunctionType) else _PUBLIC
            for meant in get_close_matches(name, sorted(near), n=1, cutoff=_NEAR):
                raise ConfigurationError(
                    f"{level.__name__}.{name} does nothing; did you mean {meant}? (An attribute of "
                    "your own needs another name.)"
                )


def mark_or_refuse(function: Handler) -> ActivityMark:
    """The mark of a function that is to be registered."""
    given: object = function
    if not callable(given):
        raise ConfigurationError(
            f"{given!r} is no function: activities takes the functions themselves (greet, not "
            "greet() nor 'greet')"
        )
    mark = mark_of(function)
    if mark is None:
        label = getattr(function, "__qualname__", repr(function))
        raise ConfigurationError(
            f"{label} is not marked: put @activity(version=...) above its definition"
        )
    return mark


def fallback_definition(handle_unregistered: Handler) -> ActivityDefinition:
    """An overridden ``handle_unregistered`` as a handler of any type."""
    mark = ActivityMark(name="handle_unregistered", version="-", converter=_RawInput())
    return define(_unregistered(handle_unregistered), mark, None)


def _unregistered(handle: Handler) -> Handler:
    if inspect.iscoroutinefunction(handle):

        async def awaited(context: ActivityContext, given: str | None = None) -> Any:
            return await handle(context, given)

        return awaited

    def called(context: ActivityContext, given: str | None = None) -> Any:
        return handle(context, given)

    return called


@dataclass(frozen=True)
class ProcessHook:
    """A subclass's ``on_process_start``, in a handler process."""

    kind: type
    attributes: dict[str, Any]

    def __call__(self) -> None:
        worker: Any = object.__new__(self.kind)
        vars(worker).update(self.attributes)
        worker.on_process_start()


def process_hook(worker: Any, base: Any) -> ProcessHook | None:
    """The hook of a subclass that overrides it; ConfigurationError where no child can run it."""
    kind = type(worker)
    if kind.on_process_start is base.on_process_start:
        return None
    if inspect.iscoroutinefunction(kind.on_process_start):
        raise ConfigurationError(
            f"{kind.__name__}.on_process_start is async: a handler process has no event loop"
        )
    if "<locals>" in kind.__qualname__:
        raise ConfigurationError(
            f"{kind.__name__} overrides on_process_start and is defined inside a function, where "
            "no handler process can import it: define it at the top level of a module"
        )
    own = {name: value for name, value in vars(worker).items() if not name.startswith("_")}
    return ProcessHook(kind, {name: value for name, value in own.items() if _pickles(value)})


def _pickles(value: object) -> bool:
    try:
        pickle.dumps(value)
    except Exception:  # it stays behind, as the docs say
        return False
    return True


class _RawInput:
    """For ``handle_unregistered``: raw text in; text out as it is, anything else as JSON."""

    def decode(self, text: str, wanted: Any) -> str:
        return text

    def encode(self, value: Any) -> str | None:
        return value if isinstance(value, str) else JsonConverter().encode(value)
