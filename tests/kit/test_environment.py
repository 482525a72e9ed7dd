"""``ActivityEnvironment`` and the pytest plugin, as their users have them."""

from __future__ import annotations

import asyncio
import importlib.metadata
import json
import subprocess
import sys

import pytest

from swf_worker import (
    ActivityCanceled,
    ActivityContext,
    Canceled,
    CancelReason,
    Completed,
    ConfigurationError,
    activity,
    current_context,
    extras,
)
from swf_worker.testing import ActivityEnvironment


@activity(name="Count", version="1")
def count(context: ActivityContext, upto: int) -> int:
    for number in range(upto):
        context.raise_if_canceled()
        context.heartbeat({"at": number})
    return upto


@activity(name="Sleep", version="1")
async def sleep(context: ActivityContext, seconds: float = 20) -> str:
    context.heartbeat("sleeping")
    await asyncio.sleep(seconds)
    return context.task.activity_id


def test_run_calls_the_handler_as_a_function(activity_environment):
    assert activity_environment.run(count, 3) == 3
    assert activity_environment.heartbeats == [{"at": 0}, {"at": 1}, {"at": 2}]
    assert activity_environment.run(count, upto=0) == 0


def test_cancel_midway(activity_environment):
    activity_environment.on_heartbeat = lambda details: (
        activity_environment.cancel() if details == {"at": 1} else None
    )
    with pytest.raises(ActivityCanceled):
        activity_environment.run(count, 5)
    assert activity_environment.heartbeats[-1] == {"at": 1}
    assert activity_environment.context.cancel_requested


def test_outcomes_are_decided_as_the_worker_decides():
    env = ActivityEnvironment(on_heartbeat=lambda details: env.cancel())
    assert env.outcome(count, 2) == Canceled()
    env = ActivityEnvironment(on_heartbeat=lambda details: env.shutdown())
    assert env.outcome(count, 2).reason == "WorkerShutdown"
    env = ActivityEnvironment(on_heartbeat=lambda details: env.close_task())
    assert env.outcome(count, 2) is None
    assert ActivityEnvironment().outcome(count, 2) == Completed("2")
    failed = ActivityEnvironment().outcome(count, raw_input="{")
    assert json.loads(failed.details)["type"] == "InputDecodeError"


def test_async_handlers():
    env = ActivityEnvironment()
    assert asyncio.run(env.run(sleep, 0)) == "activity-1"
    assert ActivityEnvironment().outcome(sleep, 0) == Completed('"activity-1"')
    env = ActivityEnvironment(on_heartbeat=lambda details: env.cancel())
    assert env.outcome(sleep) == Canceled()

    async def inside() -> None:
        env = ActivityEnvironment()
        running = asyncio.ensure_future(env.run(sleep))
        while not env.heartbeats:
            await asyncio.sleep(0)
        env.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert await ActivityEnvironment().outcome_async(sleep, 0) == Completed('"activity-1"')

    asyncio.run(inside())


def test_asked_before_the_start():
    env = ActivityEnvironment()
    env.shutdown()
    assert env.outcome(sleep).reason == "WorkerShutdown"
    assert env.context.worker_stopping


def test_what_the_context_says():
    env = ActivityEnvironment(time_remaining=12.5)

    @activity(name="Asks", version="1")
    def asks() -> list:
        context = current_context()
        context.logger.info("hello")
        return [context.time_remaining, context.cancel_reason, context.should_stop]

    assert env.run(asks) == [12.5, None, False]
    env.context.heartbeat("x" * 3000)
    assert "2048" in env.warnings[0]
    env.ask(CancelReason.TIMED_OUT)
    env.ask(CancelReason.REQUESTED)
    assert env.context.cancel_reason is CancelReason.REQUESTED
    env.close_task()
    assert env.context.cancel_reason is CancelReason.TASK_CLOSED
    assert env.context.wait_for_stop(0)


def test_waiting_for_a_stop_in_a_loop_of_its_own():
    env = ActivityEnvironment()

    async def inside() -> None:
        waiting = asyncio.ensure_future(env.context.wait_for_stop_async())
        await asyncio.sleep(0)
        env.cancel()
        await waiting
        await env.context.wait_for_stop_async()

    asyncio.run(inside())
    env.cancel()  # its loop is closed now: nobody waits there any more


def test_only_marked_functions_run():
    for call in (ActivityEnvironment().run, ActivityEnvironment().outcome):
        with pytest.raises(ConfigurationError, match="@activity"):
            call(print)


def test_the_plugin_gives_its_fixtures(pytester):
    pytester.makepyfile(
        """
        from swf_worker import ActivityWorker, activity

        @activity(name="Add", version="1")
        def add(a: int, b: int) -> int:
            return a + b

        def test_alone(activity_environment):
            assert activity_environment.run(add, 1, 2) == 3

        def test_on_the_wire(local_swf):
            worker = ActivityWorker(domain="d", task_list="t", activities=[add],
                                    endpoint_url=local_swf.endpoint_url)
            local_swf.register(worker)
            scheduled = local_swf.schedule("Add", "1", {"a": 1, "b": 2})
            with worker:
                assert scheduled.outcome().result == "3"
        """
    )
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=2)


def test_the_plugin_costs_nothing_where_it_is_not_used(pytester):
    """No boto3, no moto, no structlog, no worker's environment in anybody else's test run."""
    pytester.makepyfile(
        """
        import sys

        def test_nothing_is_loaded():
            for name in ("boto3", "botocore", "moto", "structlog", "tenacity",
                         "swf_worker.local", "swf_worker.testing.environment"):
                assert name not in sys.modules, name
        """
    )
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=1)


def test_a_missing_extra_names_the_pip_command():
    code = (
        "import sys; sys.modules['moto'] = None; sys.modules['moto.swf'] = None\n"
        "import swf_worker.local"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.splitlines()[-1].startswith(
        "ImportError: swf_worker.local needs moto: pip install 'moto"
    )


def test_the_hint_for_an_extra_installs_its_packages_or_the_extra(monkeypatch):
    stated = ["boto3>=1", "moto<5.3,>=5.1; extra == 'local'", "rich>=13; extra == 'cli'"]
    monkeypatch.setattr(importlib.metadata, "requires", lambda _: stated)
    assert extras.missing("the demo", "cli", "local") == (
        "the demo needs moto and rich: pip install 'moto<5.3,>=5.1' 'rich>=13'"
    )
    monkeypatch.setattr(importlib.metadata, "requires", lambda _: None)
    assert extras.missing("dev", "local").endswith("pip install 'swf_worker[local]'")
