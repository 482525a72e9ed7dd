"""Task lists: the tasks that wait, or the polls that wait for them. Long polls are held here."""

from __future__ import annotations

import heapq
import itertools
import random
import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from ..clock import now
from . import faults


class Waiting(Protocol):
    """What waits in a task list."""

    task_list: str

    @property
    def priority(self) -> int: ...

    @property
    def wanted(self) -> bool:
        """Whether it still waits to be handed out; it may have been closed meanwhile."""


T = TypeVar("T", bound=Waiting)


@dataclass(slots=True, eq=False)
class HeldPoll(Generic[T]):
    """A poll that waits, and what it was given."""

    ready: threading.Condition
    item: T | None = None


@dataclass(slots=True)
class TaskList(Generic[T]):
    """The tasks that wait, higher priorities first, then older ones, unless ``chance`` draws lots;
    or the polls, the oldest first."""

    chance: random.Random | None
    items: list[tuple[int, float, int, T]] = field(default_factory=list)
    polls: deque[HeldPoll[T]] = field(default_factory=deque)

    def push(self, item: T, number: int) -> None:
        """A task that waits."""
        lot = self.chance.random() if self.chance else 0.0
        heapq.heappush(self.items, (-item.priority, lot, number, item))

    def pop(self) -> T | None:
        """The first item that is still wanted, or None; the others are dropped."""
        while self.items:
            item = heapq.heappop(self.items)[-1]
            if item.wanted:
                return item
        return None


class TaskLists(Generic[T]):
    """All task lists for one kind of task, by domain and name. As on SWF, a task is also handed to
    a poll whose client has gone.

    shuffle: the seed of another order among the tasks of one priority that wait in a list; None:
        older ones first, which SWF doesn't promise.
    max_polls: the most polls that wait in a list; None: any number.
    """

    def __init__(
        self, lock: threading.RLock, shuffle: int | None = None, max_polls: int | None = None
    ) -> None:
        self._lock = lock
        self._shuffle = shuffle
        self._max_polls = max_polls
        self._order = itertools.count()
        self._lists: dict[tuple[str, str], TaskList[T]] = {}
        self._closed = False

    def put(self, domain: str, item: T) -> None:
        """Hand it to the oldest poll; a poll that comes just now must not overtake it."""
        chosen = self._list(domain, item.task_list)
        if chosen.polls:
            poll = chosen.polls.popleft()
            poll.item = item
            poll.ready.notify()
        else:
            chosen.push(item, next(self._order))

    def take(self, domain: str, name: str, hold: float) -> T | None:
        """What comes within ``hold`` seconds, in real time also on a manual clock.
        LimitExceededFault where too many wait already."""
        chosen = self._list(domain, name)
        until = now() + hold
        while (item := chosen.pop()) is None:
            left = until - now()
            if left <= 0 or self._closed:
                return None
            if self._max_polls is not None and len(chosen.polls) >= self._max_polls:
                raise faults.too_many_pollers()
            poll: HeldPoll[T] = HeldPoll(threading.Condition(self._lock))
            chosen.polls.append(poll)
            poll.ready.wait(left)
            if poll.item is None:
                chosen.polls.remove(poll)
            elif poll.item.wanted:
                return poll.item
        return item

    def waiting(self, domain: str, name: str) -> int:
        """How many tasks wait to be handed out."""
        chosen = self._lists.get((domain, name))
        return sum(item.wanted for *_, item in chosen.items) if chosen else 0

    def held(self, domain: str, name: str) -> int:
        """How many polls wait."""
        chosen = self._lists.get((domain, name))
        return len(chosen.polls) if chosen else 0

    def close(self) -> None:
        """Let every held poll go, now and later."""
        self._closed = True
        for poll in self._polls():
            poll.ready.notify()

    def _polls(self) -> Iterator[HeldPoll[T]]:
        for each in self._lists.values():
            yield from each.polls

    def _list(self, domain: str, name: str) -> TaskList[T]:
        found = self._lists.get((domain, name))
        if found is None:
            seed = None if self._shuffle is None else f"{self._shuffle} {domain} {name}"
            chance = None if seed is None else random.Random(seed)  # noqa: S311 (a test's chance)
            found = self._lists[domain, name] = TaskList(chance)
        return found
