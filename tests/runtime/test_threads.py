"""The scheduler and the thread pools: the only threads that the worker's own work runs in."""

from __future__ import annotations

import threading
import time

import pytest

from swf_worker.observations import HeartbeatAccepted, InternalError
from swf_worker.runtime.threads import observer_thread
from swf_worker.runtime.threads.clock import MonotonicClock, start_daemon
from swf_worker.runtime.threads.observer_thread import ObserverThread
from swf_worker.runtime.threads.scheduler import Scheduler
from swf_worker.runtime.threads.thread_pool import MOST_LENT, Job, ThreadPool
from tests.conftest import eventually


@pytest.fixture
def caught():
    return []


@pytest.fixture
def scheduler(caught):
    made = Scheduler(MonotonicClock(), start_daemon, caught.append)
    yield made
    thread = made.close()
    if thread:
        thread.join()


@pytest.fixture
def pool(caught):
    made = ThreadPool("test", 3, start_daemon, caught.append)
    yield made
    for thread in made.close():
        thread.join()


def test_things_run_in_the_order_of_their_times(scheduler):
    ran, done = [], threading.Event()
    scheduler.call_later(0.06, done.set)
    for number in (3, 1, 2):
        scheduler.call_later(number / 100, lambda number=number: ran.append(number))
    assert done.wait(5)
    assert ran == [1, 2, 3]


def test_an_earlier_thing_wakes_the_scheduler(scheduler):
    done = threading.Event()
    scheduler.call_later(60, lambda: None)
    scheduler.call_later(0.01, done.set)
    assert done.wait(5)


def test_canceled_things_do_not_run_and_do_not_pile_up(scheduler):
    """Every call has a limit that is nearly always canceled: 500 a second, 75 s ahead."""
    for _ in range(5000):
        scheduler.call_later(75, lambda: pytest.fail("ran")).cancel()
    assert len(scheduler._heap) < 1500


def test_a_raising_entry_stops_nobody_elses(scheduler, caught):
    done = threading.Event()
    scheduler.call_later(0, lambda: 1 / 0)
    scheduler.call_later(0.01, done.set)
    assert done.wait(5)
    assert isinstance(caught[0], ZeroDivisionError)


def test_a_pool_grows_only_as_far_as_it_must(pool):
    for _ in range(5):
        done = threading.Event()
        pool.submit(Job(lambda: None, lambda _, done=done: done.set()))
        assert done.wait(5)
    assert len(pool._threads) <= 2


def test_a_pool_has_a_bound_and_loses_no_job(pool):
    release, begun = threading.Event(), threading.Semaphore(0)
    finished = threading.Semaphore(0)

    def call():
        begun.release()
        release.wait(10)

    for _ in range(10):
        pool.submit(Job(call, lambda _: finished.release()))
    for _ in range(3):
        assert begun.acquire(timeout=5)
    assert not begun.acquire(timeout=0.05)
    release.set()
    for _ in range(10):
        assert finished.acquire(timeout=5)
    assert len(pool._threads) == 3


def test_a_job_may_ask_for_one_more_on_the_same_thread(pool):
    seen, done = [], threading.Event()
    second = Job(lambda: seen.append(threading.get_ident()), lambda _: done.set())
    pool.submit(Job(lambda: seen.append(threading.get_ident()), lambda _: second))
    assert done.wait(5)
    assert seen[0] == seen[1]


def test_a_bug_in_a_job_costs_no_thread(pool, caught):
    done = threading.Event()
    for _ in range(5):
        pool.submit(Job(lambda: 1 / 0, lambda _: None))
    pool.submit(Job(lambda: None, lambda _: done.set()))
    assert done.wait(5)
    assert len(caught) == 5


def test_a_machine_without_threads_left_queues_the_work(caught):
    started = []

    def start(name, target):
        if started:
            raise RuntimeError("can't start new thread")
        started.append(start_daemon(name, target))
        return started[0]

    pool = ThreadPool("test", 3, start, caught.append)
    pool.start()
    hold, done = threading.Event(), threading.Event()
    pool.submit(Job(lambda: hold.wait(5), lambda _: None))
    pool.submit(Job(lambda: None, lambda _: done.set()))
    hold.set()
    assert done.wait(5)
    for thread in pool.close():
        thread.join()


def test_the_clock_is_monotonic(monkeypatch):
    """Wall clocks jump."""
    before = MonotonicClock().now()
    monkeypatch.setattr(time, "time", lambda: 0.0)
    assert MonotonicClock().now() >= before


def test_idle_threads_are_lent_a_few_at_a_time(caught):
    """Answers that all wait must not make the pool that polls grow without a bound."""
    pool = ThreadPool("many", 20, start_daemon, caught.append)
    gate, begun = threading.Event(), threading.Semaphore(0)

    def wait():
        begun.release()
        gate.wait(10)

    for _ in range(10):
        pool.submit(Job(wait, lambda _: None))
    for _ in range(10):
        assert begun.acquire(timeout=5)
    assert not pool.offer(Job(wait, lambda _: None)), "nobody is idle"
    gate.set()
    assert eventually(lambda: pool._idle == 10)
    gate.clear()
    taken = [pool.offer(Job(wait, lambda _: None)) for _ in range(8)]
    assert sum(taken) == MOST_LENT
    for _ in range(MOST_LENT):
        assert begun.acquire(timeout=5)
    gate.set()
    assert eventually(lambda: pool._idle == 10)
    assert pool.offer(Job(lambda: None, lambda _: None)), "they are back"
    assert len(pool._threads) == 10
    for thread in pool.close():
        thread.join(5)
    assert not caught


# --- records ------------------------------------------------------------------------------------


class Chooses:
    """Wants records of each beat or not, as a log whose level changes."""

    def __init__(self):
        self.wanted, self.seen, self.told = False, [], threading.Event()

    def wants(self, kind):
        return self.wanted

    def observe(self, record):
        self.seen.append(record)
        self.told.set()


def test_records_that_nobody_wants_are_not_told_and_wanted_ones_are_soon(monkeypatch):
    monkeypatch.setattr(observer_thread, "ASKED_WHILE_IDLE", 0.02)
    chooses, all_of_them = Chooses(), Chooses()
    all_of_them.wanted = True
    beat = HeartbeatAccepted(None, False, 0.0)
    telling = ObserverThread([chooses], start_daemon)
    assert HeartbeatAccepted in telling.unwanted
    telling.tell(InternalError("here", ValueError()))
    assert chooses.told.wait(5), "only of what comes often it is asked"
    chooses.wanted = True
    assert eventually(lambda: HeartbeatAccepted not in telling.unwanted), "nothing else came"
    telling.close()
    two = ObserverThread([Chooses(), all_of_them], start_daemon)
    assert HeartbeatAccepted not in two.unwanted
    two.tell(beat)
    assert all_of_them.told.wait(5)
    two.close()
    assert two._observers[0].seen == []


def test_a_pool_does_without_a_thread_that_hangs(pool):
    go_on, done = threading.Event(), []
    stuck = []

    def hangs():
        stuck.append(threading.current_thread())
        go_on.wait(10)

    for _ in range(3):  # all it has
        pool.submit(Job(hangs, lambda result: None))
    assert eventually(lambda: len(stuck) == 3)
    pool.submit(Job(threading.current_thread, done.append))
    assert not eventually(lambda: done, 0.1)
    pool.replace(stuck[0])
    pool.replace(stuck[0])  # once
    assert eventually(lambda: done), "another does what waits"
    go_on.set()
    stuck[0].join(5)
    assert not stuck[0].is_alive(), "it ends with its job"
    assert all(each.is_alive() for each in stuck[1:])
