"""Converters own the whole wire: how arguments come in, and how failures go out, the SDK's own
among them; per worker and per activity, in threads, on the loop and in processes."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from typing import Any

import pytest

from swf_worker import (
    ActivityCanceled,
    ActivityContext,
    ActivityFailed,
    ActivityTaskHandle,
    ActivityWorker,
    Completed,
    ConfigurationError,
    InputDecodeError,
    JsonConverter,
    activity,
)
from swf_worker.local import LocalSwf
from swf_worker.payloads.binding import bind
from swf_worker.testing import ActivityEnvironment
from tests.payloads.kinds import SECRET, Plain, User
from tests.worker import children


class Positional(JsonConverter):
    """``[[…], {…}]``, and failures as ``class: message``."""

    def decode_arguments(self, text, parameters):
        if text is None:
            return [], {}
        args, kwargs = json.loads(text)
        return bind(parameters, args, kwargs)

    def encode_failure(self, failure):
        return f"!{failure.reason}", f"{failure.type}: {failure.retryable}: {failure.message}"


POSITIONAL = Positional()


def call(handler: Any, *args: Any, context_first: bool = True, **kwargs: Any) -> Any:
    marked = activity(version="1", converter=POSITIONAL)(handler)
    raw = json.dumps([args, kwargs])
    return ActivityEnvironment(converter=POSITIONAL).outcome(marked, raw_input=raw)


def everything(a: int, b: str = "b", *rest: int, k: int = 0, **others: Plain) -> Any:
    return [a, b, rest, k, {name: each.page for name, each in others.items()}]


def with_context(a: int, context: ActivityContext, *rest: int) -> Any:
    return [a, context.task.activity_id, rest]


def context_last(*rest: int, context: ActivityContext) -> Any:
    return [rest, context.task.activity_id]


def optional_first(a: int = 1, *, context: ActivityContext) -> Any:
    return [a, context.task.activity_id]


def typed(user: User) -> Any:
    return user.user_id


@pytest.mark.parametrize(
    ("handler", "args", "kwargs", "result"),
    [
        (everything, (1,), {}, '[1,"b",[],0,{}]'),
        (everything, (1, "x", 2, 3), {"k": 4, "z": {"page": 5}}, '[1,"x",[2,3],4,{"z":5}]'),
        (everything, (), {"a": 1, "b": "y"}, '[1,"y",[],0,{}]'),
        (with_context, (1, 2, 3), {}, '[1,"activity-1",[2,3]]'),
        (with_context, (), {"a": 1}, '[1,"activity-1",[]]'),
        (context_last, (1, 2), {}, '[[1,2],"activity-1"]'),
        (optional_first, (), {}, '[1,"activity-1"]'),
        (optional_first, (), {"unknown": 3}, '[1,"activity-1"]'),
        (typed, ({"userId": 3},), {}, "3"),
    ],
)
def test_arguments_by_place_and_by_name(handler, args, kwargs, result):
    assert call(handler, *args, **kwargs) == Completed(result)


@pytest.mark.parametrize(
    ("handler", "args", "kwargs", "says"),
    [
        (everything, (), {}, "no value for parameter 'a'"),
        (everything, ("x",), {}, "Expected `int`, got `str` - at `$.a`"),
        (everything, (1,), {"a": 2}, "parameter 'a' by place and by name"),
        (
            everything,
            (1,),
            {"z": {"page": SECRET}},
            "Expected `int`, got `str` - at `$.others.page`",
        ),
        (typed, (1, 2), {}, "2 positional arguments, and the handler takes 1"),
        (typed, ({"userId": SECRET},), {}, "int_parsing - at `$.user.userId`"),
    ],
)
def test_what_does_not_bind_is_an_input_decode_error(handler, args, kwargs, says):
    failed = call(handler, *args, **kwargs)
    assert failed.reason == "!InputDecodeError"
    assert says in failed.details
    assert SECRET not in failed.details


def test_arguments_without_end_need_such_a_converter():
    for handler in (everything, context_last):
        marked = activity(version="1")(handler)
        with pytest.raises(ConfigurationError, match=r"but by a converter with decode_arguments"):
            ActivityWorker(domain="d", task_list="t", activities=[marked])
        ActivityWorker(domain="d", task_list="t", activities=[marked], converter=POSITIONAL)


def test_types_are_checked_at_construction_for_it_too():
    def handler(value: complex) -> None: ...

    marked = activity(version="1", converter=POSITIONAL)(handler)
    with pytest.raises(ConfigurationError, match="parameter 'value': a complex can't be built"):
        ActivityWorker(domain="d", task_list="t", activities=[marked])


@activity(name="Fails", version="1")
def fails() -> None:
    raise ActivityFailed("Why", {"a": 1}, retryable=False)


@activity(name="FailsAsync", version="1")
async def fails_async() -> None:
    raise KeyError("k")


@activity(name="FailsInProcess", version="1", isolation="process")
def fails_in_process() -> None:
    raise KeyError("k")


@activity(name="Cancels", version="1")
def cancels() -> None:
    raise ActivityCanceled


@activity(name="Late", version="1", deadline=1.0, isolation="process")
def late(context: ActivityContext) -> None:
    import time

    time.sleep(60)


@activity(name="Takes", version="1")
def takes(number: int) -> None: ...


@activity(name="Returns", version="1")
def returns() -> Any:
    return object()


@activity(name="Own", version="1", converter=JsonConverter())
def own() -> None:
    raise KeyError("k")


@activity(name="Waits", version="1", heartbeat_interval=0.1)
def waits(context: ActivityContext) -> None:
    context.wait_for_stop(30)
    raise ActivityCanceled


@contextmanager
def serving(*activities):
    with LocalSwf(poll_hold=0.5) as local:
        worker = ActivityWorker(
            domain="d",
            task_list="t",
            activities=activities,
            endpoint_url=local.endpoint_url,
            converter=POSITIONAL,
            drain_timeout=0.1,
            cancel_grace=0.1,
        )
        local.register(worker)
        with worker:
            yield local, worker


FAILURES = {
    ("Fails", "[[],{}]"): ("!Why", "ActivityFailed: False: Why"),
    ("FailsAsync", "[[],{}]"): ("!KeyError", "KeyError: True: 'k'"),
    ("FailsInProcess", "[[],{}]"): ("!KeyError", "KeyError: True: 'k'"),
    ("Cancels", "[[],{}]"): ("!CancelNotRequested", "CancelNotRequested: False: "),
    ("Late", "[[],{}]"): ("!HandlerTimedOut", "HandlerTimedOut: True: "),
    ("Takes", '[["x"],{}]'): ("!InputDecodeError", "InputDecodeError: False: Expected `int`"),
    ("Takes", "no json"): ("!InputDecodeError", "InputDecodeError: False: Positional raised"),
    ("Returns", "[[],{}]"): ("!ResultEncodeError", "ResultEncodeError: False: "),
    ("Die", '[["kill"],{}]'): ("!HandlerDied", "HandlerDied: True: "),
}


def test_each_failure_is_the_converters():
    """By one worker: a handler process is no small part of a test's time."""
    activities = [fails, fails_async, fails_in_process, cancels, late, takes, returns, children.die]
    with serving(*activities) as (swf, _):
        running = {each: swf.schedule(each[0], "1", raw_input=each[1]) for each in FAILURES}
        failed = {each: scheduled.outcome() for each, scheduled in running.items()}
    for each, (reason, details) in FAILURES.items():
        assert failed[each].reason == reason, each
        assert failed[each].details.startswith(details), each


