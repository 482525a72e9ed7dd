"""A disk that hangs: every answer goes out within a few seconds, once, also the one whose write
never returns; neither the start nor the stop waits for it for good.

The frozen disk is a real one: a small ext4 in a file, held with fsfreeze. That needs root and loop
devices; where there are none, only the tests with a write that is held remain."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from swf_worker import ConfigurationError, activity
from swf_worker.local import Completed
from swf_worker.observations import JournalFailed, JournalRestored, TaskEnded
from swf_worker.outcome import Completed as Completed_
from swf_worker.runtime.journal import keeper
from swf_worker.runtime.journal.file import JournalFile
from swf_worker.runtime.threads.clock import start_daemon
from tests.cli.test_run import environment
from tests.conftest import eventually, started
from tests.journal.test_file import HERE, entry
from tests.journal.test_keeper import left_in, lying_in, worker_of
from tests.wire import EMPTY_POLL, OK, Wire, task


@activity(name="Work", version="1", heartbeat_interval=0.2)
def work(n: int) -> int:
    return n + 1


@activity(name="Async", version="1", heartbeat_interval=0.2)
async def on_loop(n: int) -> int:
    return n + 1


@pytest.fixture
def held(monkeypatch):
    """A write that hangs until it may go on: the first of those that come after ``begin``."""
    write, begins, hangs, go_on = JournalFile.write, *(threading.Event() for _ in range(3))
    monkeypatch.setattr(keeper, "PATIENCE", 0.3)
    monkeypatch.setattr(keeper, "AT_LEAST", 0.1)

    def held_write(self, *given, **more):
        if begins.is_set() and not hangs.is_set():
            hangs.set()
            assert go_on.wait(20)
        return write(self, *given, **more)

    monkeypatch.setattr(JournalFile, "write", held_write)
    yield SimpleNamespace(begin=begins.set, hangs=hangs, go_on=go_on.set)
    go_on.set()


def accepted_once(recorder, answers):
    recorder.wait_for(TaskEnded, answers)
    return [each.disposition for each in recorder.of(TaskEnded)] == ["accepted"] * answers


@pytest.mark.parametrize("handler", [work, on_loop], ids=["thread", "async"])
@pytest.mark.parametrize("sync", ["process", "full"])
def test_the_answer_whose_write_hangs_is_sent_by_another_thread(
    make_worker, quick_swf, recorder, tmp_path, held, handler, sync
):
    name, path = handler.__name__, tmp_path / "journal"
    name = {"work": "Work", "on_loop": "Async"}[name]
    options = {"journal": path, "journal_sync": sync, "max_concurrent_activities": 1}
    with make_worker(handler, **options):
        assert quick_swf.schedule(name, "1", 1).outcome() == Completed("2")
        assert eventually(lambda: lying_in(path) == [])
        held.begin()
        first = quick_swf.schedule(name, "1", 2)
        assert held.hangs.wait(10)
        assert first.outcome() == Completed("3")
        # Its only slot is free again, and has a thread.
        for n in range(3):
            assert quick_swf.schedule(name, "1", n).outcome() == Completed(str(n + 1))
        assert accepted_once(recorder, 5)
        assert "hangs" in recorder.wait_for(JournalFailed)[-1].why
        assert recorder.of(JournalRestored) == []
        held.go_on()
        recorder.wait_for(JournalRestored)
        assert lying_in(path) == [], "what was written late is gone again"
        assert quick_swf.schedule(name, "1", 7).outcome() == Completed("8")
        assert accepted_once(recorder, 6)
        assert recorder.of(JournalFailed)[-1].why == "its disk hangs", "and since then none"


@pytest.mark.parametrize("sync", ["process", "full"])
def test_each_answer_is_sent_by_one_thread_whenever_it_hangs(tmp_path, recorder, monkeypatch, sync):
    """Writes of all durations around that at which they are held to hang, by eight threads."""
    dice, write = random.Random(1), JournalFile.write
    monkeypatch.setattr(keeper, "PATIENCE", 0.02)
    monkeypatch.setattr(keeper, "AT_LEAST", 0.005)
    monkeypatch.setattr(keeper, "AGAIN", 0.01)

    def slow(self, *given, **more):
        time.sleep(dice.choice((0, 0, 0, 0, 0.018, 0.02, 0.022, 0.06)))
        write(self, *given, **more)

    monkeypatch.setattr(JournalFile, "write", slow)
    journal = keeper.Journal(tmp_path / "journal", sync, HERE, recorder.observe, start_daemon)
    journal.open()
    sent = Counter()

    def answers(whose):
        for n in range(60):
            one = entry(f"{whose}-{n}").task

            def sends(stuck=None, one=one):
                sent[one.task_token, "here" if stuck is None else "elsewhere"] += 1
                journal.drop(one)

            if journal.before_attempt(one, Completed_("1"), sends):
                sends()
            time.sleep(dice.random() / 100)

    threads = [threading.Thread(target=answers, args=(n,)) for n in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    tokens = Counter(token for token, _ in sent)
    assert (len(tokens), set(tokens.values())) == (480, {1})
    if sync == "process":
        assert "elsewhere" in {where for _, where in sent}
    assert eventually(lambda: lying_in(journal.path) == [])
    journal.close().join(5)
    assert lying_in(journal.path) == []


def test_a_stop_doesnt_wait_for_it(make_worker, quick_swf, recorder, tmp_path, held):
    with make_worker(work, journal=tmp_path / "journal", drain_timeout=1) as worker:
        held.begin()
        assert quick_swf.schedule("Work", "1", 2).outcome() == Completed("3")
        recorder.wait_for(JournalFailed)
        began = time.monotonic()
        assert worker.stop() == []
        assert time.monotonic() - began < 4


def test_a_start_says_so(make_worker, quick_swf, tmp_path, monkeypatch):
    go_on, opened = threading.Event(), JournalFile.opened

    def held_open(*given, **more):
        assert go_on.wait(20)
        return opened(*given, **more)

    monkeypatch.setattr(keeper, "STARTING", 0.2)
    monkeypatch.setattr("swf_worker.runtime.running_worker._JOIN", 0.2)
    monkeypatch.setattr(JournalFile, "opened", held_open)
    worker = make_worker(work, journal=tmp_path / "journal")
    with pytest.raises(ConfigurationError, match="its disk has not answered for 0.2 s"):
        worker.start()
    go_on.set()
    assert eventually(
        lambda: sorted(each.name for each in tmp_path.iterdir()) == ["journal", "journal.lock"]
    ), "whoever hung has cleaned up"


def test_what_dead_workers_left_is_sent_when_it_comes_back(recorder, tmp_path, monkeypatch):
    path, adopt, go_on = tmp_path / "journal", JournalFile.adopt, threading.Event()

    def held_adopt(*given):
        assert go_on.wait(20)
        return adopt(*given)

    monkeypatch.setattr("swf_worker.runtime.running_worker.ANSWERS_BEFORE_POLLS", 0.2)
    monkeypatch.setattr(keeper, "PATIENCE", 0.3)
    monkeypatch.setattr(JournalFile, "adopt", held_adopt)
    one = {"activityType": {"name": "Work", "version": "1"}, "input": "1"}
    with Wire(
        PollForActivityTask=[task("new", **one), EMPTY_POLL],
        RespondActivityTaskCompleted=[OK],
    ) as wire:
        left_in(path, wire.url)
        with started(worker_of(wire.url, recorder, path)):
            (first,) = recorder.wait_for(TaskEnded)
            assert first.task.task_token == "new"
            go_on.set()
            (_, second) = recorder.wait_for(TaskEnded, 2)
            assert (second.task.task_token, second.disposition) == ("token", "accepted")
            assert eventually(lambda: lying_in(path) == [])
        answers = wire.named("RespondActivityTaskCompleted")
        assert [each["taskToken"] for each in answers] == ["new", "token"]


# --- a disk that is frozen ------------------------------------------------------------------------


@pytest.fixture
def disk(tmp_path):
    """An ext4 of its own that can be frozen."""
    image, mounted = tmp_path / "image", tmp_path / "disk"
    mounted.mkdir()
    if os.geteuid() or not all(map(shutil.which, ("mkfs.ext4", "mount", "fsfreeze"))):
        pytest.skip("a disk can't be frozen here: that needs root, mkfs.ext4, mount and fsfreeze")
    with image.open("wb") as file:
        file.truncate(16 << 20)
    subprocess.run(["mkfs.ext4", "-q", str(image)], check=True)
    done = subprocess.run(["mount", "-o", "loop", str(image), str(mounted)], capture_output=True)
    if done.returncode:
        pytest.skip(f"a disk can't be frozen here: {done.stderr.decode().strip()}")
    try:
        yield mounted
    finally:
        subprocess.run(["fsfreeze", "-u", str(mounted)], capture_output=True)
        assert eventually(lambda: not subprocess.call(["umount", str(mounted)]), 10)


@contextmanager
def frozen(disk):
    subprocess.run(["fsfreeze", "-f", str(disk)], check=True)
    try:
        yield
    finally:
        subprocess.run(["fsfreeze", "-u", str(disk)], check=True)


PROGRAM = """
import logging, sys, time
from swf_worker import ActivityWorker
from swf_worker.outcome import Completed as Completed_
from swf_worker.runtime.journal import keeper
from tests.journal.test_hanging_disk import on_loop, work
keeper.STARTING = 1.0
logging.basicConfig(level=logging.INFO)
worker = ActivityWorker(domain="tests", task_list="tasks", activities=[work, on_loop],
    endpoint_url=sys.argv[1], journal=sys.argv[2], max_concurrent_activities=2, drain_timeout=1)
