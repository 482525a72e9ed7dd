"""What must be right before a worker starts, beside its options."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence

from ..core.registry import Registry
from ..definition import ActivityDefinition
from ..errors import ConfigurationError
from ..options import Wrapper
from .children import role
from .children.setup import check_definition, check_wrappers, pickled_or_refused
from .process.interpreter import PATH, interpreter


def check_startable(registry: Registry, fallback: ActivityDefinition | None) -> None:
    """ConfigurationError where a worker with these handlers can't run, or not in this process."""
    if not len(registry) and fallback is None:
        raise ConfigurationError(
            "the worker has no handlers: give activities=[...], mark methods with "
            "@activity, or register with @worker.activity"
        )
    if PATH in os.environ:
        raise ConfigurationError(
            f"this process was started as Python, and runs the program: {sys.executable} is no "
            "Python. Name one with multiprocessing.set_executable(...) before the start"
        )
    if role.is_child:
        raise ConfigurationError(
            "a worker can't be started in a handler process: a main module must start it under "
            "`if __name__ == '__main__':`, because handler processes import that module"
        )
    if any(definition.mode == "process" for definition in registry):
        interpreter()  # there must be one to start them with


def check_processes(
    definitions: Sequence[ActivityDefinition],
    wrappers: Sequence[Wrapper],
    hook: tuple[str, Callable[[], object] | None],
) -> None:
    """ConfigurationError where handler processes couldn't import what they need: these handlers,
    the wrappers around them, and the hook, which goes by this name."""
    check_wrappers(wrappers)
    pickled_or_refused(*hook)
    for definition in definitions:
        check_definition(definition)
