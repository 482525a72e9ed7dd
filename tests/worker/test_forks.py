"""Construct, fork, start in each: what belongs to a process is settled where it starts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading

import pytest

from swf_worker import activity
from swf_worker.local import Completed, LocalSwf
from tests.commands import environment
from tests.wire import EMPTY_POLL, Wire, silence


@activity(name="Work", version="1", heartbeat_interval=1)
def work() -> None: ...


def test_the_default_identity_is_the_starting_processs(make_worker):
    worker = make_worker(work)
    assert worker.identity is None
    with worker:
        assert worker.identity.endswith(f":{os.getpid()}")
    assert make_worker(work, identity="mine").identity == "mine"


FORKING = """
    import os, sys
    from swf_worker import ActivityWorker, activity

    @activity(name="Work", version="1", heartbeat_interval=1)
    def work() -> None: ...

    worker = ActivityWorker(domain="d", task_list="t", activities=[work],
                            endpoint_url=sys.argv[1], max_concurrent_polls=1)
    pids = []
    for _ in range(2):
        pid = os.fork()
        if not pid:
            worker.start()
            sys.stdin.read(1)
            os._exit(0)
        pids.append(pid)
    print(*pids, flush=True)
    for pid in pids:
        os.waitpid(pid, 0)
"""


def test_forked_after_its_construction_each_polls_as_itself():
    with Wire(PollForActivityTask=[silence]) as service:
        with subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(FORKING), service.url],
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            pids = process.stdout.readline().split()
            polls = service.wait_for("PollForActivityTask", 2)
            process.stdin.close()
    assert {poll["identity"].rpartition(":")[2] for poll in polls} == set(pids)


APPLICATION = """
    import os
    from swf_worker import ActivityWorker, activity

    @activity(name="Work", version="1", heartbeat_interval=1)
    def work() -> None: ...

    worker = ActivityWorker(domain="d", task_list="t", activities=[work],
                            endpoint_url=os.environ["SERVICE"], max_concurrent_polls=1)

    def application(environ, start_response):
        start_response("200 OK", [])
        return [b"here"]
"""
CONFIGURATION = """
    def post_worker_init(server_worker):
        import application
        application.worker.start()

    def worker_exit(server, server_worker):
        import application
        application.worker.stop(0)
"""


def test_under_gunicorn_preload_each_process_polls_as_itself(tmp_path):
    (tmp_path / "application.py").write_text(textwrap.dedent(APPLICATION))
    (tmp_path / "settings.py").write_text(textwrap.dedent(CONFIGURATION))
    command = [sys.executable, "-m", "gunicorn", "--preload", "--workers", "2"]
    command += ["--config", "settings.py", "--bind", "unix:gunicorn.sock", "--worker-tmp-dir", "."]

    both = threading.Event()

    def held(sock):
        both.wait(20)
        sock.sendall(EMPTY_POLL)

    with Wire(PollForActivityTask=[held]) as service:
        with subprocess.Popen(
            [*command, "application:application"],
            cwd=tmp_path,
            env=environment(SERVICE=service.url),
            stderr=subprocess.DEVNULL,
        ) as process:
            polls = service.wait_for("PollForActivityTask", 2)
            identities = {poll["identity"] for poll in polls}
            both.set()
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
    assert len(identities) == 2
    assert not any(each.endswith(f":{process.pid}") for each in identities), "not the parent's"


# --- handlers that fork -------------------------------------------------------------------------

FORKS = """
    import asyncio, os, sys
    from swf_worker import ActivityWorker, activity

    def fork(way: str) -> int | str:
        child = os.fork()
        if child:
            return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if way == "raises":
            raise ValueError("in the child")
        if way == "exits":
            sys.exit(7)
        return "the child's answer"

    @activity(name="Forks", version="thread", heartbeat_interval=1)
    def thread(way: str) -> int | str:
        return fork(way)

    @activity(name="Forks", version="async", heartbeat_interval=1)
    async def coroutine(way: str) -> int | str:
        return fork(way)

    @activity(name="Forks", version="async, and waits", heartbeat_interval=1)
    async def waits(way: str) -> int | str:
        child = os.fork()
        if child:
            return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        await asyncio.sleep(0.01)
        return "the child's answer"

    @activity(name="Forks", version="process", isolation="process", heartbeat_interval=1)
    def process(way: str) -> int | str:
        return fork(way)

    worker = ActivityWorker(domain="d", task_list="t",
                            activities=[thread, coroutine, waits, process])
    if __name__ == "__main__":
        raise SystemExit(worker.run())
"""


def test_what_a_handler_forks_answers_nothing_and_polls_nothing(tmp_path):
    program = tmp_path / "forking.py"
    program.write_text(textwrap.dedent(FORKS))
    with LocalSwf(poll_hold=0.3) as swf:
        for version in ("thread", "async", "async, and waits", "process"):
            swf.register([activity(name="Forks", version=version)(work_of)], domain="d")
        env = environment(AWS_ENDPOINT_URL_SWF=swf.endpoint_url)
        with subprocess.Popen(
            [sys.executable, str(program)], env=env, stderr=subprocess.PIPE, start_new_session=True
        ) as process:

            def outcome(way, version):
                return swf.schedule("Forks", version, way, domain="d", task_list="t").outcome()

            for version in ("thread", "async", "process"):
                for way, code in (("returns", "0"), ("exits", "7"), ("raises", "1")):
                    assert outcome(way, version) == Completed(code), (version, way)
            assert isinstance(outcome("waits", "async, and waits"), Completed)
            for _ in range(3):  # whoever else polled would have had one of them
                assert outcome("returns", "thread") == Completed("0")
            process.terminate()
            _, err = process.communicate(timeout=20)
    assert process.returncode == 0
    assert b"ValueError: in the child" in err
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)


def work_of(way: str) -> None: ...