def test_an_activity_with_another_converter_fails_its_way():
    with serving(own) as (swf, _):
        failed = swf.schedule("Own", "1").outcome()
    assert failed.reason == "KeyError"
    assert json.loads(failed.details)["type"] == "KeyError"


def test_a_type_that_nobody_serves_fails_as_the_worker_does():
    @activity(name="Nobody", version="1")
    def nobody() -> None: ...

    with serving(own) as (swf, _):
        swf.register([nobody], domain="d")
        failed = swf.schedule("Nobody", "1", task_list="t", domain="d").outcome()
    assert failed.reason == "!ActivityNotRegistered"


def test_a_stop_fails_the_converters_way():
    with serving(waits) as (swf, worker):
        scheduled = swf.schedule("Waits", "1", raw_input="[[],{}]")
        scheduled.wait_for_heartbeats()
        worker.request_stop()
        failed = scheduled.outcome()
    assert failed.reason == "!WorkerShutdown"


def test_a_handle_fails_its_way():
    with LocalSwf() as local:
        tokens = []

        @activity(name="Elsewhere", version="1", manual_completion=True)
        def elsewhere(context: ActivityContext) -> None:
            tokens.append(context.task.task_token)
            handle = ActivityTaskHandle(
                context.task.task_token, endpoint_url=local.endpoint_url, converter=POSITIONAL
            )
            handle.fail("Why", {"a": 1})

        worker = ActivityWorker(
            domain="d", task_list="t", activities=[elsewhere], endpoint_url=local.endpoint_url
        )
        local.register(worker)
        with worker:
            failed = local.schedule("Elsewhere", "1").outcome()
    assert (failed.reason, failed.details) == ("!Why", "ActivityFailed: True: Why")


