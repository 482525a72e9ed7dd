"""The health port under ``--processes``: one, the supervisor's."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager

import pytest
import structlog

from swf_worker.cli.status_line import Reply, StatusLine
from swf_worker.cli.watch import Watch
from swf_worker.clock import now
from swf_worker.instrumentation.health.snapshot import Family, Sample, combined
from swf_worker.local import Completed
from swf_worker.runtime.children.wire import encode
from tests.cli.test_run import ended, environment, once
from tests.cli.together import FLEET, logged
from tests.conftest import children, eventually
from tests.operating.conftest import get, samples

QUICK = """
import sys
from swf_worker.cli import watch
watch.EVERY, watch.WEDGED_AFTER = 0.2, 1.0
from swf_worker.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


@contextmanager
def supervised(*arguments, swf, processes=2, code=QUICK):
    """A supervisor that looks often; with the lines of its log, and the port's address."""
    process = subprocess.Popen(
        [
            *(sys.executable, "-c", code, "run", *arguments, "--processes", str(processes)),
            *("--endpoint-url", swf.endpoint_url, "--log-format", "json"),
        ],
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        said = ""
        while (found := re.search(r"http://127\.0\.0\.1:\d+", said)) is None or (
            "health port open" not in said
        ):
            line = process.stderr.readline()
            assert line, said
            said = line if "health port open" in line else ""
        yield process, found[0]
    finally:
        for child in children(process.pid):
            with_no_mercy(child)
        if process.poll() is None:
            process.kill()
        process.communicate()


def with_no_mercy(pid):
    os.kill(pid, signal.SIGCONT)
    os.kill(pid, signal.SIGKILL)


def are_ready(url, count):
    status = get(url, "/status").json["workers"]
    return sum(each["ready"] for each in status) == count


def test_there_is_one_port_and_its_numbers_are_everybodys(swf):
    with supervised(FLEET, "--health-port", "0", swf=swf) as (process, url):
        assert eventually(lambda: are_ready(url, 2), 30)
        assert get(url, "/livez") == (200, "ok\n")
        assert get(url, "/readyz") == (200, "ok\n")
        long = [swf.schedule("UntilStop", "1") for _ in range(3)]
        for each in long:
            each.wait_for_heartbeats()
        status = get(url, "/status").json["workers"]
        assert {each["process"] for each in status} == {
            f"process {n} (pid {pid})" for n, pid in enumerate(sorted(children(process.pid)), 1)
        }
        assert sum(len(each["running"]) for each in status) == 3
        found = samples(get(url, "/metrics").text)
        slots = sum(each["slots"]["max"] for each in status)
        assert found["swf_worker_slots"] == slots
        assert found["swf_worker_slots_used"] == 3
        assert found["swf_worker_processes"] == 2
        assert found["swf_worker_polls_total{result=task}"] >= 3
        assert get(url, "/scale").json == {
            "backlog": 0,
            "truncated": False,
            "busy": 3,
            "slots": slots,
        }
        assert "<html" in get(url, "/").text
        process.terminate()
        assert [each.outcome() for each in long] == [Completed('"drained"')] * 3
        assert ended(process)[0] == 0


def test_a_killed_process_is_replaced_and_nothing_that_was_counted_falls(swf):
    with supervised(FLEET, "--health-port", "0", swf=swf) as (process, url):
        assert eventually(lambda: are_ready(url, 2), 30)
        for _ in range(4):
            swf.schedule("Pid", "1").outcome()
        series = "swf_worker_activities_total{activity_type=Pid/1,outcome=completed}"
        assert eventually(lambda: samples(get(url, "/metrics").text).get(series) == 4)
        victim = int(swf.schedule("Pid", "1").outcome().result)
        assert eventually(lambda: samples(get(url, "/metrics").text)[series] == 5)
        os.kill(victim, signal.SIGKILL)
        assert eventually(lambda: victim not in children(process.pid))
        assert get(url, "/livez").status == 200, "it is being replaced"
        assert get(url, "/readyz").status == 200, "the other one takes tasks"
        assert samples(get(url, "/metrics").text)[series] == 5
        assert eventually(lambda: are_ready(url, 2), 30)
        found = samples(get(url, "/metrics").text)
        assert found["swf_worker_process_restarts_total"] == 1
        assert found[series] == 5


def test_a_wedged_process_is_not_live_and_is_named_in_the_log(swf):
    with supervised(FLEET, "--health-port", "0", swf=swf) as (process, url):
        assert eventually(lambda: are_ready(url, 2), 30)
        wedged, other = children(process.pid)
        os.kill(wedged, signal.SIGSTOP)
        assert eventually(lambda: get(url, "/livez").status == 503, 20)
        assert f"(pid {wedged}): has not answered for" in get(url, "/livez").text
        assert get(url, "/readyz").status == 200
        found = samples(get(url, "/metrics").text)
        assert found["swf_worker_processes_wedged"] == 1
        assert found["swf_worker_ready"] == 1, "what it said last is nothing of now"
        told = {each["process"]: each for each in get(url, "/status").json["workers"]}
        silent = next(told[name] for name in told if f"(pid {wedged})" in name)
        assert (silent["ready"], "has not answered" in silent["not_ready"]) == (False, True)
        assert ["has not answered" in each for each in silent["wedged"]] == [True]
        assert get(url, "/scale").json["slots"] == found["swf_worker_slots"]
        os.kill(other, signal.SIGSTOP)
        assert eventually(lambda: get(url, "/readyz").status == 503, 20), "now nobody is left"
        os.kill(other, signal.SIGCONT)
        os.kill(wedged, signal.SIGCONT)
        assert eventually(lambda: get(url, "/livez").status == 200)
        assert eventually(lambda: are_ready(url, 2))
        process.terminate()
        code, _, err = ended(process)
    assert code == 0
    told = [line["pid"] for line in logged(err, "worker process is wedged")]
    went_on = [line["pid"] for line in logged(err, "worker process goes on")]
    assert 1 <= told.count(wedged) == went_on.count(wedged), "once, however often it is asked"


def test_a_probe_waits_for_no_process_that_is_slow_to_answer(swf):
    """One holds its GIL, say, and several ask at once."""
    slow = QUICK.replace("watch.WEDGED_AFTER = 0.2, 1.0", "watch.PATIENCE = 0.2, 60.0")
    with supervised(FLEET, "--health-port", "0", swf=swf, code=slow) as (process, url):
        assert eventually(lambda: are_ready(url, 2), 30)
        os.kill(children(process.pid)[0], signal.SIGSTOP)
        with socket.create_connection(url.removeprefix("http://").split(":")) as scraper:
            scraper.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")  # which waits
            for _ in range(3):
                assert get(url, "/livez", timeout=5) == (200, "ok\n")


def test_the_codes_own_port_is_the_supervisors(swf):
    target = "tests.operating.workers:worker"
    with supervised(target, swf=swf) as (process, url):
        assert eventually(lambda: are_ready(url, 2), 30)
        process.terminate()
        assert ended(process)[0] == 0


@pytest.mark.parametrize("given", [["--health-port", "{}"], []], ids=["the flag's", "the code's"])
def test_a_port_that_is_taken_ends_the_supervisor_with_one_line(given, swf, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        target = FLEET if given else "tests.operating.workers:worker"
        flags = [each.format(port) for each in given]
        code, _, err = once(
            *(target, "--processes", "2", *flags, "--endpoint-url", swf.endpoint_url),
            *("--log-level", "error"),
            THE_HEALTH_PORT=port,
        )
    assert code == 1
    assert err.count("can't be opened") == 1


def test_metrics_that_a_process_cant_tell_are_no_empty_success(swf):
    """A collector of the program's own, in the workers' registry, may be broken."""
    with supervised("tests.operating.workers:broken", swf=swf, processes=1) as (_, url):
        assert eventually(lambda: are_ready(url, 1), 30)
        code, why = get(url, "/metrics")
        assert (code, "mine is broken" in why) == (500, True)
        assert get(url, "/livez").status == 200


def test_a_late_answer_shows_that_a_process_lives():
    ours, theirs = socket.socketpair()
    line = StatusLine(ours)
    line.ask("probe")
    line.ask("probe")
    theirs.sendall(encode(Reply(1, error="too late")))
    assert line.reply(now() + 0.05).number == 1
    theirs.sendall(encode(Reply(2, error="in time")))
    assert line.reply(now() + 5).number == 2
    assert line.reply(now() + 0.01) is None
    line.close()
    theirs.close()


def test_no_counter_falls_where_a_process_is_late_or_ends():
    counted = [Family("c", "Counted.", "counter", [Sample("c_total", {}, 5.0)])]
    watch = Watch(structlog.get_logger())
    pairs = [socket.socketpair() for _ in range(2)]
    for number, (ours, _) in enumerate(pairs):
        watch.joined(number, 100 + number, StatusLine(ours))
        watch._slots[number].counted = counted

    def total():
        told = combined(watch.counted().parts, {})
        return next(f.samples[0].value for f in told if f.name == "c")

    assert total() == 10, "neither answers now"
    watch.left(0, restarted=True)
    assert total() == 10
    watch.left(1)
    assert total() == 10
    watch.look("probe")  # closes the lines
    for _, theirs in pairs:
        theirs.close()
