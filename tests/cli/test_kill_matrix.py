"""Every signal at every moment: what the service saw, and how the process ended.

{SIGTERM, SIGINT, SIGHUP}
x {to the process, to its group, to the group of a supervisor and its worker, to PID 1}
x {one, two, three} x {idle poll, decoding, running, beating, answering}
x {thread, async, process}; a terminal that is closed under a worker and under a supervisor; and
SIGKILL of a handler's process, of the worker, of a supervisor, and of one that leads a terminal.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress

import pytest

from swf_worker.runtime.stopping.signals import ControlRequest, signal_inbox
from tests.cli.test_first_moment import LEAD, namespace
from tests.cli.test_supervised import is_alive
from tests.commands import environment
from tests.conftest import children, eventually
from tests.pairs import pairwise
from tests.wire import EMPTY_POLL, OK, Wire, http, silence, task

UNCAUGHT = "unhandled exception"
"""The event of what a process says of an error that nobody has caught."""
SIGNALS = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP]
TARGETS = ["process", "group", "supervised", "pid 1"]
STEPS = [1, 2, 3]
STAGES = ["idle", "decoding", "running", "beating", "answering"]
MODES = ["thread", "async", "process"]
BUSY = ("decoding", "running", "beating")
MATRIX = (SIGNALS, TARGETS, STEPS, STAGES, MODES)
BEAT = http(200, {"cancelRequested": False})
RESPONDS = ("Completed", "Failed", "Canceled")


class Victim:
    """The worker process, its log, its gate, and the service that it talks to."""

    def __init__(self, stage, mode, gate, terminal=None):
        self.gate = gate
        self.mode = mode
        self.terminal = terminal
        self.lead = "default" if terminal is None else "terminal"
        self.in_namespace = False
        self.release = threading.Event()
        self.cut = []
        self.log = []
        self._changed = threading.Condition()
        given = task(activityType={"name": "Work", "version": mode}, input=json.dumps(stage))
        self.service = Wire(
            PollForActivityTask=[self._held] if stage == "idle" else [given, self._held],
            RecordActivityTaskHeartbeat=[silence, BEAT] if stage == "beating" else [BEAT],
            **{f"RespondActivityTask{kind}": [self._answer] for kind in RESPONDS},
        )
        self._answers_are_held = stage == "answering"

    def _held(self, sock: socket.socket) -> None:
        """An open poll, answered when the test says so. It must not have been cut before."""
        self.release.wait(30)
        try:
            self.cut.append(sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b"")
        except BlockingIOError:
            self.cut.append(False)
        sock.sendall(EMPTY_POLL)

    def _answer(self, sock: socket.socket) -> None:
        if self._answers_are_held:
            self.release.wait(30)
        sock.sendall(OK)

    @contextmanager
    def running(self, target):
        with self.service:
            command = [*LEAD, self.lead]
            command += [sys.executable, "-m", "swf_worker", "run", "tests.cli.victims:worker"]
            command += ["--endpoint-url", self.service.url, "--log-format", "json"]
            if target == "supervised":
                command += ["--processes", "1"]
            if target == "pid 1":
                self.in_namespace = True
                command = [*namespace(), *command]
            streams = (
                {} if self.terminal is None else dict.fromkeys(("stdin", "stdout"), self.terminal)
            )
            self.process = subprocess.Popen(
                command,
                env=environment(KILL_MATRIX_GATE=str(self.gate), KILL_MATRIX_MODE=self.mode),
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
                **streams,
            )
            self.reader = threading.Thread(target=self._read)
            self.reader.start()
            try:
                yield
            finally:
                self.release.set()
                with suppress(ProcessLookupError):
                    os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
                self.reader.join()
                self.process.stderr.close()

    def _read(self):
        for line in self.process.stderr:
            with self._changed:
                self.log.append(line)
                self._changed.notify_all()

    def wait_for_log(self, words):
        with self._changed:
            assert self._changed.wait_for(lambda: any(words in line for line in self.log), 20), (
                self.log
            )

    def reach(self, stage):
        """Return when the worker is in the middle of it, with a poll open as well."""
        self.service.wait_for("PollForActivityTask", 1 if stage == "idle" else 2)
        if stage == "answering":
            self.service.wait_for("RespondActivityTaskCompleted")
        elif stage != "idle":
            (self.gate / "arrived").read_bytes()
            if stage == "beating":
                self.service.wait_for("RecordActivityTaskHeartbeat")

    @property
    def pid(self):
        """The process that is signaled: not the one that has made a namespace for it."""
        return children(self.process.pid)[0] if self.in_namespace else self.process.pid

    def handlers(self, target):
        """Its handler processes."""
        return children(children(self.pid)[0] if target == "supervised" else self.pid)

    def open_gate(self):
        (self.gate / "go").write_bytes(b"x")

    def answers(self):
        """What the service saw."""
        seen = []
        for kind in RESPONDS:
            for body in self.service.named(f"RespondActivityTask{kind}"):
                seen.append((kind, body.get("reason") or body.get("result")))
        return seen


def case_id(case):
    number, target, steps, stage, mode = case
    return f"{number.name}-{target}-{steps}-{stage}-{mode}"


def check(case, gate):
    number, target, steps, stage, mode = case
    victim = started(stage, mode, gate)
    other = next(each for each in SIGNALS if each != number)  # never SIGHUP, see below
    with victim.running(target):
        victim.reach(stage)
        handlers = victim.handlers(target)
        assert bool(handlers) == (mode == "process"), "the first handler process is kept warm"
        send = os.killpg if target in ("group", "supervised") else os.kill
        pid = victim.pid
        send(pid, number)
        first = time.monotonic()
        victim.wait_for_log("worker stopping")
        if steps >= 2:
            send(pid, other)
            victim.wait_for_log("the drain is over")
        ends = {"async": ("running", "beating"), "process": BUSY}.get(mode, ())
        interrupted = steps >= 2 and stage in ends
        if interrupted:  # a coroutine ends at its await, a process is killed
            victim.service.wait_for("RespondActivityTaskFailed")
        if steps == 3:
            time.sleep(max(0.0, first + 1.1 - time.monotonic()))  # sooner, it would be the first's
            send(pid, number)
            code = victim.process.wait(10)
        else:
            if steps == 1 and stage in ("decoding", "running", "beating"):
                victim.open_gate()
            victim.release.set()
            code = victim.process.wait(20)
        victim.reader.join(10)  # its last words
        _CHECKS[steps](victim, stage, code, interrupted)
        assert eventually(lambda: not any(map(is_alive, handlers)), 2), "a handler's process lives"
        assert not any(UNCAUGHT in line for line in victim.log), victim.log


def drained(victim, stage, code, _):
    """One: whatever runs is finished and answered, and no poll is cut."""
    assert victim.answers() == ([] if stage == "idle" else [("Completed", '"done"')])
    assert victim.cut
    assert not any(victim.cut)
    assert code == 0


def cut_short(victim, stage, code, _):
    """Two: what doesn't end is answered WorkerShutdown; open polls are still waited for."""
    expected = {"idle": [], "answering": [("Completed", '"done"')]}
    assert victim.answers() == expected.get(stage, [("Failed", "WorkerShutdown")])
    assert victim.cut
    assert not any(victim.cut)
    assert code == 0


