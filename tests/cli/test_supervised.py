"""``--processes``: a supervisor, and worker processes that stop together."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import NamedTuple

from swf_worker import ActivityWorker, activity
from swf_worker.local import Completed, Failed, TimedOut
from tests.cli.test_run import ended, once, running
from tests.cli.together import FLEET, logged
from tests.conftest import children, eventually
from tests.wire import EMPTY_POLL, Wire, fault, silence


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_processes_share_the_work_and_stop_together(swf):
    with running(FLEET, "--processes", "2", swf=swf) as process:
        assert eventually(lambda: len(children(process.pid)) == 2, 15)
        pids = children(process.pid)
        shared = set()
        while shared != set(pids):  # the second may poll much later than the first
            scheduled = [swf.schedule("Pid", "1", 0.2) for _ in range(4)]
            shared |= {int(each.outcome().result) for each in scheduled}
            assert shared <= set(pids)
        long = [swf.schedule("UntilStop", "1") for _ in range(4)]
        for each in long:
            each.wait_for_heartbeats()
        process.terminate()
        code, _, err = ended(process)
    assert code == 0
    assert [each.outcome() for each in long] == [Completed('"drained"')] * 4
    assert not any(is_alive(pid) for pid in pids)
    assert logged(err, "stopping: waiting for worker processes")[0]["at_most"] == 95.3


def test_a_signal_to_the_whole_group_counts_once_and_the_drain_is_whole(swf):
    with running(FLEET, "--processes", "2", swf=swf) as process:
        long = [swf.schedule("UntilStop", "1") for _ in range(4)]
        for each in long:
            each.wait_for_heartbeats()
        os.killpg(process.pid, signal.SIGINT)
        os.killpg(process.pid, signal.SIGINT)
        assert ended(process)[0] == 0
    assert [each.outcome() for each in long] == [Completed('"drained"')] * 4


def test_ctrl_c_while_the_processes_start_is_a_clean_end(swf):
    with running(FLEET, "--processes", "2", swf=swf) as process:
        assert eventually(lambda: bool(children(process.pid)), 15)
        os.killpg(process.pid, signal.SIGINT)
        code, _, err = ended(process)
    assert code == 0, err


def test_a_process_that_is_killed_is_replaced(swf):
    with running(FLEET, "--processes", "2", swf=swf) as process:
        victim = int(swf.schedule("Pid", "1").outcome().result)
        lost = None
        while lost is None:
            tried = swf.schedule("Pid", "1", 20.0, heartbeat_timeout=2)
            tried.wait_for_heartbeats()
            started = next(e for e in tried.history() if e["eventType"] == "ActivityTaskStarted")
            identity = started["activityTaskStartedEventAttributes"]["identity"]
            if identity.endswith(f":{victim}"):
                lost = tried
        os.kill(victim, signal.SIGKILL)
        assert lost.outcome() == TimedOut("HEARTBEAT")
        assert eventually(
            lambda: len(children(process.pid)) == 2 and victim not in children(process.pid), 15
        )
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGINT)
        code, _, err = ended(process)
    assert code == 3, "the killed process's task was abandoned"
    crash = logged(err, "worker process crashed: another is started")[0]
    assert (crash["pid"], crash["how"]) == (victim, "was killed by SIGKILL")


def test_workers_whose_supervisor_is_killed_drain(swf):
    with running(FLEET, "--processes", "2", swf=swf) as process:
        long = [swf.schedule("UntilStop", "1") for _ in range(4)]
        for each in long:
            each.wait_for_heartbeats()
        pids = children(process.pid)
        process.kill()
        assert [each.outcome() for each in long] == [Completed('"drained"')] * 4
        assert eventually(lambda: not any(is_alive(pid) for pid in pids), 20)


def test_the_steps_of_a_stop_reach_every_process(swf):
    deaf = [swf.schedule("Deaf", "1", heartbeat_timeout=1) for _ in range(4)]
    with running(
        "tests.cli.workers:patient", "--processes", "2", "--max-concurrent-activities", "2", swf=swf
    ) as process:
        for each in deaf:
            each.wait_for_heartbeats()
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGINT)
        assert eventually(lambda: process.poll() is not None, 1.2) is False
        process.send_signal(signal.SIGTERM)
        code, _, err = ended(process, 10)
    assert code == 3
    for each in deaf:
        assert f"of workflow {each.workflow_id}" in err
        assert each.outcome() == TimedOut("HEARTBEAT")


def test_what_can_not_work_ends_the_supervisor_with_its_exit_code():
    code, _, err = once("tests.cli.workers:wroker", "--processes", "3")
    assert code == 2
    assert err.count("did you mean worker?") == 1, "said once, not by every process"
    with Wire(
        PollForActivityTask=[fault("UnknownResourceFault", "Unknown domain: tests")],
        DescribeActivityType=[fault("UnknownResourceFault", "Unknown domain: tests")],
    ) as service:
        code, _, err = once(FLEET, "--processes", "2", "--endpoint-url", service.url)
    assert code == 1
    assert "register the domain" in err
    code, _, err = once(FLEET, "--processes", "0")
    assert (code, "1 to 1,000" in err) == (2, True)


def test_a_process_that_crashes_at_its_start_is_tried_again_until_the_stop():
    with Wire(PollForActivityTask=[silence], DescribeActivityType=[EMPTY_POLL]) as service:
        target = "tests.cli.crashes:worker"
        with running(target, "--processes", "2", "--endpoint-url", service.url) as process:
            deadline = time.monotonic() + 20
            seen = b""
            while seen.count(b"worker process crashed") < 2:
                assert time.monotonic() < deadline
                seen += os.read(process.stderr.fileno(), 65_536)
            process.terminate()
            code, _, _ = ended(process, 10)
    assert code == 0, "it never took a task"
    assert b"SIGKILL" in seen


def test_every_process_reports_on_sigusr1(swf):
    with running(FLEET, "--processes", "2", swf=swf) as process:
        scheduled = [swf.schedule("Deaf", "1", heartbeat_timeout=5) for _ in range(4)]
        for each in scheduled:
            each.wait_for_heartbeats()
        process.send_signal(signal.SIGUSR1)
        for each in scheduled:
            each.wait_for_heartbeats(each.heartbeats + 2)
        process.terminate()
        process.send_signal(signal.SIGINT)
        code, _, err = ended(process)
    assert code == 0
    assert len(logged(err, "worker report")) == 2
    assert {line["workflow_id"] for line in logged(err, "running task")} == {
        each.workflow_id for each in scheduled
    }
    assert all(isinstance(each.outcome(), Failed) for each in scheduled)


@activity(name="Ends", version="1")
def ends() -> int:
    ending.request_stop()
    return os.getpid()


ending = ActivityWorker(domain="tests", task_list="ends", activities=[ends])


def test_a_worker_that_stops_itself_is_started_again(swf):
    swf.register(ending)
    with running("tests.cli.test_supervised:ending", "--processes", "1", swf=swf) as process:
        pids = set()
        while len(pids) < 2:
            pids.add(swf.schedule("Ends", "1").outcome().result)
        process.terminate()
        code, _, err = ended(process)
    assert code == 0
    assert logged(err, "worker process ended by itself")


def test_several_fatal_starts_are_one_step_down():
    """Three processes that can't start must not cut the fourth's open poll."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    stopping = threading.Event()

    def held(connection):
        assert stopping.wait(30)
        connection.sendall(EMPTY_POLL)

    arguments = ["tests.cli.together:PortWorker", "--processes", "4", "--task-list", "idle"]
    with Wire(PollForActivityTask=[held]) as service:
        with running(*arguments, swf=Endpoint(service.url), THE_PORT=str(port)) as process:
            said = []
            for line in process.stderr:
                said.append(line.strip())
                if "waiting for worker processes" in line:
                    service.wait_for("PollForActivityTask")
                    stopping.set()
            assert process.wait(30) == 1
    assert not [line for line in said if "abandoned: " in line or "Traceback" in line]
    assert said[-1].startswith("swf-worker: the port is taken")


