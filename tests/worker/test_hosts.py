"""A program and the worker in it: either may end before the other, and none of it is silent."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading

import pytest

from swf_worker import (
    ActivityContext,
    ActivityWorker,
    ConfigurationError,
    UnknownResourceFault,
    activity,
)
from swf_worker.local import Completed
from swf_worker.observations import InternalError
from tests.commands import environment
from tests.conftest import started
from tests.wire import OK, Wire, fault, silence, task

UNKNOWN = fault("UnknownResourceFault", "Unknown domain: d")


@activity(name="Work", version="1", heartbeat_interval=1)
def work(context: ActivityContext) -> None:
    while not context.worker_stopping:
        context.wait_for_stop(0.02)


class Told:
    def __init__(self):
        self.errors = []
        self.threads = []
        self.came = threading.Event()

    def __call__(self, error):
        self.errors.append(error)
        self.threads.append(threading.current_thread())
        self.came.set()


def test_a_fatal_error_is_given_to_the_program_at_once():
    told = Told()
    with Wire(PollForActivityTask=[UNKNOWN]) as service:
        worker = ActivityWorker(
            domain="d",
            task_list="t",
            activities=[work],
            endpoint_url=service.url,
            on_fatal_error=told,
        )
        with started(worker):
            assert told.came.wait(10)
            with pytest.raises(UnknownResourceFault):
                worker.wait(10)
    assert told.errors == [worker.error]
    assert told.threads[0] is not threading.main_thread()
    assert not worker.is_running


class AsMethod(ActivityWorker):
    domain = "d"
    task_list = "t"
    activities = (work,)

    def on_fatal_error(self, error):
        self.told = (self, error)
        raise ValueError("and breaks")


def test_it_may_be_a_method_and_what_that_raises_is_logged(recorder):
    with Wire(PollForActivityTask=[UNKNOWN]) as service:
        worker = AsMethod(endpoint_url=service.url, observers=[recorder])
        with started(worker):
            with pytest.raises(UnknownResourceFault):
                worker.wait(10)
            (broken,) = recorder.wait_for(InternalError)
    assert (broken.where, str(broken.error)) == ("on_fatal_error", "and breaks")
    assert worker.told == (worker, worker.error)


heard = Told()


class AsAttribute(ActivityWorker):
    domain = "d"
    task_list = "t"
    activities = (work,)
    on_fatal_error = heard


def test_it_may_be_an_attribute_and_an_argument_wins():
    other = Told()
    with Wire(PollForActivityTask=[UNKNOWN]) as service:
        for options in ({}, {"on_fatal_error": other}):
            worker = AsAttribute(endpoint_url=service.url, **options)
            with started(worker):
                with pytest.raises(UnknownResourceFault):
                    worker.wait(10)
    assert heard.came.wait(5)
    assert other.came.wait(5)
    assert len(heard.errors) == len(other.errors) == 1


def test_is_running_from_the_first_poll_to_the_end_of_the_stop(make_worker, quick_swf):
    worker = make_worker(work)
    assert not worker.is_running
    with worker:
        assert worker.is_running
        scheduled = quick_swf.schedule("Work", "1")
        scheduled.wait_for_heartbeats(1)
        worker.request_stop()
        assert worker.is_running or scheduled.outcome() == Completed()
    assert not worker.is_running


def test_in_a_process_forked_from_it_it_does_not_run(make_worker):
    worker = make_worker(work)
    with worker:
        child = os.fork()
        if not child:
            os._exit(0 if worker.is_running is False else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


SCRIPT = """
    import sys
    {setup}
    from swf_worker import ActivityContext, ActivityWorker, activity
    from tests.worker.test_hosts import work

    worker = ActivityWorker(domain="d", task_list="t", activities=[work], endpoint_url=sys.argv[1],
                            max_concurrent_activities=2, max_concurrent_polls=1)
    worker.start()
    sys.stdin.read()
    {end}
"""
LOGGED = "import logging; logging.basicConfig(format='LOGGED %(message)s')"


def last_words(setup="", end="", code=0):
    with Wire(PollForActivityTask=[task(), silence], RecordActivityTaskHeartbeat=[silence]) as wire:
        with subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(SCRIPT).format(setup=setup, end=end), wire.url],
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as program:
            wire.wait_for("PollForActivityTask", 2)
            out, err = program.communicate(timeout=20)
        assert program.returncode == code, err
        assert out == ""
        return err


@pytest.mark.parametrize("setup", ["", LOGGED])
def test_a_program_that_ends_while_its_worker_runs_names_what_it_abandons(setup):
    err = last_words(setup)
    (line,) = err.splitlines()
    assert "the program ends while its worker runs: call stop() before" in line
    assert "Work/1 activity-1 of workflow-1" in line
    assert "open_polls=1" in line
    assert line.startswith("LOGGED ") is bool(setup)


def test_also_where_it_fails():
    err = last_words(end="raise ValueError('of the program')", code=1)
    assert "Work/1 activity-1 of workflow-1" in err


ANSWERS = """
    import sys
    from swf_worker import ActivityWorker, activity

    @activity(name="Work", version="1", heartbeat_interval=30)
    def done() -> None: ...

    worker = ActivityWorker(domain="d", task_list="t", activities=[done], endpoint_url=sys.argv[1],
                            max_concurrent_activities=2, max_concurrent_polls=1)
    worker.start()
    sys.stdin.read()
"""


def test_an_answer_under_way_when_the_program_ends_is_waited_for():
    """A moment: the work is done, and only its answer's answer is missing."""
    asked, ending = threading.Event(), threading.Event()

    def after_the_end(sock):
        asked.set()
        ending.wait(20)
        # Nothing tells that the other process is at its end: it waits for us.
        threading.Event().wait(0.5)
        sock.sendall(OK)

    with Wire(
        PollForActivityTask=[task(), silence], RespondActivityTaskCompleted=[after_the_end]
    ) as wire:
        with subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(ANSWERS), wire.url],
            env=environment(),
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as program:
            assert asked.wait(20)
            ending.set()
            _, err = program.communicate(timeout=20)
    assert program.returncode == 0
    assert "Work/1 activity-1" not in err


def test_a_worker_that_was_stopped_says_nothing(make_worker, quick_swf):
    code = (
        "import sys\n"
        "from tests.worker.test_hosts import work\n"
        "from swf_worker import ActivityWorker\n"
        "with ActivityWorker(domain='tests', task_list='tasks', activities=[work],"
        " endpoint_url=sys.argv[1]):\n    pass\n"
    )
    make_worker(work)
    command = [sys.executable, "-c", code, quick_swf.endpoint_url]
    done = subprocess.run(
        command, env=environment(), capture_output=True, text=True, check=True, timeout=20
    )
    assert done.stderr == done.stdout == ""


async def nobody_awaits_it(error): ...


def test_an_async_one_is_refused(make_worker):
    """It would never be awaited."""
    with pytest.raises(ConfigurationError, match="async function"):
        make_worker(on_fatal_error=nobody_awaits_it)
