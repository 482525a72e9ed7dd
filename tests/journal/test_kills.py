"""SIGKILL at every step between a handler's end and the acceptance of its answer: the next worker
sends the first one's answer, once, and no handler runs twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from swf_worker.local import Canceled, Completed, Failed, LocalSwf, TimedOut
from swf_worker.runtime.journal.file import JournalFile
from tests.cli.test_run import environment
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
    url: str, journal: Path, runs: Path, step: str = ""
) -> Iterator[subprocess.Popen]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.journal.victim", url, str(journal), step],
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
        with victim_process(proxy.url, journal, runs, first) as process:
            pid.append(process.pid)
            scheduled = swf.schedule(
                *("Work", mode, outcome),
                domain="tests",
                task_list="tasks",
                heartbeat_timeout=60 if written else 3,
            )
            if outcome == "Canceled":
                scheduled.wait_for_heartbeats()
                scheduled.request_cancel()
            assert process.wait(30) == -signal.SIGKILL
        proxy.behaviour = healthy
        if swf_is == "down":
            proxy.down()
        with victim_process(proxy.url, journal, runs) as process:
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
