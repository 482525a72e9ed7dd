"""Several workers in one process, which start and stop together."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from .errors import ConfigurationError
from .instrumentation.health.port import HealthPort
from .instrumentation.logs import say
from .runtime.notify.notifier import NotifyThread
from .runtime.stopping.control_thread import ControlThread
from .runtime.stopping.process_exit import ExitPlan
from .runtime.until_stopped import Prepare, run_as_process, run_prepared
from .worker import ActivityWorker


def run_workers(workers: Sequence[ActivityWorker]) -> int:
    """Run several workers in this process, as ``ActivityWorker.run`` runs one: a shared task list
    and the host's own, say. In the main thread only.

    They stop together: a signal, ``request_stop()`` of one, or a fatal error of
    one stops all; the drain has the longest ``drain_timeout`` among them, the grace the longest
    ``cancel_grace``. Returns 0 or 3 for all of them, and raises the first fatal error when all
    have ended. ConfigurationError where two of them poll the same task list with different
    handlers: SWF would give each the other's tasks.
    """
    _check_together(workers)
    return run_as_process(_prepare_all(workers), say)


def run_together(
    workers: Sequence[ActivityWorker],
    control: ControlThread,
    notify: NotifyThread | None,
    health: HealthPort | None = None,
) -> ExitPlan:
    """``run_workers``, in a process that hears what it is told already. ``notify`` tells whoever
    started it; ``health`` is what watches the workers, in place of a port of their own."""
    _check_together(workers)
    return run_prepared(_prepare_all(workers, health), control, notify)


def _prepare_all(
    workers: Sequence[ActivityWorker], health: HealthPort | None = None
) -> list[Prepare]:
    health = health or HealthPort.of([worker._options for worker in workers])
    return [partial(each._prepare, process_exits=True, health=health) for each in workers]


def _check_together(workers: Sequence[ActivityWorker]) -> None:
    if not workers or not all(isinstance(worker, ActivityWorker) for worker in workers):
        raise ConfigurationError(f"run_workers needs a list of workers, not {workers!r}")
    if len({id(worker) for worker in workers}) < len(workers):
        raise ConfigurationError("run_workers was given the same worker twice")
    served: dict[tuple[Any, ...], ActivityWorker] = {}
    for worker in workers:
        worker._check_constructed()
        options = worker._options
        there = (id(options.session), options.region_name, options.endpoint_url)
        where = (*there, options.domain, options.task_list)
        other = served.setdefault(where, worker)
        if {d.type for d in other.definitions} != {d.type for d in worker.definitions}:
            raise ConfigurationError(
                f"two workers poll task list {options.task_list!r} of domain {options.domain!r} "
                "with different handlers, and SWF would give each the other's tasks: give them "
                "task lists of their own, or one worker all the handlers"
            )
