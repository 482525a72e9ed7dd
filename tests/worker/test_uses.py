"""The three ways of use: subclass, decorator, embedding; and what construction refuses."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading

import pytest

from swf_worker import (
    ActivityContext,
    ActivityWorker,
    Completed,
    ConfigurationError,
    UnknownResourceFault,
    activity,
)
from swf_worker.options import RetryPolicy
from tests.conftest import started


@activity(name="Work", version="1")
def work(page: int) -> int:
    return page


class Files(ActivityWorker):
    domain = "tests"
    task_list = "tasks"
    max_concurrent_activities = 3

    @activity(name="Checksum", version="1.0")
    async def checksum(self, request: str) -> str:
        return f"{request}:{self.max_concurrent_activities}"

    @activity(name="Size", version="1.0")
    def size(self, context: ActivityContext, request: str) -> int:
        return len(request)

    @staticmethod
    @activity(name="Static", version="1.0")
    def static(request: str) -> str:
        return request


class Overriding(Files):
    def size(self, context: ActivityContext, request: str) -> int:
        return -1


def test_a_subclass_with_methods(make_worker, quick_swf):
    worker = make_worker(kind=Files)
    one = quick_swf.schedule("Checksum", "1.0", "abc")
    two = quick_swf.schedule("Size", "1.0", "abc")
    three = quick_swf.schedule("Static", "1.0", "abc")
    with worker:
        assert one.outcome() == Completed('"abc:3"')
        assert two.outcome() == Completed("3")
        assert three.outcome() == Completed('"abc"')


def test_an_override_inherits_the_mark(make_worker, quick_swf):
    worker = make_worker(kind=Overriding)
    scheduled = quick_swf.schedule("Size", "1.0", "abc")
    with worker:
        assert scheduled.outcome() == Completed("-1")


def test_registering_on_an_instance(make_worker, quick_swf):
    worker = make_worker()

    @worker.activity(name="Thumbnail", version="2.1")
    def thumbnail(context: ActivityContext, page: int, path: str) -> dict:
        return {"page": page, "path": path}

    assert thumbnail(None, 1, "x") == {"page": 1, "path": "x"}, "it is returned unchanged"
    quick_swf.register(worker)
    scheduled = quick_swf.schedule("Thumbnail", "2.1", {"page": 2, "path": "/p"})
    with worker:
        assert scheduled.outcome() == Completed('{"page":2,"path":"/p"}')
        with pytest.raises(RuntimeError, match="has started"):
            worker.activity(name="Late", version="1")(lambda: None)


def test_the_decorator_returns_the_function_unchanged():
    def plain(page: int) -> int:
        return page

    assert activity(version="1")(plain) is plain
    assert plain(4) == 4


def test_class_attributes_are_options_and_arguments_win():
    assert Files().max_concurrent_activities == 3
    assert Files(max_concurrent_activities=5).max_concurrent_activities == 5
    assert Files().drain_timeout == 60


def test_construction_does_no_io_and_builds_no_client(monkeypatch):
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    code = (
        "import sys, swf_worker\n"
        "swf_worker.ActivityWorker(domain='d', task_list='t')\n"
        "assert 'boto3' not in sys.modules and 'moto' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def make(**options):
    return ActivityWorker(**{"domain": "d", "task_list": "t", "activities": [work]} | options)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"domain": None}, "needs domain"),
        ({"domain": "a/b"}, "must not contain"),
        ({"task_list": "arn"}, "'arn'"),
        ({"task_list": " x"}, "space"),
        ({"task_list": "x" * 257}, "1 to 256"),
        ({"domain": 5}, "must be text"),
        ({"identity": "x" * 257}, "1 to 256"),
        ({"max_concurrent_activities": 0}, "1 to 100,000"),
        ({"max_concurrent_activities": True}, "whole number"),
        ({"max_concurrent_polls": 1001}, "1 to 1,000"),
        ({"heartbeat_interval": 0}, "0.1"),
        ({"drain_timeout": -1}, "0 to"),
        ({"drain_timeout": float("nan")}, "drain_timeout"),
        ({"cancel_grace": "x"}, "cancel_grace"),
        ({"on_drain_timeout": "explode"}, "'fail' and 'abandon'"),
        ({"progress_beats_per_second": 0}, "progress_beats_per_second"),
        ({"max_tasks_per_child": 0}, "max_tasks_per_child"),
        ({"endpoint_url": "127.0.0.1:80"}, "http://"),
        ({"retry_policy": 3}, "RetryPolicy"),
        ({"converter": object()}, "decode"),
        ({"wrappers": [3]}, "context manager"),
        ({"observers": [3]}, "observe"),
        ({"activities": [print]}, "not marked"),
        ({"activities": [work, work]}, "registered twice"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_bad_options_are_refused_saying_what_is_allowed(options, says):
    with pytest.raises(ConfigurationError, match=says.replace("(", r"\(")):
        make(**options)


@pytest.mark.parametrize(
    ("mark", "says"),
    [
        ({"version": 1}, "version"),
        ({"version": "x" * 65}, "1 to 64"),
        ({"name": "a:b"}, "must not contain"),
        ({"heartbeat_timeout": 1.5}, "whole seconds"),
        ({"start_to_close_timeout": "none"}, "NONE"),
        ({"deadline": -1}, "deadline"),
        ({"heartbeat_interval": 0}, "heartbeat_interval"),
        ({"max_concurrent": 0}, "max_concurrent"),
        ({"isolation": "fibre"}, "isolation"),
        ({"isolation": "process"}, "defined inside another function"),
        ({"cancel_kills": True}, "isolation='process'"),
        ({"default_task_list": "a|b"}, "default_task_list"),
        ({"converter": 3}, "decode"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_bad_marks_are_refused_at_the_workers_construction(mark, says):
    def handler(): ...

    marked = activity(**{"name": "Name", "version": "1"} | mark)(handler)
    with pytest.raises(ConfigurationError, match=says):
        make(activities=[marked])


def test_a_handler_may_not_shadow_the_workers_own_names():
    class Shadowing(Files):
        @activity(name="run", version="1")
        def run(self): ...

    with pytest.raises(ConfigurationError, match=r"shadows ActivityWorker\.run"):
        Shadowing()


def test_retry_policies_are_validated():
    with pytest.raises(ConfigurationError, match="0 to 20|20"):
        RetryPolicy(max_wait=100)


def test_a_worker_without_handlers_does_not_start():
    with pytest.raises(ConfigurationError, match="no handlers"):
        ActivityWorker(domain="d", task_list="t").start()


def test_start_stop_and_wait(make_worker, quick_swf):
    worker = make_worker(work)
    with pytest.raises(RuntimeError, match="not been started"):
        worker.wait()
    assert worker.stop() == []
    with started(worker):
        assert quick_swf.schedule("Work", "1", 1).outcome() == Completed("1")
        assert worker.wait(timeout=0.01) is False
        worker.request_stop()
        worker.request_stop()
        assert worker.wait() is True
        assert worker.stop() == []
        with pytest.raises(RuntimeError, match="runs once"):
            worker.start()


def test_async_embedding(make_worker, quick_swf):
    worker = make_worker(work)

    async def service():
        async with worker:
            scheduled = await asyncio.to_thread(quick_swf.schedule, "Work", "1", 2)
            assert await asyncio.to_thread(scheduled.outcome) == Completed("2")
            with pytest.raises(RuntimeError, match="would block"):
                worker.stop()
        await worker.wait_async()

    asyncio.run(service())


def test_embedding_touches_no_signals(make_worker):
    import signal

    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    with make_worker(work):
        assert [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)] == before


def test_run_off_the_main_thread_is_a_clear_error(make_worker):
    worker, caught = make_worker(work), []

    def target():
        try:
            worker.run()
        except RuntimeError as error:
            caught.append(str(error))

    thread = threading.Thread(target=target)
    thread.start()
    thread.join()
    assert "main thread" in caught[0]


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_fork_after_start_is_a_clear_error(make_worker):
    with make_worker(work) as worker:
        child = os.fork()
        if child == 0:
            try:
                worker.request_stop()
            except RuntimeError as error:
                os._exit(0 if "forked" in str(error) else 1)
            os._exit(2)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_stop_in_a_handler_is_refused(make_worker, quick_swf):
    workers = []

    @activity(name="Stops", version="1")
    def stops() -> str:
        try:
            workers[0].stop()
        except RuntimeError as error:
            workers[0].request_stop()
            return str(error)
        return "stopped"

    workers.append(make_worker(stops))
    scheduled = quick_swf.schedule("Stops", "1")
    with workers[0]:
        assert "request_stop" in scheduled.outcome().result
        assert workers[0].wait(20)


@pytest.mark.parametrize("how", ["sync", "async"])
def test_hooks_run_before_the_first_poll_and_after_the_last_task(make_worker, quick_swf, how):
    seen = []

    class Hooked(ActivityWorker):
        if how == "sync":

            def on_start(self):
                seen.append("start")

            def on_stop(self):
                seen.append("stop")
        else:

            async def on_start(self):
                await asyncio.sleep(0)
                seen.append("start")

            async def on_stop(self):
                await asyncio.sleep(0)
                seen.append("stop")

        @activity(name="Seen", version="1")
        async def work(self) -> list:
            return seen

    worker = make_worker(kind=Hooked)
    scheduled = quick_swf.schedule("Seen", "1")
    with worker:
        assert scheduled.outcome() == Completed('["start"]')
    assert seen == ["start", "stop"]


def test_what_on_start_raises_ends_the_start(make_worker):
    class Broken(ActivityWorker):
        def on_start(self):
            raise LookupError("no database")

    with pytest.raises(LookupError, match="no database"):
        make_worker(work, kind=Broken).start()


@pytest.mark.parametrize("how", ["sync", "async"])
def test_unregistered_types_can_be_handled(make_worker, quick_swf, how):
    class Catching(ActivityWorker):
        if how == "sync":

            def handle_unregistered(self, context, input):
                return f"{context.task.activity_type} {input}"
        else:

            async def handle_unregistered(self, context, input):
                return f"{context.task.activity_type} {input}"

    @activity(name="Other", version="1")
    def other(): ...

    worker = make_worker(kind=Catching)
    quick_swf.register([other], domain="tests")
    one = quick_swf.schedule("Other", "1", raw_input="raw", task_list="tasks")
    two = quick_swf.schedule("Other", "1", task_list="tasks")
    with worker:
        assert one.outcome() == Completed("Other/1 raw")
        assert two.outcome() == Completed("Other/1 None")


def test_a_fatal_error_is_raised_by_wait_stop_and_exit_and_kept(quick_swf):

    def unknown():
        return make(domain="unknown-domain", endpoint_url=quick_swf.endpoint_url)

    worker = unknown()
    with started(worker):
        with pytest.raises(UnknownResourceFault, match="register the domain") as caught:
            worker.wait(10)
        assert worker.error is caught.value
        assert "unknown-domain" in str(caught.value)
        with pytest.raises(UnknownResourceFault):
            worker.stop()
        with pytest.raises(UnknownResourceFault), unknown() as inside:
            inside._running.wait(10)
        with pytest.raises(ZeroDivisionError), unknown() as inside:
            inside._running.wait(10)
            raise ZeroDivisionError
        with pytest.raises(UnknownResourceFault):
            unknown().run()
