"""Threads that do jobs. A job is a call that may block, and what to do with its result."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from .clock import StartThread

MOST_LENT = 4
"""Threads that do others' jobs at once: each may make its own pool grow by one."""


@dataclass(frozen=True, slots=True)
class Job:
    """``call`` blocks and returns something; ``done`` takes it, must not block, and may return
    one more job for the same thread."""

    call: Callable[[], Any]
    done: Callable[[Any], Job | None]


class Pool(Protocol):
    """Whoever does jobs: threads, or a test under a virtual clock."""

    def submit(self, job: Job, /) -> None: ...
    def replace(self, stuck: threading.Thread, /) -> None: ...


class IdlePool(Protocol):
    """A pool that takes a job only if a thread is idle."""

    def offer(self, job: Job, /) -> bool: ...
    def replace(self, stuck: threading.Thread, /) -> None: ...


class IdleThreadsFirst:
    """A pool whose jobs go to an idle thread of ``others`` first: one that is warm, and that may
    find its next job right behind."""

    def __init__(self, pool: Pool, others: IdlePool) -> None:
        self._pool = pool
        self._others = others

    def submit(self, job: Job) -> None:
        """Have ``job`` done by an idle thread of the others, else by the pool."""
        if not self._others.offer(job):
            self._pool.submit(job)

    def replace(self, stuck: threading.Thread) -> None:
        """Do without a thread of either."""
        self._pool.replace(stuck)
        self._others.replace(stuck)


class ThreadPool:
    """At most ``most`` daemon threads, started when there is work for them, kept until closed.

    A job that a job's ``done`` submits to its own pool is done next by the same thread: a poll's
    thread runs the handler of the task it brought, and then polls again, with no hand-over.
    Not ``ThreadPoolExecutor``: that one blocks the interpreter's exit on a handler that hangs.
    """

    def __init__(
        self,
        name: str,
        most: int,
        start_thread: StartThread,
        on_error: Callable[[BaseException], None],
    ) -> None:
        self._name = name
        self._most = most
        self._start_thread = start_thread
        self._on_error = on_error
        self._jobs: deque[Job] = deque()
        self._ready = threading.Condition()
        self._idle = 0
        self._lent = 0
        self._threads: list[threading.Thread] = []
        self._replaced: set[threading.Thread] = set()
        self._closed = False
        self._own = threading.local()

    def start(self) -> None:
        """Start the first thread, so that there is always one; RuntimeError if there can't be."""
        with self._ready:
            if not self._threads:
                self._grow()

    def submit(self, job: Job) -> None:
        """Have ``job`` done by a free thread, or the next one to become free."""
        if getattr(self._own, "may_keep", False) and self._own.kept is None:
            self._own.kept = job
            return
        self._hand_over(job)

    def offer(self, job: Job) -> bool:
        """Have ``job`` done by a thread that is idle, if there is one; whether there is."""
        with self._ready:
            if self._closed or self._idle <= len(self._jobs) or self._lent >= MOST_LENT:
                return False
            self._lent += 1
            self._jobs.append(Job(partial(self._borrowed, job.call), job.done))
            self._ready.notify()
            return True

    def are_wanted(self) -> bool:
        """Whether jobs wait for a thread."""
        return len(self._jobs) > self._idle

    def submit_if_free(self, job: Job) -> bool:
        """Have ``job`` done by a thread that nobody waits for, if there is or may be one; whether
        there is."""
        with self._ready:
            if self._closed or self._jobs:
                return False
            if not self._idle and len(self._threads) >= self._most:
                return False
            self._hand_over_locked(job)
            return True

    def replace(self, stuck: threading.Thread) -> None:
        """Do without a thread of this pool that hangs in its job: another may be started in its
        place, and it ends when the job does."""
        with self._ready:
            if stuck not in self._threads:
                return
            self._threads.remove(stuck)
            self._replaced.add(stuck)
            if self._jobs:
                self._wake()

    def _borrowed(self, call: Callable[[], Any]) -> Any:
        try:
            return call()
        finally:
            with self._ready:
                self._lent -= 1

    def _hand_over(self, job: Job) -> None:
        with self._ready:
            self._hand_over_locked(job)

    def _hand_over_locked(self, job: Job) -> None:
        self._jobs.append(job)
        self._wake()

    def _wake(self) -> None:
        if self._idle >= len(self._jobs) or len(self._threads) >= self._most:
            self._ready.notify()
            return
        try:
            self._grow()
        except RuntimeError as error:  # no more threads on this machine: those we have serve
            self._on_error(error)

    def _grow(self) -> None:
        number = len(self._threads) + 1
        self._threads.append(self._start_thread(f"{self._name}-{number}", self._work))

    def close(self) -> list[threading.Thread]:
        """Take no more jobs and forget those that wait; returns the threads, which end when
        theirs are done."""
        with self._ready:
            self._closed = True
            self._jobs.clear()
            self._ready.notify_all()
            return list(self._threads)

    def _work(self) -> None:
        self._own.kept, self._own.may_keep = None, False
        while (job := self._next()) is not None:
            while job is not None:
                job = self._do(job)

    def _do(self, job: Job) -> Job | None:
        """Do one job; returns what this thread does next, if that is settled already."""
        following: Job | None = None
        try:
            result = job.call()
            self._own.may_keep = True
            following = job.done(result)
        except BaseException as error:  # a bug of ours must not cost a thread
            self._on_error(error)
        kept, self._own.kept, self._own.may_keep = self._own.kept, None, False
        if following is not None and kept is not None:
            self._hand_over(kept)
            return following
        return following or kept

    def _next(self) -> Job | None:
        with self._ready:
            if self._replaced and threading.current_thread() in self._replaced:
                self._replaced.remove(threading.current_thread())
                return None
            self._idle += 1
            try:
                while not self._jobs:
                    if self._closed:
                        return None
                    self._ready.wait()
                return self._jobs.popleft()
            finally:
                self._idle -= 1
