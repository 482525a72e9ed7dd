"""Who is told what happens, and may put something around handlers; the root of what is told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from .clock import wall


@dataclass(frozen=True, slots=True)
class Observation:
    """The root of all records."""

    at: float = field(default_factory=wall, kw_only=True, compare=False, repr=False)
    """When it was made: seconds since 1970."""


class Observer(Protocol):
    """Something that is told what happens, one record after the other, in a thread of its own.
    Should return quickly.

    It may have some of these methods, too:

    ``wants(kind) -> bool``: a record of a kind that no observer wants isn't made, where there are
    many of it. It is asked again while records come, since the level of a log may change.

    ``watch(view)``: called at the worker's start with a ``swf_worker.status.WorkerView``, which
    tells what the worker does now.

    ``for_worker(domain, task_list, identity) -> Observer``: who is told of this worker in its
    place. Several workers may have been given the same observer.

    ``around(task)``: a context manager that the task's handler runs in, a plain or an async one.
    It is asked for when the task is taken, and entered where the handler runs, in the handler's
    own context (``contextvars``): outside of the wrappers, from before the input is decoded until
    the result is encoded. It sees no exception (``TaskDecided`` tells how the handler ended), and
    is never entered where the handler never runs.

    ``carrier(task)`` and ``attach(carrier)``: the same for ``isolation="process"``. The carrier, a
    mapping of strings to strings, goes to the handler's process with the task; there ``attach``,
    a function that can be imported, makes a context manager of it. An empty one is left out.

    A task waits for the last three. What they raise is told as ``InternalError`` and touches no
    task.
    """

    def observe(self, record: Observation, /) -> None: ...
