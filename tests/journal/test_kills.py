"""SIGKILL at every step between a handler's end and the acceptance of its answer: the next worker
sends the first one's answer, once, and no handler runs twice."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from swf_worker.local import Canceled, Completed, Failed, LocalSwf, TimedOut
from swf_worker.runtime.journal.file import JournalFile
from tests.commands import environment
from tests.conftest import eventually
from tests.journal import victim
from tests.pairs import pairwise
from tests.proxy import Behaviour, Connection, Proxy, healthy

OF_THE_WIRE = ("request sent", "answer on its way")
STEPS = [*victim.STEPS, *OF_THE_WIRE]
MODES = ["thread", "async", "process"]
OUTCOMES = ["Completed", "Failed", "Canceled"]
SWF = ["up", "down"]
CASES = pairwise(STEPS, MODES, OUTCOMES, SWF)
ALL = [(s, m, o, w) for s in STEPS for m in MODES for o in OUTCOMES for w in SWF]


@contextmanager
def victim_process(
    url: str, journal: Path, runs: Path, mode: str, step: str = ""
) -> Iterator[subprocess.Popen]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.journal.victim", url, str(journal), mode, step],
        env=environment(RUNS=str(runs)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def kills_at_the_answer(step: str, pid: list[int]) -> Behaviour:
    """A network in which the worker dies when its Respond comes by, or its answer. (Answers have
    connections of their own.)"""

    def behave(connection: Connection) -> None:
        data = connection.client.recv(65_536)
        if b"RespondActivityTask" in data:
            if step == "answer on its way":
                connection.service.sendall(data)
                connection.service.recv(65_536)
            os.kill(pid.pop(), signal.SIGKILL)
            return
        connection.service.sendall(data)
        healthy(connection)

    return behave


def closing(scheduled):
    """How it ended in SWF's history, and how often."""
    ends = ("Completed", "Failed", "Canceled", "TimedOut")
    return [
        event["eventType"]
        for event in scheduled.history()
        if event["eventType"] in {f"ActivityTask{end}" for end in ends}
    ]


def survives(tmp_path: Path, step: str, mode: str, outcome: str, swf_is: str) -> None:
    journal, runs = tmp_path / "journal", tmp_path / "runs"
    written = step != "before the write"
    with LocalSwf(poll_hold=0.3) as swf, Proxy(swf.endpoint_url) as proxy:
        swf.register(victim.ACTIVITIES, domain="tests")
        pid: list[int] = []
        if step in OF_THE_WIRE:
            proxy.behaviour = kills_at_the_answer(step, pid)
        first = "" if step in OF_THE_WIRE else step
        with victim_process(proxy.url, journal, runs, mode, first) as process:
            pid.append(process.pid)
            scheduled = swf.schedule(
                *("Work", mode, outcome),
                domain="tests",
                task_list=victim.task_list_of(mode),
                heartbeat_timeout=60 if written else 3,
            )
            if outcome == "Canceled":
                scheduled.wait_for_heartbeats()
                scheduled.request_cancel()
            assert process.wait(30) == -signal.SIGKILL
        proxy.behaviour = healthy
        if swf_is == "down":
            proxy.down()
        with victim_process(proxy.url, journal, runs, mode) as process:
            if swf_is == "down":
                assert any(b"worker started" in line for line in process.stderr)
                proxy.up()
            ended = scheduled.outcome(40)
            assert eventually(lambda: lie_in(journal) == 0, 20)
            ends = closing(scheduled)
            process.terminate()
            assert process.wait(30) in (0, -signal.SIGTERM)
    assert runs.read_text().count(scheduled.workflow_id) == 1, "no handler runs twice"
    if not written:
        assert ended == TimedOut("HEARTBEAT")
        return
    kinds = {"Completed": Completed, "Failed": Failed, "Canceled": Canceled}
    assert isinstance(ended, kinds[outcome])
    assert ends == [f"ActivityTask{outcome}"]


def lie_in(journal: Path) -> int:
    with at(journal) as file:
        return len(file.entries())


@contextmanager
def at(path: Path) -> Iterator[JournalFile]:
    file = JournalFile.opened(path, new=False)
    try:
        yield file
    finally:
        file.close()


@pytest.mark.parametrize(("step", "mode", "outcome", "swf_is"), CASES)
def test_the_next_worker_sends_what_the_killed_one_had_decided(
    tmp_path, step, mode, outcome, swf_is
):
    survives(tmp_path, step, mode, outcome, swf_is)


@pytest.mark.full
@pytest.mark.parametrize(
    ("step", "mode", "outcome", "swf_is"), [case for case in ALL if case not in CASES]
)
def test_the_whole_matrix(tmp_path, step, mode, outcome, swf_is):
    survives(tmp_path, step, mode, outcome, swf_is)


# --- at random ------------------------------------------------------------------------------------

KILLS, FLOW = int(os.environ.get("KILLS", "1000")), 6


