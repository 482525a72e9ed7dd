"""From marks to handlers: a subclass's marked methods, and ``handle_unregistered``."""

from __future__ import annotations

import inspect
import pickle
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from .activity import ActivityDefinition, ActivityMark, define, mark_of
from .context import ActivityContext
from .converter import JsonConverter
from .errors import ConfigurationError
from .options import OPTION_NAMES

_PUBLIC = OPTION_NAMES | {"activities", "error"}
Handler = Callable[..., Any]


def marked_methods(worker: Any, base: type) -> Iterator[tuple[Handler, ActivityMark]]:
    """The methods of a subclass of ``base`` that are handlers."""
    kind = type(worker)
    for name in dir(kind):
        mark = _inherited_mark(kind, name)
        if mark is None:
            continue
        if hasattr(base, name) or name in _PUBLIC:
            raise ConfigurationError(
                f"handler {kind.__name__}.{name} shadows {base.__name__}.{name}; name the method "
                f"otherwise and keep the type's name with @activity(name={name!r})"
            )
        method = getattr(worker, name)
        if callable(method):
            yield method, mark


def _inherited_mark(worker: type, name: str) -> ActivityMark | None:
    for level in worker.__mro__:
        found = vars(level).get(name)
        mark = mark_of(getattr(found, "__func__", found))  # of static and class methods, too
        if mark is not None:
            return mark
    return None


def mark_or_refuse(function: Handler) -> ActivityMark:
    """The mark of a function that is to be registered."""
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
