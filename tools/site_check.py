"""Whether the reference has what the code has: each public name, option, flag, event of the log,
reason, exit code and metric, and none that isn't there."""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

import swf_worker
from swf_worker import instrumentation, journal_observations, observations, status
from swf_worker.cli.main import _parser
from swf_worker.core.messages import Disposition
from swf_worker.definition import ActivityOptions
from swf_worker.exit_codes import ExitCode
from swf_worker.instrumentation.lines import LINES
from swf_worker.instrumentation.metrics import METRICS, SUPERVISOR_METRICS
from swf_worker.options import WorkerOptions
from tools.reference import spoken, subcommands

MODULES = [f"swf_worker.{name}" for name in ("testing", "local", "codecs", "deciders")]
"""Those whose ``__all__`` is public, too."""


def differences(documented: Mapping[str, set[str]]) -> Iterator[str]:
    """A line for each thing that is missing, or there and not in the code. ``documented`` are the
    names of the site's objects, by their kinds; those of Python are the kind "python"."""
    names = documented.get("python", set())
    for name in sorted(public_names() - names):
        yield f"the reference has no {name}, which is public"
    for name in sorted(names):
        if not exists(name):
            yield f"the reference has {name}, which isn't in the code"
    for kind, expected in entries().items():
        there = documented.get(kind, set())
        for name in sorted(expected - there):
            yield f"the reference has no {kind} {name}"
        for name in sorted(there - expected):
            yield f"the reference has the {kind} {name}, which isn't in the code"


def public_names() -> set[str]:
    """Every public name, in full."""
    found = {f"swf_worker.{name}" for name in swf_worker.__all__}
    for each in map(import_module, MODULES):
        again = {n for n in each.__all__ if getattr(swf_worker, n, None) is getattr(each, n)}
        found |= {f"{each.__name__}.{name}" for name in set(each.__all__) - again}
    found |= {*_classes(observations, ""), *_classes(journal_observations, "")}
    found |= set(_classes(status, ""))
    for each in pkgutil.iter_modules(instrumentation.__path__, "swf_worker.instrumentation."):
        found |= set(_classes(import_module(each.name), "Observer"))
    return found - {"swf_worker.observations.Observer", "swf_worker.observations.Observation"}


def _classes(module: Any, ending: str) -> Iterator[str]:
    for name, value in vars(module).items():
        ours = inspect.isclass(value) and value.__module__ == module.__name__
        if ours and name.endswith(ending) and not name.startswith("_"):
            yield f"{module.__name__}.{name}"


def entries() -> dict[str, set[str]]:
    """What there is of everything else."""
    return {
        "workeroption": set(WorkerOptions.__annotations__),
        "activityoption": set(ActivityOptions.__annotations__),
        "cmdoption": set(flags()),
        "exitcode": {str(code.value) for code in ExitCode},
        "failurereason": {reason.value for reason in swf_worker.FailureReason},
        "disposition": {each.value for each in Disposition},
        "logevent": {line.event for line in LINES.values()} | {event for event, *_ in spoken()},
        "metric": {metric.name for metric in (*METRICS, *SUPERVISOR_METRICS)},
    }


def flags() -> Iterator[str]:
    """Each command with each of its flags, as the site names them."""
    for name, parser in subcommands(_parser()):
        for action in parser._actions:
            for flag in action.option_strings or ([action.metavar] if action.metavar else []):
                if flag not in ("-h", "--help"):
                    yield f"{name.replace(' ', '-')}.{flag}"


def exists(name: str) -> bool:
    """Whether a dotted name leads to something."""
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        try:
            found: Any = import_module(".".join(parts[:end]))
        except ModuleNotFoundError:
            continue
        for part in parts[end:]:
            declared = getattr(found, "__annotations__", {})
            if not hasattr(found, part) and part not in declared and part not in _set(found):
                return False
            found = getattr(found, part, None)
        return True
    return False


def _set(kind: Any) -> set[str]:
    """Attributes that ``__init__`` sets."""
    code = getattr(getattr(kind, "__init__", None), "__code__", None)
    return set(code.co_names) if code else set()
