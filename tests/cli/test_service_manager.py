"""What systemd, or whoever else has set NOTIFY_SOCKET, is told; on a real socket, by real
processes."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest
import structlog

from swf_worker.cli.watch import Watch, WatchedSlot
from swf_worker.core import probes
from swf_worker.local import Completed, LocalSwf
from swf_worker.runtime.notify import notifier as pace
from swf_worker.runtime.notify.notifier import Notifier, Standing
from swf_worker.runtime.notify.service_manager import ServiceManager, taken_from
from swf_worker.runtime.polling.poller import REFUSED_WITHIN
from swf_worker.runtime.standing import are_alive
from tests.cli import notified
from tests.cli.test_run import ended, environment, running
from tests.conftest import eventually
from tests.wire import EMPTY_POLL, Wire, fault, silence

TARGET = "tests.cli.notified:worker"
PROGRAM = "from tests.cli.notified import worker; raise SystemExit(worker.run())"
TOGETHER = """
from swf_worker import run_workers
from tests.cli.notified import second, worker
raise SystemExit(run_workers([worker, second]))
"""
EMBEDDED = """
from tests.cli.notified import worker
import os
with worker:
    print("runs", "NOTIFY_SOCKET" in os.environ, flush=True)
    input()
"""


class Manager:
    """Its side of the socket: what it was told, message by message, and when."""

    def __init__(self, folder: Path, name: str = "") -> None:
        self.address = name or str(folder / "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.address.replace("@", "\0", 1))
        self.told: list[tuple[float, dict[str, str]]] = []

    def hear(self, seconds: float) -> None:
        """Wait for the next message, so long at most."""
        self.socket.settimeout(max(0.001, seconds))
        try:
            message = self.socket.recv(4096).decode()
        except TimeoutError:
            return
        said = dict(line.split("=", 1) for line in message.splitlines())
        self.told.append((time.monotonic(), said))

    def wait_for(self, name: str, value: str = "", seconds: float = 20, since: int = 0):
        """The first message, after ``since`` of them, with ``name`` that says ``value``."""
        until = time.monotonic() + seconds
        at = since
        while True:
            for moment, said in self.told[at:]:
                at += 1
                if name in said and value in said[name]:
                    return moment, said
            assert time.monotonic() < until, f"no {name} {value!r} in {self.told}"
            self.hear(until - time.monotonic())

    def rest(self) -> list[dict[str, str]]:
        """All there is, when nobody says any more."""
        while True:
            before = len(self.told)
            self.hear(0.05)
            if len(self.told) == before:
                return [said for _, said in self.told]

    def gaps(self, name: str, since: float = 0) -> list[float]:
        """Seconds between the messages that have it."""
        moments = [moment for moment, said in self.told if name in said and moment > since]
        return [after - before for before, after in pairwise(moments)]


@pytest.fixture
def manager(tmp_path):
    listening = Manager(tmp_path)
    yield listening
    listening.socket.close()


@pytest.fixture
def swf():
    with LocalSwf(poll_hold=0.3) as local:
        local.register(notified.second)
        local.register(notified.worker)
        yield local


@contextmanager
def program(code, swf, **env):
    command = [sys.executable, "-c", code]
    env = environment(AWS_ENDPOINT_URL_SWF=swf.endpoint_url, **env)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, env=env, text=True, **pipes) as process:
        try:
            yield process
        finally:
            process.kill()


def check_life(process, manager):
    """From READY to STOPPING, in order, each once."""
    manager.wait_for("READY", "1")
    manager.wait_for("STATUS", "running: 0 tasks")
    process.terminate()
    code, _, err = ended(process)
    assert code == 0, err
    told = manager.rest()
    order = [name for said in told for name in said if name in ("READY", "STOPPING")]
    assert order == ["READY", "STOPPING"]
    stopping = next(said for said in told if "STOPPING" in said)
    assert stopping["STATUS"].startswith("draining: ")
    assert not any("WATCHDOG" in said for said in told), "nobody asked for it"


def test_swf_worker_run_tells_that_it_is_ready_and_that_it_stops(swf, manager):
    with running(TARGET, swf=swf, NOTIFY_SOCKET=manager.address) as process:
        check_life(process, manager)


@pytest.mark.parametrize(
    "code", [pytest.param(PROGRAM, marks=pytest.mark.full), TOGETHER], ids=["run", "together"]
)
def test_so_do_run_and_run_workers(swf, manager, code):
    with program(code, swf, NOTIFY_SOCKET=manager.address) as process:
        check_life(process, manager)


def test_so_does_a_supervisor_for_all_its_processes(swf, manager):
    flags = ["--processes", "2"]
    with running(TARGET, *flags, swf=swf, NOTIFY_SOCKET=manager.address) as process:
        manager.wait_for("READY", "1")
        manager.wait_for("STATUS", "running: 2 of 2 worker processes, SWF takes the polls of 2")
        process.terminate()
        code, _, err = ended(process)
    assert code == 0, err
    told = manager.rest()
    assert sum("READY" in said for said in told) == 1
    stopping = next(said for said in told if "STOPPING" in said)
    assert stopping["STATUS"].startswith("draining: 2 of 2 worker processes still run, until ")


def test_an_embedded_worker_tells_nothing_and_takes_nothing(swf, manager):
    with program(EMBEDDED, swf, NOTIFY_SOCKET=manager.address) as process:
        assert process.stdout.readline() == "runs True\n"
        process.communicate("\n")
        assert process.returncode == 0
    assert manager.rest() == []


@pytest.mark.parametrize("flags", [[], ["--processes", "1"]], ids=["alone", "supervised"])
def test_no_handler_and_no_program_of_its_sees_the_managers_variables(swf, tmp_path, flags):
    """(The socket has an abstract address here.)"""
    manager = Manager(tmp_path, f"@swf-worker-{os.getpid()}")
    env = {"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "20000000", "WATCHDOG_PID": "1"}
    scheduled = [swf.schedule(f"SeenIn{where}", "1") for where in ("Thread", "Process")]
    with running(TARGET, *flags, swf=swf, **env) as process:
        for each in scheduled:
            assert json.loads(each.outcome().result) == ["[]\n"]
        manager.wait_for("READY", "1")
        process.terminate()
        assert ended(process)[0] == 0
    told = manager.rest()
    manager.socket.close()
    assert any("STOPPING" in said for said in told)
    assert not any("WATCHDOG" in said for said in told), "it is another process's"


# --- ready --------------------------------------------------------------------------------------


def test_an_idle_worker_is_ready_while_swf_holds_its_first_poll(manager):
    """An empty list's first poll is answered after 60 s: systemd would have given up soon after."""
    with Wire(PollForActivityTask=[silence]) as service:
        flags = ["--endpoint-url", service.url]
        with running(TARGET, *flags, NOTIFY_SOCKET=manager.address) as process:
            service.wait_for("PollForActivityTask")
            polled = time.monotonic()
            moment, _ = manager.wait_for("READY", "1")
            assert moment - polled > REFUSED_WITHIN / 2
            process.kill()


