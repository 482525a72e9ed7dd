"""``swf-worker run MODULE:ATTRIBUTE …``: find the workers, settle their options, run them."""

from __future__ import annotations

import argparse
import inspect
import sys
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from difflib import get_close_matches
from functools import partial
from types import ModuleType
from typing import Any

from ..definition import mark_of
from ..errors import ConfigurationError, SwfWorkerError
from ..options import Options
from ..runtime.notify.notifier import NotifyThread
from ..runtime.process.interpreter import take_over
from ..runtime.until_stopped import loading
from ..text import safe_str
from ..together import run_together
from ..worker import ActivityWorker
from .imports import import_target, line_of, placed
from .logging import configure_logging
from .process import Process
from .settings import UsageError
from .supervised import run_supervised

OPTIONS = {
    "domain": "domain",
    "task_list": "task_list",
    "region": "region_name",
    "endpoint_url": "endpoint_url",
    "identity": "identity",
    "max_concurrent_activities": "max_concurrent_activities",
    "max_concurrent_polls": "max_concurrent_polls",
    "drain_timeout": "drain_timeout",
    "cancel_grace": "cancel_grace",
    "on_drain_timeout": "on_drain_timeout",
    "health_port": "health_port",
    "health_host": "health_host",
    "journal": "journal",
}
"""Flags that are options of a worker."""


def run(given: argparse.Namespace, process: Process) -> int:
    """Run the workers that the targets name, until they are stopped."""
    take_over()
    configure_logging(given.log_format, given.log_level, **process.bound)
    overrides = overrides_of(given)
    if process.channel is not None:
        return run_supervised(process, lambda: load(given.targets, overrides))
    if given.processes is not None:
        from .supervisor import supervise

        health = None
        if given.health_port is not None:
            health = (given.health_host or "127.0.0.1", given.health_port)
        return supervise(given.arguments, given.processes, health, process.manager)
    notify = None if process.manager is None else NotifyThread(process.manager)
    return process.ended(run_together(load(given.targets, overrides), process.control, notify))


def overrides_of(given: argparse.Namespace) -> dict[str, Any]:
    """The options that flags or the environment set. A bad value is the command line's fault, not
    the code's: UsageError."""
    overrides = {
        option: value
        for attribute, option in OPTIONS.items()
        if (value := getattr(given, attribute, None)) is not None
    }
    try:
        Options(**{"domain": "any", "task_list": "any"} | overrides)
    except ConfigurationError as error:
        raise UsageError(str(error)) from None
    return overrides


def load_quietly(given: argparse.Namespace) -> list[ActivityWorker]:
    """The workers of a command that says something itself: what their modules print goes to
    stderr."""
    overrides = overrides_of(given)
    with redirect_stdout(sys.stderr):
        return load(given.targets, overrides)


def load(targets: Sequence[str], overrides: dict[str, Any]) -> list[ActivityWorker]:
    """The workers behind each MODULE:ATTRIBUTE, with these options; one worker for all the
    activities that are listed without one."""
    workers: list[ActivityWorker] = []
    activities: list[Any] = []
    for target in targets:
        with loading(target):
            found = _find(target)
            if isinstance(found, (list, tuple)):
                activities.extend(each for each in found if each not in activities)
                continue
            worker = _worker(target, found, overrides)
        if worker in workers:
            raise UsageError(f"{target} is given twice")
        workers.append(worker)
    if activities:
        missing = [f for f in ("domain", "task_list") if f not in overrides]
        if missing:
            flags = " and ".join(f"--{name.replace('_', '-')}" for name in missing)
            raise UsageError(f"{targets[0]} is a list of activities: {flags} must be given")
        workers.append(ActivityWorker(activities=activities, **overrides))
    return workers