sys.stdin.readline()
worker.start()
print("started", flush=True)
sys.stdin.readline()
began = time.monotonic()
worker.stop()
print(time.monotonic() - began, flush=True)
"""


@contextmanager
def worker_process(url, path):
    """In a process of its own: one that hangs in the kernel can't be ended before the thaw."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, url, str(path)],
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def tell(process):
    process.stdin.write("go on\n")
    process.stdin.flush()


def works(swf, within):
    """Tasks are done, one after the other."""
    for n in range(6):
        name = ("Work", "Async")[n % 2]
        scheduled = swf.schedule(name, "1", n, domain="tests", task_list="tasks")
        assert scheduled.outcome(within) == Completed(str(n + 1))


@pytest.mark.full
def test_a_frozen_disk_holds_up_no_answer_and_no_stop(quick_swf, disk):
    quick_swf.register([work, on_loop], domain="tests")
    with worker_process(quick_swf.endpoint_url, disk / "journal") as process:
        tell(process)
        assert process.stdout.readline() == "started\n"
        works(quick_swf, 10)
        with frozen(disk):
            works(quick_swf, 8)
        assert any("can be written again" in line for line in process.stderr)
        works(quick_swf, 10)
        with frozen(disk):
            works(quick_swf, 8)
            tell(process)
            assert float(process.stdout.readline()) < 4
        assert process.wait(20) == 0
    # What was written when the disk came back, and the process ended: the next start finds out.
    assert all(each.may_be_accepted for each in lying_in(disk / "journal"))


@pytest.mark.full
def test_a_start_on_a_frozen_disk_is_an_error(quick_swf, disk):
    with worker_process(quick_swf.endpoint_url, disk / "journal") as process, frozen(disk):
        tell(process)
        assert any("has not answered for 1 s" in line for line in process.stderr)
