"""What a handler process is made of: the worker's functions, converters and wrappers, pickled.

Pickle refers to functions and classes by name, so whatever can't be imported in another process is
found out here, before any task is taken. Nothing that comes of a task is ever pickled.
"""

from __future__ import annotations

import pickle
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...codecs.chain import Codec
from ...converter import Converter
from ...definition import ActivityDefinition, ActivityMark
from ...errors import ConfigurationError
from ...options import Options, Wrapper
from ..process.interpreter import main_module
from ..process.recorded import recorded
from ..tasks.surroundings import Attach
from .records import levels
from .wire import Begin


@dataclass(frozen=True)
class ChildSetup:
    """Loaded once in each child."""

    activities: Sequence[tuple[Callable[..., Any], ActivityMark, Converter, tuple[Codec, ...]]]
    wrappers: Sequence[Wrapper]
    failure_tracebacks: bool
    on_process_start: Callable[[], object] | None
    attaches: Sequence[tuple[Attach, str]] = ()
    """What observers put around handlers, out of a task's carriers."""
    place: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        definitions: Sequence[ActivityDefinition],
        options: Options,
        on_process_start: Callable[[], object] | None,
        attaches: Sequence[tuple[Attach, str]],
    ) -> ChildSetup:
        """What the children of a worker's process activities are made of."""
        return cls(
            [(each.function, each.options, each.converter, each.codecs) for each in definitions],
            options.wrappers,
            options.failure_tracebacks,
            on_process_start,
            tuple(attaches),
            options.place,
        )


def begin(setup: ChildSetup) -> Begin:
    """The first frame of a child; ConfigurationError for what another process can't import."""
    for attach, name in setup.attaches:
        pickled_or_refused(f"attach of {name}", attach)
    pickled = pickled_or_refused("the worker", setup)
    main = main_module() if b"__main__" in pickled else None
    if main is None and b"__main__" in pickled:
        raise ConfigurationError(
            "a handler with isolation='process' is defined in an interactive session, where "
            "no other process can import it: put it into a module"
        )
    return Begin(
        [str(each) for each in sys.argv],
        main.name if main is not None else None,
        main.path if main is not None else None,
        pickled,
        log_levels=levels(),
        captures_warnings=warnings.showwarning.__module__ == "logging",
        as_records=recorded(2) is not None,
    )


def pickled_or_refused(what: str, value: object) -> bytes:
    """``value`` pickled; ConfigurationError where it can't cross to another process."""
    try:
        return pickle.dumps(value)
    except Exception as error:  # whatever the user's objects raise when they are pickled
        raise ConfigurationError(
            f"{what} can't be sent to a handler process ({type(error).__name__}: {error}); what "
            "isolation='process' needs there must be defined at the top level of a module, and be "
            "found there under its own name"
        ) from None


def check_definition(definition: ActivityDefinition) -> None:
    """A process activity must be importable in a child."""
    where = f"activity {definition.type.name}: "
    pickled_or_refused(f"{where}its function", definition.function)
    pickled_or_refused(f"{where}its converter", definition.converter)
    pickled_or_refused(f"{where}its codecs", definition.codecs)


def check_wrappers(wrappers: Sequence[Wrapper]) -> None:
    """Wrappers run in the child."""
    for wrapper in wrappers:
        pickled_or_refused(f"wrapper {wrapper!r}", wrapper)