class Endpoint(NamedTuple):
    endpoint_url: str


def test_a_second_worker_that_can_not_work_is_fatal_with_processes_too(swf):
    unknown = fault("UnknownResourceFault", "Unknown domain: tests")
    with Wire(PollForActivityTask=[unknown], DescribeActivityType=[unknown]) as service:
        code, _, err = once(
            FLEET,
            "tests.cli.together:refused",
            "--processes",
            "1",
            AWS_ENDPOINT_URL_SWF=swf.endpoint_url,
            REFUSING_URL=service.url,
        )
    assert code == 1
    assert "register the domain" in err.splitlines()[-1]


@activity(name="Forks", version="1", heartbeat_interval=0.2)
def forks() -> str:
    import multiprocessing

    child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
    child.start()
    child.terminate()
    child.join(10)
    return str(child.exitcode)


forking = ActivityWorker(domain="tests", task_list="forks", activities=[forks])


def test_a_process_that_a_handler_forks_dies_of_its_own_sigterm_alone(swf):
    swf.register(forking)
    with running("tests.cli.test_supervised:forking", swf=swf) as process:
        assert swf.schedule("Forks", "1").outcome() == Completed('"-15"')
        assert swf.schedule("Forks", "1").outcome() == Completed('"-15"'), "the worker goes on"
        process.terminate()
        assert ended(process)[0] == 0