def test_what_a_converter_says_itself_is_said():
    class Says(JsonConverter):
        def decode(self, text, wanted):
            raise InputDecodeError("page 3 of the codebook is missing")

    marked = activity(version="1", converter=Says())(lambda a: a)
    failed = ActivityEnvironment().outcome(marked, raw_input="1")
    assert "page 3 of the codebook is missing" in failed.details


def test_a_subclass_of_the_json_converter_is_asked():
    class Adds(JsonConverter):
        def decode(self, text, wanted):
            return super().decode(text, wanted) + 1

        def encode(self, value):
            return super().encode([value])

    marked = activity(version="1", converter=Adds())(lambda number: number)
    assert ActivityEnvironment().outcome(marked, raw_input="1") == Completed("[2]")


def test_a_subclass_of_one_that_decodes_is_asked_too():
    class Base:
        def decode(self, text, wanted):
            return text + "!"

        def encode(self, value):
            return value

    class Derived(Base):
        pass

    class Adds(JsonConverter):
        def decode(self, text, wanted):
            return super().decode(text, wanted) + 1

    class AddsToo(Adds):
        pass

    for converter, result in ((Derived(), "1!"), (AddsToo(), "2")):
        marked = activity(version="1", converter=converter)(lambda given: given)
        assert ActivityEnvironment().outcome(marked, raw_input="1") == Completed(result)


def test_text_that_is_broken_is_told_as_that():
    def handler(user: User | None = None, lang: str = "en") -> None: ...

    failed = ActivityEnvironment().outcome(activity(version="1")(handler), raw_input='{"a"')
    assert "the input is not JSON" in failed.details


def test_one_that_may_block_holds_up_no_loop():
    inside, leave = threading.Event(), threading.Event()

    class Fetches(JsonConverter):
        does_io = True

        def decode(self, text, wanted):
            value = super().decode(text, wanted)
            if value == "wait":
                inside.set()
                assert leave.wait(20)
            return value

    @activity(name="Echo", version="1", converter=Fetches())
    async def echo(text: str) -> str:
        return text

    with LocalSwf(poll_hold=0.5) as local:
        worker = ActivityWorker(
            domain="d", task_list="t", activities=[echo], endpoint_url=local.endpoint_url
        )
        local.register(worker)
        with worker:
            slow = local.schedule("Echo", "1", "wait")
            assert inside.wait(20)
            assert local.schedule("Echo", "1", "quick").outcome() == Completed('"quick"')
            leave.set()
            assert slow.outcome() == Completed('"wait"')