def test_one_whose_polls_are_refused_is_not_ready_before_they_are_taken(manager):
    """By what may get better; what can't is fatal."""
    refused = [fault("ThrottlingException", status=400)] * 3
    with Wire(PollForActivityTask=[*refused, EMPTY_POLL]) as service:
        flags = ["--endpoint-url", service.url]
        with running(TARGET, *flags, NOTIFY_SOCKET=manager.address) as process:
            manager.wait_for("STATUS", "starting: SWF has not taken the polls yet")
            manager.wait_for("READY", "1", seconds=30)
            assert len(service.named("PollForActivityTask")) >= 4
            process.kill()


def test_what_is_fatal_at_the_start_is_told_and_never_ready(manager):
    refused = fault("UnknownResourceFault", "Unknown domain: tests")
    with Wire(PollForActivityTask=[refused], DescribeActivityType=[refused]) as service:
        flags = ["--endpoint-url", service.url]
        with running(TARGET, *flags, NOTIFY_SOCKET=manager.address) as process:
            assert ended(process)[0] == 1
    told = manager.rest()
    assert not any("READY" in said for said in told)
    assert any("register the domain" in said.get("STATUS", "") for said in told)


# --- a stop takes its time ----------------------------------------------------------------------


def test_a_drain_asks_for_more_time_until_it_is_over(swf, manager, tmp_path):
    scheduled = swf.schedule("UntilFile", "1", str(tmp_path / "end"))
    flags = ["--drain-timeout", "50"]
    with running(TARGET, *flags, swf=swf, NOTIFY_SOCKET=manager.address) as process:
        scheduled.wait_for_heartbeats()  # the handler runs
        process.terminate()
        manager.wait_for("STOPPING", "1")
        _, said = manager.wait_for("STATUS", "draining: 1 task, 0 open polls, until ")
        assert said["STATUS"].endswith("at the latest")
        _, said = manager.wait_for("EXTEND_TIMEOUT_USEC")
        assert int(said["EXTEND_TIMEOUT_USEC"]) == pytest.approx(60e6, abs=1e6)
        (tmp_path / "end").touch()
        assert ended(process)[0] == 0
    assert scheduled.outcome() == Completed('"done"')


