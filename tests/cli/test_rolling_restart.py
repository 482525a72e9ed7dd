"""Three workers are replaced one after the other while tasks come in all the time, and no task
notices."""

from __future__ import annotations

import itertools
import json
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import contextmanager

import pytest

from swf_worker.local import Completed, LocalSwf
from tests.cli import rolling
from tests.cli.test_service_manager import Manager
from tests.cli.together import logged
from tests.commands import environment
from tests.conftest import eventually

FLEET = 3
KINDS = ["Thread"] * 4 + ["Async"] * 4 + ["Process"]
LONG = 1.0
SECONDS = [0, 0.1, LONG, LONG]
TASKS_PER_SECOND = 5


class Load:
    """Schedules tasks in a thread, evenly, until it is told to end."""

    def __init__(self, swf: LocalSwf) -> None:
        self._swf = swf
        self._chance = random.Random(5)
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.scheduled = []

    def _run(self) -> None:
        for number in itertools.count():
            if self._end.wait(1 / TASKS_PER_SECOND):
                return
            given = {"number": number, "seconds": self._chance.choice(SECONDS)}
            self.scheduled.append(self._swf.schedule(self._chance.choice(KINDS), "1", given))

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._end.set()
        self._thread.join()


class Worker:
    """A process of ``swf-worker run``, as systemd runs it: it says when it is ready."""

    def __init__(self, folder, name, swf) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        self._ran = folder / "ran"
        self.manager = Manager(folder, str(folder / name))
        command = [sys.executable, "-m", "swf_worker", "run", "tests.cli.rolling:worker"]
        flags = ["--endpoint-url", swf.endpoint_url, "--identity", name, "--log-format", "json"]
        with open(self.log, "w") as stderr:
            self.process = subprocess.Popen(
                [*command, *flags],
                env=environment(
                    RAN=str(self._ran), WORKER=name, NOTIFY_SOCKET=self.manager.address
                ),
                stderr=stderr,
            )

    def is_ready(self) -> None:
        """Wait until it is."""
        self.manager.wait_for("READY", "1", seconds=40)

    def stop(self) -> int:
        """As a deployment does, in the middle of a task; its exit code."""
        before = self._long_ones()
        assert eventually(lambda: self._long_ones() > before, 40)
        self.process.terminate()
        return self.process.wait(60)

    def _long_ones(self) -> int:
        """How many long tasks it has begun."""
        ran = self._ran.read_text() if self._ran.exists() else ""
        return ran.count(f" {self.name} {LONG}\n")

    def said(self, event):
        return logged(self.log.read_text(), event)


@contextmanager
def fleet(folder, swf):
    names = (f"worker-{number}" for number in itertools.count())
    started = []

    def start():
        started.append(Worker(folder, next(names), swf))
        return started[-1]

    try:
        yield start
    finally:
        for each in started:
            each.manager.socket.close()
            if each.process.poll() is None:
                each.process.kill()
                each.process.wait()


def roll(folder, seconds):
    """Replace each worker once, and again until the time is over. Returns figures."""
    with LocalSwf(poll_hold=0.5) as swf, fleet(folder, swf) as start:
        swf.register(rolling.worker)
        running = [start() for _ in range(FLEET)]
        for each in running:
            each.is_ready()
        codes, replaced, until = [], [], time.monotonic() + seconds
        with Load(swf) as load:
            for number in itertools.count():
                if number >= FLEET and time.monotonic() > until:
                    break
                old = running.pop(0)
                if number % 2:  # without a surge, and with one
                    codes.append(old.stop())
                running.append(start())
                running[-1].is_ready()
                if not number % 2:
                    codes.append(old.stop())
                replaced.append(old)
        outcomes = [each.outcome(60) for each in load.scheduled]
        for each in running:
            each.process.terminate()
        codes += [each.process.wait(60) for each in running]
    ran = Counter(int(line.split()[0]) for line in (folder / "ran").read_text().splitlines())
    assert codes == [0] * len(codes)
    assert outcomes == [Completed(json.dumps(number)) for number in range(len(outcomes))]
    assert dict.fromkeys(range(len(outcomes)), 1) == ran
    busy = sum(bool(said["running"]) for old in replaced for said in old.said("worker stopping"))
    assert busy == len(replaced), "tasks ran where the stops began"
    return len(outcomes), len(replaced)


@pytest.mark.timeout(150)  # 8 s of CPU: a machine may have more to do
def test_no_task_notices_that_three_workers_are_replaced_under_load(tmp_path):
    tasks, replaced = roll(tmp_path, seconds=0)
    assert replaced == FLEET
    assert tasks > 20


@pytest.mark.full
@pytest.mark.timeout(240)
def test_nor_that_they_are_replaced_for_a_minute(tmp_path, record_property):
    tasks, replaced = roll(tmp_path, seconds=60)
    record_property(
        "figure",
        f"rolling restarts for 60 s: {replaced} busy workers replaced; "
        f"{tasks} tasks completed, each ran once",
    )
    assert replaced > FLEET