def test_sigusr1_does_not_kill_a_worker_that_starts(swf):
    target = "tests.cli.together:SlowStart"
    with running(target, "--task-list", "idle", swf=swf) as process:
        assert process.stderr.readline() == "starting\n"
        process.send_signal(signal.SIGUSR1)
        said = ""
        while "in on_start" not in said:
            said += process.stderr.readline()
        process.kill()


def test_a_stop_ends_processes_that_only_start(swf):
    target = "tests.cli.together:SlowStart"
    with running(target, "--processes", "2", "--task-list", "idle", swf=swf) as process:
        for _ in range(2):
            while process.stderr.readline() != "starting\n":
                pass
        process.terminate()
        assert ended(process, 5)[0] == 0, "no task was taken"


def test_a_programs_own_sigusr1_is_left_alone(swf):
    script = (
        "import faulthandler, os, signal, sys, threading\n"
        "from tests.cli.workers import fleet\n"
        "if sys.argv[2] == 'own':\n"
        "    signal.signal(signal.SIGUSR1, lambda *_: os.write(2, b'mine\\n'))\n"
        "else:\n    faulthandler.register(signal.SIGUSR1)\n"
        "fleet.configure({'endpoint_url': sys.argv[1]})\n"
        "sys.exit(fleet.run())\n"
    )
    for kind, says in (("own", "mine"), ("faulthandler", "(most recent call first)")):
        with subprocess.Popen(
            [sys.executable, "-c", script, swf.endpoint_url, kind],
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        ) as process:
            swf.schedule("Pid", "1").outcome()
            process.send_signal(signal.SIGUSR1)
            said = ""
            while says not in said:
                said += process.stderr.readline()
            process.terminate()
            process.communicate(timeout=20)
        assert process.returncode == 0


def test_a_report_tells_where_an_async_handler_waits_and_whose_it_is(swf):
    swf.register(waiting)
    with running("tests.cli.test_supervised:waiting", "--processes", "1", swf=swf) as process:
        scheduled = swf.schedule("Waits", "1")
        scheduled.wait_for_heartbeats()
        os.killpg(process.pid, signal.SIGUSR1)
        scheduled.wait_for_heartbeats(scheduled.heartbeats + 2)
        process.terminate()
        process.send_signal(signal.SIGINT)
        _, _, err = ended(process)
    (task,) = logged(err, "running task")
    assert "in waits" in task["stack"]
    assert "in deep_down" in task["stack"]
    (report,) = logged(err, "worker report")
    assert report["pid"] == task["pid"] != process.pid


async def deep_down() -> None:
    await asyncio.sleep(60)


@activity(name="Waits", version="1", heartbeat_interval=0.2)
async def waits() -> None:
    await deep_down()


waiting = ActivityWorker(domain="tests", task_list="waits", activities=[waits])