def abandoned(victim, stage, code, interrupted):
    """Three: the end, at once; nothing more is answered, and what is abandoned is named."""
    seen = [("Failed", "WorkerShutdown")] if interrupted else []
    assert victim.answers() == ([("Completed", '"done"')] if stage == "answering" else seen)
    said = [line for line in victim.log if '"event": "abandoned' in line]
    assert any("abandoned open polls" in line for line in said)
    if stage != "idle" and not interrupted:
        whose = ('"activity_name": "Work"', '"workflow_id": "workflow-1"', '"run_id": "run-1"')
        assert any(all(each in line for each in whose) for line in said)
    assert code == 3


_CHECKS = {1: drained, 2: cut_short, 3: abandoned}


@pytest.mark.parametrize("case", pairwise(*MATRIX), ids=case_id)
def test_pairwise(case, tmp_path):
    check(case, tmp_path)


@pytest.mark.full
@pytest.mark.parametrize("case", list(itertools.product(*MATRIX)), ids=case_id)
def test_whole(case, tmp_path):
    check(case, tmp_path)


# --- SIGKILL ------------------------------------------------------------------------------------


def started(stage, mode, gate, terminal=None):
    for name in ("arrived", "go"):
        os.mkfifo(gate / name)
    return Victim(stage, mode, gate, terminal)