@pytest.mark.full
@pytest.mark.timeout(1_500)
def test_a_thousand_kills_at_random_lose_nothing_that_was_decided(
    tmp_path, monkeypatch, record_property
):
    """Workers forked from one that has imported everything; each is killed within moments, while
    tasks of all modes and outcomes run and end, and SWF comes and goes."""
    dice = random.Random(20261127)
    journal, runs = tmp_path / "journal", tmp_path / "runs"
    runs.touch()
    monkeypatch.setenv("RUNS", str(runs))
    decided, every, still_open = {}, {}, []
    with LocalSwf(poll_hold=0.2) as swf, Proxy(swf.endpoint_url) as proxy, forked() as fork:
        swf.register(victim.ACTIVITIES, domain="tests")
        for _ in range(KILLS):
            if dice.random() < 0.15:
                proxy.down() if proxy.listens else proxy.up()
            still_open = [each for each in still_open if not was_given(each)]
            # A handler process takes long to start: such tasks have a list, and a worker, apart.
            modes = ["process"] if dice.random() < 0.15 else ["thread", "async"]
            while sum(each.mode in modes for each in still_open) < FLOW:
                one = schedule(swf, dice.choice(modes), dice.choice(OUTCOMES))
                still_open.append(one)
                every[one.workflow_id] = one
            size = runs.stat().st_size
            pid = fork(proxy.url, str(journal), *modes)
            if proxy.listens:  # until a handler of this one has begun
                eventually(lambda size=size: runs.stat().st_size > size, 3)
            asked = sum(asked_to_cancel(each) for each in still_open)
            time.sleep(dice.uniform(0.0, 0.3 if asked else 0.1))
            os.kill(pid, signal.SIGKILL)
            for entry in lying_there(journal):
                known = decided.setdefault(entry.task.workflow_execution.workflow_id, entry.outcome)
                assert known == entry.outcome, "decided differently"
        if not proxy.listens:
            proxy.up()
        last = fork(proxy.url, str(journal), "thread", "async")
        assert eventually(lambda: not lying_there(journal), 60)
        ends = {name: closing(each) for name, each in every.items()}
        os.kill(last, signal.SIGKILL)
    lost = [name for name in decided if not ends[name]]
    twice = [name for name, ended in ends.items() if len(ended) > 1]
    assert (lost, twice) == ([], [])
    ran = runs.read_text().split()
    assert len(ran) == len(set(ran)), "no handler runs twice"
    for name, outcome in decided.items():
        assert ends[name] == [f"ActivityTask{type(outcome).__name__}"]
    kinds = Counter(
        f"{type(outcome).__name__} in {every[name].mode}" for name, outcome in decided.items()
    )
    assert len(kinds) == len(OUTCOMES) * len(MODES) or KILLS < 1000, kinds
    record_property(
        "figure",
        f"journal: {KILLS} kills, {len(every)} tasks, {len(decided)} answers found in the journal "
        f"({', '.join(f'{count} {kind}' for kind, count in sorted(kinds.items()))}): "
        f"{len(lost)} lost, {len(twice)} answered twice, 0 answered differently",
    )


def was_given(scheduled) -> bool:
    """A worker had it: it has ended, or would time out, or its answer lies in the journal."""
    return any(event["eventType"] == "ActivityTaskStarted" for event in scheduled.history())


def asked_to_cancel(scheduled) -> bool:
    """One that waits for that, and runs: a heartbeat hears of it within moments, if it's not too
    late by then."""
    asks = scheduled.ends_as == "Canceled" and was_given(scheduled)
    if asks:
        scheduled.request_cancel()
    return asks


def schedule(swf: LocalSwf, mode: str, outcome: str):
    where = {"domain": "tests", "task_list": "processes" if mode == "process" else "tasks"}
    scheduled = swf.schedule("Work", mode, outcome, heartbeat_timeout=3600, **where)
    scheduled.mode, scheduled.ends_as = mode, outcome
    return scheduled


def lying_there(journal: Path):
    if not journal.exists():
        return []
    with at(journal) as file:
        return file.entries()


@contextmanager
def forked() -> Iterator[Callable[..., int]]:
    """Starts workers that begin with everything imported: a process that forks on request."""
    nursery = subprocess.Popen(
        [sys.executable, "-c", "from tests.journal.test_kills import nurse; nurse()"],
        env=environment(RUNS=os.environ["RUNS"]),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )

    def fork(url: str, journal: str, *modes: str) -> int:
        nursery.stdin.write(f"{url} {journal} {','.join(modes)}\n")
        nursery.stdin.flush()
        return int(nursery.stdout.readline())

    try:
        yield fork
    finally:
        nursery.communicate(timeout=60)


def nurse() -> None:
    """In the process that forks."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while request := sys.stdin.readline():
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            url, journal, modes = request.split()
            os._exit(victim.worker(url, journal, modes.split(",")).run())
        print(pid, flush=True)
    with suppress(ChildProcessError):
        os.wait()
