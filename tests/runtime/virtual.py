"""A virtual world for the real engine: a clock, timers and thread pools that a seed schedules."""

from __future__ import annotations

import heapq
import itertools
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from swf_worker import errors
from swf_worker.context import ActivityContext
from swf_worker.core.lifecycle import LAST_ANSWERS, POLL_LIMIT
from swf_worker.core.registry import Registry
from swf_worker.definition import activity, define, mark_of
from swf_worker.errors import ActivityCanceled
from swf_worker.observations import InternalError, StopAsked, TaskEnded, TaskHeld, WorkerStopped
from swf_worker.options import Options, RetryPolicy
from swf_worker.outcome import Canceled, Outcome
from swf_worker.runtime.platform import Platform
from swf_worker.runtime.running_worker import Hooks, RunningWorker
from swf_worker.runtime.stopping.lifecycle_driver import LifecycleDriver
from swf_worker.runtime.threads.thread_pool import Job
from swf_worker.service.api import Polled, RegisteredTimeouts
from swf_worker.task import ActivityTask, ActivityType, CancelReason, WorkflowExecution


class World:
    """Everything that happens, in one heap of times. It is also the clock."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.time = 1000.0
        self._order = itertools.count()
        self._heap: list[tuple[float, int, Callable[[], object]]] = []
        self.failures: list[BaseException] = []

    def now(self) -> float:
        return self.time

    def at(self, delay: float, action: Callable[[], object]) -> VirtualTimer:
        timer = VirtualTimer(action)
        heapq.heappush(self._heap, (self.time + max(0.0, delay), next(self._order), timer.fire))
        return timer

    def run(self, until: float) -> None:
        while self._heap and self._heap[0][0] <= until:
            self.time, _, action = heapq.heappop(self._heap)
            action()
        self.time = max(self.time, until)

    def run_while(self, condition: Callable[[], bool], limit: float) -> None:
        while condition() and self._heap and self.time < limit:
            self.time, _, action = heapq.heappop(self._heap)
            action()


@dataclass
class VirtualTimer:
    action: Callable[[], object] | None

    def fire(self) -> None:
        if self.action is not None:
            self.action()

    def cancel(self) -> None:
        self.action = None


class VirtualTimers:
    def __init__(self, world: World) -> None:
        self._world = world

    def call_later(self, delay: float, function: Callable[[], object]) -> VirtualTimer:
        return self._world.at(delay, function)

    def close(self) -> None:
        return None


class VirtualPool:
    """Does jobs with the durations that the seed chooses, ``most`` at a time."""

    def __init__(self, world: World, most: int, duration: Callable[[Job], float]) -> None:
        self._world = world
        self._most = most
        self._duration = duration
        self._busy = 0
        self.handlers = 0
        """How many run now."""
        self.most_handlers = 0
        """The most handlers that ran at once."""
        self._waiting: list[Job] = []

    def start(self) -> None: ...

    def close(self) -> list[threading.Thread]:
        return []

    def submit(self, job: Job) -> None:
        self._waiting.append(job)
        self._next()

    def replace(self, stuck: threading.Thread) -> None: ...

    def offer(self, job: Job) -> bool:
        idle = self._busy < self._most
        if idle:
            self.submit(job)
        return idle

    def are_wanted(self) -> bool:
        return bool(self._waiting)

    def submit_if_free(self, job: Job) -> bool:
        return not self._waiting and self.offer(job)

    def _next(self) -> None:
        while self._waiting and self._busy < self._most:
            self._busy += 1
            self._begin(self._waiting.pop(0))

    def _begin(self, job: Job) -> None:
        self.handlers += _is_handler(job)
        self.most_handlers = max(self.most_handlers, self.handlers)
        whole = self._duration(job)
        arrives = whole * self._world.random.random()

        def arrive() -> None:
            result = job.call()  # the moment in which the service, or the handler, acts
            self._world.at(whole - arrives, lambda: self._end(job, result))

        self._world.at(arrives, arrive)

    def _end(self, job: Job, result: Any) -> None:
        self.handlers -= _is_handler(job)
        following = job.done(result)
        if following is not None:
            self._begin(following)
            return
        self._busy -= 1
        self._next()


def _is_handler(job: Job) -> bool:
    return getattr(job.call, "__qualname__", "").startswith("ThreadRunner.")


class ModelTask:
    """A task as the service sees it."""

    def __init__(self, number: int, closes_at: float, cancel_at: float) -> None:
        self.token = f"token-{number}"
        self.closes_at = closes_at
        self.cancel_at = cancel_at
        self.handed_out = 0
        self.accepted: list[Outcome] = []
        self.told_cancel = False
        self.answers_seen: set[Outcome] = set()


class ModelService:
    """SWF, as a model with faults."""

    why_boto3 = None

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._world = simulation.world
        self._random = simulation.world.random
        self.faulty = simulation.world.random.random() * 0.5
        self.waiting = simulation.tasks.copy()
        self.tasks = {task.token: task for task in simulation.tasks}

    def poll(self) -> Polled:
        self._trouble("PollForActivityTask", self.faulty, None)
        if not self.waiting:
            return Polled(None)
        task = self.waiting.pop(0)
        task.handed_out += 1
        if self._random.random() < 0.05:
            self.waiting.append(task)  # the same token, twice
        return Polled(
            ActivityTask(
                task.token,
                task.token,
                ActivityType("Work", "1"),
                WorkflowExecution("w", "r"),
                7,
            )
        )

    def heartbeat(self, task_token, details, limit, overtime) -> bool:
        self._trouble("RecordActivityTaskHeartbeat", self.faulty, None)
        task = self._open(task_token, "RecordActivityTaskHeartbeat")
        if self._world.time >= task.cancel_at:
            task.told_cancel = True
        return task.told_cancel

    def respond(self, task_token: str, outcome: Outcome) -> None:
        known = self.tasks[task_token]
        known.answers_seen.add(outcome)
        if isinstance(outcome, Canceled):
            assert known.told_cancel, "Canceled without a request"

        def carried_out() -> None:
            self._open(task_token, "Respond").accepted.append(outcome)

        self._trouble("Respond", self.faulty, carried_out)
        carried_out()

    def describe(self, activity_type: ActivityType) -> RegisteredTimeouts:
        return RegisteredTimeouts(10.0, None)

    def fatal_at_start(self, error: errors.ServiceError) -> None:
        return None

    def close(self) -> None: ...

    def _open(self, token: str, operation: str) -> ModelTask:
        task = self.tasks[token]
        if task.accepted or self._world.time >= task.closes_at:
            raise errors.UnknownResourceFault(operation, "UnknownResourceFault", "closed")
        return task

    def _trouble(self, operation: str, rate: float, carried_out: Callable[[], None] | None) -> None:
        if self._world.time > self._simulation.calm_from or self._random.random() > rate:
            return
        self._simulation.seen.add(f"{operation} failed")
        kind = self._random.choice(["throttled", "refused", "lost", "answered", "denied"])
        if kind == "throttled":
            raise errors.ThrottledError(operation, "ThrottlingException", "slow down")
        if kind == "denied":
            raise errors.OperationNotPermittedFault(operation, "AccessDenied", "no")
        if kind == "refused":
            raise errors.ServiceUnavailableError(operation, "Connection", "refused")
        if kind == "answered" and carried_out is not None:
            carried_out()  # it was carried out, and the answer is lost
        if carried_out is not None:
            self._simulation.seen.add("ambiguous answer")
        raise errors.ServiceUnavailableError(operation, "", "lost", ambiguous=True)


class Direct:
    """Tells observers at once."""

    unwanted = frozenset()

    def __init__(self, observers) -> None:
        self._observers = observers

    def tell(self, record) -> None:
        for observer in self._observers:
            observer.observe(record)

    def close(self) -> None: ...


class VirtualPlatform(Platform):
    """What the engine stands on, in the virtual world."""

    def __init__(self, simulation: Simulation) -> None:
        object.__setattr__(self, "simulation", simulation)
        object.__setattr__(self, "clock", simulation.world)
        object.__setattr__(self, "start_thread", self._run_at_once)

    def _run_at_once(self, name: str, target: Callable[[], None]) -> threading.Thread:
        self.simulation.world.at(0, target)
        return threading.Thread(name=name)

    def observers(self, observers):
        return Direct(observers)

    def timers(self, on_error):
        return VirtualTimers(self.simulation.world)

    def pool(self, name, most, on_error):
        return VirtualPool(self.simulation.world, most, self.simulation.duration(name))

    def service(self, options, timers, observe):
        return self.simulation.service


class Simulation:
    """One seed: tasks, faults, handlers, a stop; and the checks."""

    def __init__(self, seed: int) -> None:
        self.world = World(seed)
        chance = self.world.random
        self.seen: set[str] = set()
        self.calm_from = 1000.0 + chance.choice([0, 30, 120, 100_000])
        self.slots = chance.randint(1, 4)
        self.tasks = [
            ModelTask(
                number,
                closes_at=1000.0 + chance.choice([40, 1e9, 1e9]) * chance.uniform(0.1, 2),
                cancel_at=1000.0 + chance.choice([20, 1e9]) * chance.uniform(0, 2),
            )
            for number in range(chance.randint(1, 8))
        ]
        self.service = ModelService(self)
        self.ends: dict[str, list[str]] = {}
        self.asked: dict[str, set[CancelReason]] = {}
        self.abandoned: list[str] = []
        self.running = 0
        self.stopped_at: float | None = None
        self.problems: list[str] = []
        self.options = Options(
            domain="d",
            task_list="t",
            max_concurrent_activities=self.slots,
            heartbeat_interval=chance.choice([0.5, 2, 10]),
            drain_timeout=chance.choice([0, 5, 60]),
            cancel_grace=chance.choice([0, 5]),
            on_drain_timeout=chance.choice(["fail", "fail", "abandon"]),
            retry_policy=RetryPolicy(initial_wait=0.2, max_wait=5, denied_wait=5),
        )
        self.process_exits = chance.random() < 0.6
        self.running = self._build()

    def _build(self) -> RunningWorker:
        chance = self.world.random

        self.most_at_once = chance.choice([None, None, 1, 2])

        @activity(
            name="Work",
            version="1",
            deadline=chance.choice([None, None, 15]),
            max_concurrent=self.most_at_once,
        )
        def handler(context: ActivityContext) -> str:
            context.heartbeat({"at": self.world.time})
            choice = chance.random()
            if context.should_stop and choice < 0.8:
                raise ActivityCanceled
            if choice < 0.1:
                raise ValueError("no")
            if choice < 0.15:
                raise ActivityCanceled("unasked")
            return "result"

        mark = mark_of(handler)
        assert mark is not None
        hooks = Hooks(lambda: None, lambda: None, lambda: None, None)
        registry = Registry([define(handler, mark, None)])
        return RunningWorker(
            self.options,
            registry,
            hooks,
            [self],
            VirtualPlatform(self),
            LifecycleDriver(),
            process_exits=self.process_exits,
        )

    def duration(self, pool: str) -> Callable[[Job], float]:
        chance = self.world.random
        longest = {"slot": 30.0, "beat": 5.0, "answer": 5.0, "lookup": 1.0}[pool]

        def seconds(job: Job) -> float:
            poll = getattr(job.done, "__qualname__", "") == "Poller._polled"
            return (60.0 if poll else longest) * chance.random() ** 3

        return seconds

    # the observer

    def observe(self, record: Any) -> None:
        if isinstance(record, TaskEnded):
            self.ends.setdefault(record.task.task_token, []).append(record.disposition)
            self.seen |= {record.disposition, type(record.outcome).__name__}
        elif isinstance(record, StopAsked):
            self.asked.setdefault(record.task.task_token, set()).add(record.reason)
        elif isinstance(record, InternalError):
            raise record.error
        elif isinstance(record, WorkerStopped):
            self.stopped_at = self.world.time
            self.abandoned = [task.task_token for task in record.abandoned]
        self.seen |= {
            {"HeartbeatFailed": "beat failed", "PollFailed": "poll failed"}.get(
                type(record).__name__, ""
            )
        }
        poller = self.running.engine.parts.poller
        if isinstance(record, TaskHeld):
            self.seen.add("held")
        if poller.open_polls + poller.running > self.slots + 1:
            self.problems.append(f"{poller.open_polls} polls and {poller.running} tasks")

    def run_and_check(self) -> None:
        chance, world, running = self.world.random, self.world, self.running
        running.prepare()
        running.driver.open()
        world.run(1000.0 + chance.choice([1, 20, 100, 400]) * chance.random())
        asked_at = world.time
        if running.engine.parts.open_tasks:
            self.seen.add("stopped while running")
        running.request_stop()
        if chance.random() < 0.3:
            world.at(chance.uniform(1.1, 30), running.driver.signaled)
            self.seen.add("second signal")
        bound = (
            max(POLL_LIMIT, self.options.drain_timeout) + self.options.cancel_grace + LAST_ANSWERS
        )
        world.run_while(lambda: self.stopped_at is None, asked_at + bound + 60)
        self._check(asked_at, bound)

    def _check(self, asked_at: float, bound: float) -> None:
        assert not self.problems, self.problems
        at_once = self.running.engine.parts.slot_pool.most_handlers
        assert at_once <= (self.most_at_once or self.slots), f"{at_once} handlers at once"
        assert self.stopped_at is not None, "the stop never ended"
        assert self.stopped_at - asked_at <= bound + 1e-6, "the stop broke its bound"
        parts = self.running.engine.parts
        work_on = parts.slot_pool.handlers + len(self.abandoned)
        assert 0 <= parts.poller.running <= work_on, "each slot is freed, once"
        for task in self.tasks:
            assert len(task.accepted) <= 1, "two answers were accepted"
            refused_first = len(task.answers_seen) <= 1
            assert refused_first, f"different answers were sent: {task.answers_seen}"
            if isinstance(next(iter(task.accepted), None), Canceled):
                assert CancelReason.REQUESTED in self.asked[task.token]
            self._check_end(task)

    def _check_end(self, task: ModelTask) -> None:
        if not task.handed_out:
            assert not task.answers_seen
            return
        ends = self.ends.get(task.token)
        if ends is None:
            return  # SWF handed it to a poll whose answer was lost: it was never here
        last = ends[-1]
        if last == "accepted":
            assert task.accepted
        elif last == "presumed_accepted":
            assert task.accepted or self.world.time >= task.closes_at
        elif last in ("late", "closed"):
            assert self.world.time >= task.closes_at or task.accepted
        else:
            assert last == "abandoned"
            assert task.token in self.abandoned