@pytest.mark.parametrize(
    ("target", "stage"),
    [
        *itertools.product(["process"], BUSY),
        ("supervised", "running"),
        pytest.param("supervised", "decoding", marks=pytest.mark.full),
        pytest.param("supervised", "beating", marks=pytest.mark.full),
    ],
)
def test_sigkill_of_a_handlers_process_fails_its_task_alone(target, stage, tmp_path):
    victim = started(stage, "process", tmp_path)
    with victim.running(target):
        victim.reach(stage)
        (handler,) = victim.handlers(target)
        os.kill(handler, signal.SIGKILL)
        (answer,) = victim.service.wait_for("RespondActivityTaskFailed")
        assert answer["reason"] == "HandlerDied"
        assert victim.process.poll() is None, "the worker goes on"
        victim.release.set()
        victim.process.terminate()
        assert victim.process.wait(20) == 0
    assert victim.answers() == [("Failed", "HandlerDied")]


@pytest.mark.parametrize(
    ("target", "stage"),
    [
        ("process", "beating"),
        ("supervised", "running"),
        pytest.param("process", "decoding", marks=pytest.mark.full),
        pytest.param("process", "running", marks=pytest.mark.full),
        pytest.param("supervised", "decoding", marks=pytest.mark.full),
        pytest.param("supervised", "beating", marks=pytest.mark.full),
    ],
)
def test_sigkill_of_the_worker_leaves_no_handler_process(target, stage, tmp_path):
    victim = started(stage, "process", tmp_path)
    with victim.running(target):
        victim.reach(stage)
        handlers = victim.handlers(target)
        worker = children(victim.process.pid)[0] if target == "supervised" else victim.process.pid
        os.kill(worker, signal.SIGKILL)
        assert eventually(lambda: not any(map(is_alive, handlers)), 2)
        assert victim.answers() == []


def test_sigkill_of_a_worker_whose_handler_holds_the_gil(tmp_path):
    """It asks nobody, hears nothing, and is gone all the same."""
    victim = started("gil", "process", tmp_path)
    with victim.running("process"):
        victim.service.wait_for("RecordActivityTaskHeartbeat")
        (tmp_path / "arrived").read_bytes()
        (handler,) = victim.handlers("process")
        victim.process.kill()
        assert eventually(lambda: not is_alive(handler), 2)


@pytest.mark.parametrize(
    "stage", ["beating", *(pytest.param(s, marks=pytest.mark.full) for s in BUSY[:2])]
)
def test_sigkill_of_the_supervisor_drains(stage, tmp_path):
    victim = started(stage, "process", tmp_path)
    with victim.running("supervised"):
        victim.reach(stage)
        handlers = victim.handlers("supervised")
        worker = children(victim.process.pid)
        victim.process.kill()
        victim.wait_for_log("worker stopping")
        victim.open_gate()
        victim.release.set()
        (answer,) = victim.service.wait_for("RespondActivityTaskCompleted")
        assert answer["result"] == '"done"'
        assert eventually(lambda: not any(map(is_alive, worker + handlers)), 10)
    assert victim.answers() == [("Completed", '"done"')]


# --- terminals ----------------------------------------------------------------------------------