def _find(target: str) -> Any:
    module_name, colon, attribute = target.partition(":")
    if not colon or not module_name or not attribute:
        raise UsageError(f"{target!r} is not MODULE:ATTRIBUTE, as in myservice.workers:worker")
    module = import_target(module_name)
    found: Any = module
    for name in attribute.split("."):
        try:
            found = getattr(found, name)
        except AttributeError:
            raise UsageError(_offer(module, attribute)) from None
    if isinstance(found, (list, tuple)) and any(mark_of(each) for each in found):
        for each in found:
            if mark_of(each) is None:
                label = getattr(each, "__qualname__", None) or repr(each)
                raise UsageError(
                    f"{target}: {label} is not marked: put @activity(version=...) above it, or "
                    "take it off the list"
                )
    if not _is_runnable(found):
        raise UsageError(
            f"{target} is a {type(found).__name__}: a worker instance, an ActivityWorker "
            "subclass, a function that makes a worker, or a list or tuple of activities is "
            f"needed. {_offers(module)}"
        )
    return found


def _is_runnable(value: Any) -> bool:
    if inspect.isclass(value):
        return issubclass(value, ActivityWorker)
    if isinstance(value, (list, tuple)):
        return bool(value) and all(mark_of(each) for each in value)
    return isinstance(value, ActivityWorker) or _may_make_a_worker(value)


def _may_make_a_worker(value: Any) -> bool:
    if not callable(value) or mark_of(value) or inspect.iscoroutinefunction(value):
        return False
    try:
        inspect.signature(value).bind()
    except (TypeError, ValueError):  # it needs arguments, or nobody knows
        return False
    return True


def _worker(target: str, found: Any, overrides: dict[str, Any]) -> ActivityWorker:
    if isinstance(found, ActivityWorker):
        worker = found
    elif isinstance(found, type) and _takes(found, overrides):
        worker = _made_by(target, partial(found, **overrides))
    else:
        worker = _made_by(target, found)
    worker.configure(overrides)  # also what an __init__ has set by itself: a flag wins
    return worker


def _takes(kind: type, options: dict[str, Any]) -> bool:
    """Whether a subclass's own ``__init__`` passes options on."""
    try:
        inspect.signature(kind).bind(**options)
    except TypeError:
        return False
    return True


def _made_by(target: str, make: Any) -> ActivityWorker:
    """By a subclass, or by a function."""
    try:
        made = make()
    except SwfWorkerError as error:
        raise placed(error) from error
    except Exception as error:  # the user's code
        said = f"{type(error).__name__}: {safe_str(error)}{line_of(error)}"
        raise ConfigurationError(f"{target} made no worker: {said}") from error
    if not isinstance(made, ActivityWorker):
        raise UsageError(f"{target} returned a {type(made).__name__}: it must return a worker")
    return made


def _offer(module: ModuleType, attribute: str) -> str:
    names = [name for name, _ in _runnable(module)]
    close = get_close_matches(attribute, names, n=1)
    hint = f"; did you mean {close[0]}?" if close else ""
    return f"module {module.__name__!r} has no {attribute!r}{hint or '.'} {_offers(module)}"


def _offers(module: ModuleType) -> str:
    offers = [f"{name} ({kind})" for name, kind in _runnable(module)]
    if not offers:
        return "It offers no worker and no list of activities."
    return f"It offers: {', '.join(offers)}."


def _says_that_it_makes_one(function: Any) -> bool:
    """Any function might: those are offered that say so."""
    returns = getattr(function, "__annotations__", {}).get("return")
    name = returns if isinstance(returns, str) else getattr(returns, "__name__", "")
    return name.rpartition(".")[2] == ActivityWorker.__name__


def _runnable(module: ModuleType) -> Iterator[tuple[str, str]]:
    for name, value in vars(module).items():
        if name.startswith("_") or value is ActivityWorker or not _is_runnable(value):
            continue
        if isinstance(value, ActivityWorker):
            yield name, "a worker"
        elif inspect.isclass(value):
            yield name, "a worker class"
        elif isinstance(value, (list, tuple)):
            yield name, f"{len(value)} activities"
        elif _says_that_it_makes_one(value):
            yield name, "makes a worker"