# --- the watchdog -------------------------------------------------------------------------------


def test_the_watchdog_hears_nothing_while_the_gil_is_held(swf, manager):
    """Not even the scheduler turns: no beat goes out. Afterwards all is well."""
    env = {"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "1000000"}
    with running(TARGET, swf=swf, **env) as process:
        manager.wait_for("READY", "1")
        before = len(manager.told)
        for _ in range(3):
            manager.wait_for("WATCHDOG", "1", since=before)
            before = len(manager.told)
        scheduled = swf.schedule("HoldGil", "1", 3)
        assert scheduled.outcome() == Completed('"held"')
        manager.wait_for("WATCHDOG", "1", since=len(manager.told))
        assert max(manager.gaps("WATCHDOG")) > 2.5
        process.terminate()
        assert ended(process)[0] == 0


def test_a_supervisors_loop_feeds_the_watchdog_until_it_stands_still(swf, manager):
    env = {"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "600000"}
    with running(TARGET, "--processes", "1", swf=swf, **env) as process:
        manager.wait_for("READY", "1")
        manager.wait_for("WATCHDOG", "1", since=len(manager.told))
        process.send_signal(signal.SIGSTOP)
        manager.rest()
        before = len(manager.told)
        manager.hear(1.5)
        assert len(manager.told) == before
        process.send_signal(signal.SIGCONT)
        manager.wait_for("WATCHDOG", "1", since=before)
        process.terminate()
        assert ended(process)[0] == 0


def test_it_is_fed_to_the_end_of_the_process_whatever_handlers_left(manager, tmp_path):
    from tests.cli import leavers

    env = {"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "600000"}
    with LocalSwf(poll_hold=0.3) as swf:
        swf.register(leavers.worker)
        scheduled = swf.schedule("Leaves", "1", ["thread"])
        target = "tests.cli.leavers:worker"
        with running(target, swf=swf, LEAVERS_FOLDER=str(tmp_path), **env) as process:
            assert scheduled.outcome() == Completed('"left"')
            process.terminate()
            moment, _ = manager.wait_for(
                "STATUS", "ended: the process waits for what handlers left"
            )
            while process.poll() is None:
                manager.hear(0.1)
    assert len(manager.gaps("WATCHDOG", since=moment)) > 5


def test_a_scheduler_that_stands_still_is_not_alive(make_worker, monkeypatch):
    """The verdict is the health port's."""
    monkeypatch.setattr(probes, "WEDGED_AFTER", 0.3)
    released = threading.Event()
    with make_worker(notified.seen_in_thread) as worker:
        running_worker = worker._running
        assert are_alive([running_worker])
        running_worker.engine.timers.call_later(0, lambda: released.wait(20))
        assert eventually(lambda: not are_alive([running_worker]))
        released.set()
        assert eventually(lambda: are_alive([running_worker]))
    assert are_alive([running_worker]), "it has ended, and the process goes on for what is left"


def test_a_supervisor_is_alive_while_one_of_its_processes_is():
    watch = Watch(structlog.get_logger())
    assert watch.is_alive()
    silent, well = WatchedSlot(1, 101, None), WatchedSlot(2, 102, None)
    watch._slots = {1: silent, 2: well}
    silent.heard_at -= 60
    assert watch.is_alive()
    well.heard_at -= 60
    assert not watch.is_alive()


# --- what is broken harms nothing ---------------------------------------------------------------


@pytest.mark.parametrize("address", ["/nowhere/notify", "vsock:2:1234", "@" + 200 * "a", "@\ud800"])
def test_what_can_not_be_told_is_an_error_that_a_notifier_bears(address):
    errors = []
    ready = Standing("running", ready=True)
    manager = ServiceManager(address)
    notifier = Notifier(manager, lambda: ready, lambda error, where: errors.append(where))
    notifier.turn()
    notifier.turn()
    if manager._socket is not None:
        manager._socket.close()
    assert errors == ["the service manager's socket"], "once"


def test_a_socket_that_is_not_there_is_said_once_and_harms_nothing(swf):
    scheduled = swf.schedule("SeenInThread", "1")
    env = {"NOTIFY_SOCKET": "/nowhere/notify", "WATCHDOG_USEC": "200000"}
    with running(TARGET, swf=swf, **env) as process:
        assert isinstance(scheduled.outcome(), Completed)
        process.terminate()
        code, _, err = ended(process)
    assert code == 0
    lines = [json.loads(line) for line in err.splitlines()]
    said = [line for line in lines if line.get("where") == "the service manager's socket"]
    assert len(said) == 1, err


def test_a_manager_that_reads_nothing_holds_nothing_up(swf, manager):
    """Its socket is full."""
    full = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    full.setblocking(False)
    with pytest.raises(BlockingIOError):
        while True:
            full.sendto(b"X=1\n", manager.address)
    full.close()
    scheduled = swf.schedule("SeenInThread", "1")
    with running(TARGET, swf=swf, NOTIFY_SOCKET=manager.address) as process:
        assert isinstance(scheduled.outcome(), Completed)
        manager.wait_for("READY", "1")  # as soon as it reads again
        process.terminate()
        code, _, err = ended(process)
    assert code == 0
    assert "harmed no task" not in err


# --- the notifier alone -------------------------------------------------------------------------


class Heard:
    """A manager that keeps what it is told."""

    def __init__(self, watchdog=None):
        self.watchdog = watchdog
        self.told = []

    def tell(self, said):
        self.told.append(dict(said))


def test_what_is_not_alive_gets_no_sign_and_no_more_time(monkeypatch):
    moment = [100.0]
    monkeypatch.setattr(pace, "now", lambda: moment[0])
    manager, alive, errors = Heard(watchdog=40.0), [False], []
    draining = Standing("draining", stopping=True, ends_by=190.0)
    notifier = Notifier(manager, lambda: draining, lambda *told: errors.append(told))
    notifier.alive = lambda: alive[0]
    assert notifier.turn() == pace.AGAIN
    assert manager.told == [{"STOPPING": "1", "STATUS": "draining"}]
    alive[0] = True
    moment[0] += pace.AGAIN
    assert notifier.turn() == pace.LOOK_STOPPING
    assert manager.told[1:] == [{"WATCHDOG": "1", "EXTEND_TIMEOUT_USEC": "60000000"}]
    moment[0] = 160.0
    notifier.turn()
    assert manager.told[-1] == {"WATCHDOG": "1", "EXTEND_TIMEOUT_USEC": "30000000"}
    moment[0] = 191.0  # its bound is over
    notifier.turn()
    assert manager.told[-1] == {"WATCHDOG": "1"}
    assert errors == []


def test_signs_of_life_come_at_half_of_the_watchdogs_time(monkeypatch):
    moment = [100.0]
    monkeypatch.setattr(pace, "now", lambda: moment[0])
    manager = Heard(watchdog=4.0)
    running = Standing("running", ready=True)
    notifier = Notifier(manager, lambda: running, lambda error, where: None)
    assert notifier.turn() == 2.0
    moment[0] += 1.9
    assert notifier.turn() == pytest.approx(0.1)
    moment[0] += 0.1
    notifier.turn()
    news = {"READY": "1", "STATUS": "running"}
    assert manager.told == [news, {"WATCHDOG": "1"}, {"WATCHDOG": "1"}]


def test_a_look_that_is_broken_is_no_reason_to_end_what_runs():
    def broken():
        raise RuntimeError("broken")

    manager, errors = Heard(watchdog=10.0), []
    notifier = Notifier(manager, broken, lambda error, where: errors.append(where), broken)
    notifier.turn()
    notifier.turn()
    assert {"WATCHDOG": "1"} in manager.told
    assert len(errors) == len(set(errors)) == 2


@pytest.mark.parametrize(
    ("given", "watchdog"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({}, None),
    ],
)
def test_the_watchdogs_variables(given, watchdog):
    environ = {"NOTIFY_SOCKET": "/run/notify", "PATH": "/bin", **given}
    manager = taken_from(environ)
    assert isinstance(manager, ServiceManager)
    assert manager.watchdog == watchdog
    assert environ == {"PATH": "/bin"}


def test_without_a_socket_there_is_no_manager_and_no_thread():
    environ = {"WATCHDOG_USEC": "30000000"}
    assert taken_from(environ) is None
    assert environ == {}
    assert not [each for each in threading.enumerate() if "notify" in each.name]