@contextmanager
def terminal():
    """A terminal, and what closes it: everybody's reads and writes fail from then on, and whoever
    runs in it gets SIGHUP."""
    ours, theirs = os.openpty()
    closed = []

    def close():
        if not closed:
            closed.append(True)
            os.close(ours)

    try:
        yield theirs, close
    finally:
        close()
        os.close(theirs)


def check_closed(case, gate):
    target, stage, mode, by = case
    with terminal() as (theirs, close):
        victim = started(stage, mode, gate, theirs)
        with victim.running(target):
            victim.reach(stage)
            handlers = victim.handlers(target)
            workers = children(victim.process.pid) if target == "supervised" else []
            if by == "SIGKILL":  # of the supervisor, which leads the terminal's session
                victim.process.kill()
            else:
                close()
            victim.wait_for_log("worker stopping")
            if stage in BUSY:
                victim.open_gate()
            victim.release.set()
            code = victim.process.wait(20)
            assert code == (-signal.SIGKILL if by == "SIGKILL" else 0)
            assert eventually(lambda: not any(map(is_alive, workers + handlers)), 20)
    assert victim.answers() == ([] if stage == "idle" else [("Completed", '"done"')])
    assert victim.cut
    assert not any(victim.cut)
    assert not any(UNCAUGHT in line for line in victim.log), victim.log


CLOSED = [
    *itertools.product(["process", "supervised"], STAGES, MODES, ["closed"]),
    *itertools.product(["supervised"], STAGES, MODES, ["SIGKILL"]),
]
SOME_CLOSED = [
    ("process", "idle", "async", "closed"),
    ("process", "beating", "thread", "closed"),
    ("supervised", "answering", "async", "closed"),
    ("supervised", "decoding", "process", "closed"),
    ("supervised", "idle", "thread", "SIGKILL"),
    ("supervised", "beating", "async", "SIGKILL"),
]


@pytest.mark.parametrize("case", SOME_CLOSED, ids="-".join)
def test_a_closed_terminal_loses_nothing(case, tmp_path):
    check_closed(case, tmp_path)


@pytest.mark.full
@pytest.mark.parametrize("case", CLOSED, ids="-".join)
def test_a_closed_terminal_whole(case, tmp_path):
    check_closed(case, tmp_path)


@pytest.mark.parametrize("target", ["supervised", pytest.param("process", marks=pytest.mark.full)])
def test_under_nohup_it_stays_ignored(target, tmp_path):
    victim = started("running", "process", tmp_path)
    victim.lead = "nohup"
    with victim.running(target):
        victim.reach("running")
        for pid in (victim.process.pid, *children(victim.process.pid), *victim.handlers(target)):
            os.kill(pid, signal.SIGHUP)
        assert not eventually(lambda: any("stopping" in line for line in victim.log), 0.5)
        victim.open_gate()
        victim.service.wait_for("RespondActivityTaskCompleted")
        victim.release.set()
        victim.process.terminate()
        assert victim.process.wait(20) == 0


@pytest.mark.parametrize("came", [(signal.SIGTERM, signal.SIGHUP), (signal.SIGHUP, signal.SIGTERM)])
def test_where_both_wait_for_a_busy_process_they_come_in_any_order(came):
    with signal_inbox() as inbox:
        for number in came:
            signal.raise_signal(number)
        assert inbox.take() == [ControlRequest.STOP]
        assert inbox.waiting() == []


def test_systemd_sends_both_and_that_is_one_step(tmp_path):
    """``SendSIGHUP=`` sends SIGHUP right behind SIGTERM, to everybody."""
    victim = started("running", "thread", tmp_path)
    with victim.running("group"):
        victim.reach("running")
        os.killpg(victim.process.pid, signal.SIGTERM)
        os.killpg(victim.process.pid, signal.SIGHUP)
        victim.wait_for_log("worker stopping")
        assert not eventually(lambda: any("drain is over" in line for line in victim.log), 0.5)
        victim.open_gate()
        victim.release.set()
        assert victim.process.wait(20) == 0
    assert victim.answers() == [("Completed", '"done"')]
