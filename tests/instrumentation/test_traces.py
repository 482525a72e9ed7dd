"""Spans of tasks, as an exporter of the SDK gets them from a worker on the wire."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
from contextlib import contextmanager

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind, StatusCode

from swf_worker import (
    ActivityCanceled,
    ActivityContext,
    ActivityFailed,
    ActivityWorker,
    Completed,
    ConfigurationError,
    activity,
)
from swf_worker.instrumentation.lines import fields_of
from swf_worker.instrumentation.traces import OpenTelemetryObserver
from swf_worker.observations import (
    AnswerRetried,
    HandlerStuck,
    InternalError,
    TaskEnded,
    TaskRepeated,
)
from tests import wire
from tests.instrumentation import traced as handlers
from tests.wire import OK, Wire, fault, http
from tests.worker.wired import QUICK, hold, work

TRACE = "0af7651916cd43dd8448eb211c80319c"
TRACEPARENT = f"00-{TRACE}-b7ad6b7169203331-01"


class Spans:
    """What a program has: a provider, and where its spans go."""

    def __init__(self, **options):
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider(**options)
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.observer = OpenTelemetryObserver(self.provider)
        self.tracer = self.provider.get_tracer("mine")

    @property
    def all(self):
        return self._exporter.get_finished_spans()

    def of(self, operation):
        """Ours, by the conventions' name."""
        return [s for s in self.all if s.attributes.get("messaging.operation.name") == operation]

    def one(self, operation):
        (span,) = self.of(operation)
        return span

    def named(self, name):
        (span,) = [span for span in self.all if span.name == name]
        return span


@pytest.fixture
def spans():
    return Spans()


@pytest.fixture
def run(quick_swf, recorder, spans):
    """Runs a worker of some handlers until the task of one has ended, and returns that record."""

    @contextmanager
    def running(*activities, kind=ActivityWorker, observers=None, **options):
        worker = kind(
            domain="tests",
            task_list="tasks",
            identity="rack 7",
            activities=activities,
            endpoint_url=quick_swf.endpoint_url,
            observers=[*(observers or [spans.observer]), recorder],
            **options,
        )
        quick_swf.register(worker)
        with worker:
            yield quick_swf

    return running


@contextmanager
def wired(recorder, spans, *activities, **script):
    """A worker on a scripted service."""
    with Wire(**script) as service:
        worker = ActivityWorker(
            domain="d",
            task_list="t",
            activities=activities or [work],
            endpoint_url=service.url,
            observers=[spans.observer, recorder],
            retry_policy=QUICK,
        )
        with worker:
            yield service


# --- the span in the handler --------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["thread", "async"])
def test_a_tasks_span_is_current_in_its_handler(run, spans, mode):
    """Outside of the wrappers, and while the input is decoded."""

    @contextmanager
    def wrapper(context):
        with spans.tracer.start_as_current_span("wrapper"):
            yield

    class Converter(handlers.InDecode):
        def decode(self, text, hint):
            spans.tracer.start_span("decode").end()
            return text

    def inner(text: str):
        trace.get_current_span().set_attribute("seen", "in the handler")
        spans.tracer.start_span("inner").end()
        return "done"

    async def inner_async(text: str):
        await asyncio.sleep(0)
        return inner(text)

    mark = activity(name="Work", version="1")
    handler = mark(inner if mode == "thread" else inner_async)
    with run(handler, wrappers=[wrapper], converter=Converter()) as swf:
        swf.schedule("Work", "1", raw_input="x").outcome()
    process = spans.one("process")
    assert process.parent is None
    assert spans.named("wrapper").parent.span_id == process.context.span_id
    assert spans.named("decode").parent.span_id == process.context.span_id
    assert spans.named("inner").parent.span_id == spans.named("wrapper").context.span_id
    assert spans.named("wrapper").attributes["seen"] == "in the handler"
    assert not trace.get_current_span().get_span_context().is_valid


def test_async_tasks_side_by_side_have_each_their_own(run, spans):
    """A cancel request, too, reaches the handler as without."""
    together = asyncio.Event()
    inside = []

    @activity(name="Work", version="1", heartbeat_interval=0.1)
    async def handler(number: int):
        inside.append(number)
        if len(inside) == 5:
            together.set()
        await together.wait()
        async with asyncio.TaskGroup() as group:
            group.create_task(child(number))
        if number == 0:
            await asyncio.sleep(60)

    async def child(number):
        with spans.tracer.start_as_current_span(f"inner {number}"):
            await asyncio.sleep(0)

    with run(handler) as swf:
        scheduled = [swf.schedule("Work", "1", number) for number in range(5)]
        for each in scheduled[1:]:
            assert each.outcome() == Completed(None)
        scheduled[0].request_cancel()
        assert type(scheduled[0].outcome()).__name__ == "Canceled"
    processes = {span.context.span_id for span in spans.of("process")}
    assert {spans.named(f"inner {n}").parent.span_id for n in range(5)} == processes
    assert len(processes) == 5


def test_what_a_handler_calls_in_its_process_hangs_below_its_tasks_span(
    run, spans, tmp_path, monkeypatch
):
    file = tmp_path / "spans"
    monkeypatch.setenv("SPANS_FILE", str(file))
    with run(handlers.traced, kind=handlers.TracedWorker) as swf:
        results = [swf.schedule("Traced", "1", raw_input="x").outcome().result for _ in range(2)]
    by_trace = {span.context.trace_id: span for span in spans.of("process")}
    assert [int(result, 16) for result in results] == list(by_trace)
    told = [json.loads(line) for line in file.read_text().splitlines()]
    assert [each["name"] for each in told] == ["decode", "inner"] * 2
    for each in told:
        assert each["parent"] == by_trace[each["trace"]].context.span_id


# --- what spans there are, and what they say ----------------------------------------------------


def test_a_task_has_three_spans_and_empty_polls_and_heartbeats_none(run, spans):
    @activity(name="Work", version="1", heartbeat_interval=0.1)
    def handler():
        beaten.wait(20)
        return 1

    beaten = threading.Event()
    with run(handler) as swf:
        scheduled = swf.schedule("Work", "1")
        scheduled.wait_for_heartbeats(2)
        beaten.set()
        scheduled.outcome()
        swf.schedule("Work", "1").outcome()
    assert {span.name for span in spans.all} == {"receive tasks", "process tasks", "settle tasks"}
    assert len(spans.all) == 6
    receive, process, settle = (spans.of(each)[0] for each in ("receive", "process", "settle"))
    assert (receive.kind, process.kind, settle.kind) == (
        SpanKind.CLIENT,
        SpanKind.CONSUMER,
        SpanKind.CLIENT,
    )
    assert settle.parent.span_id == process.context.span_id
    assert receive.parent is None
    assert receive.links[0].context.span_id == process.context.span_id
    assert receive.start_time <= receive.end_time <= process.start_time
    assert process.start_time < settle.start_time < settle.end_time == process.end_time
    event = swf_event(scheduled, "ActivityTaskScheduled")
    for span in (receive, process, settle):
        operation = span.name.split()[0]
        assert (
            dict(span.attributes).items()
            >= {
                "messaging.system": "aws_swf",
                "messaging.operation.name": operation,
                "messaging.operation.type": operation,
                "messaging.destination.name": "tasks",
                "messaging.client.id": "rack 7",
                "messaging.message.id": event["activityId"],
                "swf.domain": "tests",
                "swf.activity_id": event["activityId"],
                "swf.activity_type.name": "Work",
                "swf.activity_type.version": "1",
            }.items()
        )
        assert span.attributes["swf.workflow_id"]
        assert span.attributes["swf.run_id"]
        assert span.status.status_code is StatusCode.UNSET
    for span in (process, settle):
        assert span.attributes["swf.outcome"] == "Completed"
        assert span.attributes["swf.disposition"] == "accepted"


def swf_event(scheduled, kind):
    (event,) = [each for each in scheduled.history() if each["eventType"] == kind]
    return event[f"{kind[0].lower()}{kind[1:]}EventAttributes"]


@activity(name="Raises", version="1")
def raises(context: ActivityContext):
    raise LookupError(f"of {context.task}")


@activity(name="Fails", version="1")
def fails():
    raise ActivityFailed("NoSuchFile", "details")


@activity(name="Takes", version="1")
def takes(number: int): ...


FAILURES = {
    "raises": (raises, "LookupError", "LookupError"),
    "says so": (fails, "NoSuchFile", "swf_worker.errors.ActivityFailed"),
    "is not run": (takes, "InputDecodeError", "swf_worker.errors.InputDecodeError"),
    "raises in a process": (handlers.raises, "LookupError", "LookupError"),
    "dies": (handlers.dies, "HandlerDied", "HandlerDied"),
    "is killed": (handlers.hangs, "HandlerTimedOut", "HandlerTimedOut"),
}


@pytest.mark.parametrize("name", FAILURES)
def test_a_failed_task_is_an_error_with_its_exception(run, spans, name):
    """And never tells the token, whatever the handler says."""
    handler, reason, kind = FAILURES[name]
    with run(handler) as swf:
        given = "x" if handler is takes else None
        scheduled = swf.schedule(handler.__name__.capitalize(), "1", given)
        assert scheduled.outcome().reason == reason
    process, settle = spans.one("process"), spans.one("settle")
    assert process.status.status_code is StatusCode.ERROR
    assert process.status.description == reason
    assert process.attributes["error.type"] == reason
    assert process.attributes["swf.outcome"] == "Failed"
    (event,) = [event for event in process.events if event.name == "exception"]
    assert event.attributes["exception.type"] == kind
    if kind == "LookupError":
        assert "(task token)" in event.attributes["exception.message"]
        assert "in raises" in event.attributes["exception.stacktrace"]
    assert settle.status.status_code is StatusCode.UNSET, "the answer was accepted"


def test_a_canceled_task_is_no_error(run, spans, recorder):
    @activity(name="Work", version="1", heartbeat_interval=0.1)
    def handler(context: ActivityContext):
        context.wait_for_stop(20)
        raise ActivityCanceled

    with run(handler) as swf:
        scheduled = swf.schedule("Work", "1")
        scheduled.wait_until_started()
        scheduled.request_cancel()
        scheduled.outcome()
    process = spans.one("process")
    assert process.status.status_code is StatusCode.UNSET
    assert process.attributes["swf.outcome"] == "Canceled"
    assert [(each.name, dict(each.attributes)) for each in process.events] == [
        ("swf.stop_asked", {"swf.cancel_reason": "requested"})
    ]


def test_what_was_not_answered_says_so_and_has_no_settle(run, spans, recorder):
    @activity(name="Closed", version="1", heartbeat_interval=0.1)
    def closed(context: ActivityContext):
        context.wait_for_stop(20)

    @activity(name="Manual", version="1", manual_completion=True)
    def manual(): ...

    with run(closed, manual) as swf:
        swf.schedule("Closed", "1", start_to_close_timeout=1)
        swf.schedule("Manual", "1")
        recorder.wait_for(TaskEnded, 2)
    assert not spans.of("settle")
    processes = {
        span.attributes["swf.activity_type.name"]: span.attributes for span in spans.of("process")
    }
    assert processes["Closed"]["swf.disposition"] == "closed"
    assert processes["Manual"]["swf.disposition"] == "handed_over"
    assert not any("swf.outcome" in each for each in processes.values())


def test_a_task_that_is_not_run_has_its_spans(run, spans, recorder):
    with run(takes) as swf:
        swf.register([raises], domain="tests")
        outcome = swf.schedule("Raises", "1", domain="tests", task_list="tasks").outcome()
    assert outcome.reason == "ActivityNotRegistered"
    process = spans.one("process")
    assert process.attributes["error.type"] == "ActivityNotRegistered"
    assert spans.one("settle").parent.span_id == process.context.span_id
    assert spans.one("receive").links[0].context.span_id == process.context.span_id


def test_an_abandoned_handler_leaves_nothing_open(quick_swf, recorder, spans):
    """Its span ends with the worker; what it still calls hangs below it all the same."""
    go_on, ended = threading.Event(), threading.Event()

    @activity(name="Work", version="1", deadline=0.2)
    def handler():
        go_on.wait(20)
        spans.tracer.start_span("late").end()
        ended.set()

    class Keeps(OpenTelemetryObserver):
        def for_worker(self, *names):
            self.own = super().for_worker(*names)
            return self.own

    keeps = Keeps(spans.provider)
    worker = ActivityWorker(
        domain="tests",
        task_list="tasks",
        activities=[handler],
        endpoint_url=quick_swf.endpoint_url,
        observers=[keeps, recorder],
        cancel_grace=0.1,
    )
    quick_swf.register(worker)
    quick_swf.schedule("Work", "1")
    worker.start()
    recorder.wait_for(HandlerStuck)
    assert len(worker.stop(0)) == 1
    process = spans.one("process")
    assert process.attributes["swf.disposition"] == "abandoned"
    assert "swf.handler_stuck" in [event.name for event in process.events]
    go_on.set()
    assert ended.wait(20)
    assert spans.named("late").parent.span_id == process.context.span_id
    assert not keeps.own._open
    assert not keeps.own._polls


# --- the answer ---------------------------------------------------------------------------------


def test_an_answers_retries_are_events_of_its_span(recorder, spans):
    with wired(
        recorder,
        spans,
        PollForActivityTask=[wire.task(), hold()],
        RespondActivityTaskCompleted=[fault("ThrottlingException", "token-1"), http(500), OK],
    ):
        recorder.wait_for(TaskEnded)
    settle = spans.one("settle")
    assert [event.name for event in settle.events] == ["swf.answer_retried"] * 2
    assert settle.events[0].attributes["error.type"] == "ThrottlingException"
    assert settle.events[0].attributes["swf.retry_in"] == recorder.of(AnswerRetried)[0].retry_in
    assert settle.start_time < settle.events[0].timestamp < settle.end_time
    assert settle.status.status_code is StatusCode.UNSET


@pytest.mark.parametrize(
    ("answers", "disposition", "error"),
    [
        ([fault("UnknownResourceFault")], "late", "UnknownResourceFault"),
        ([http(500), fault("UnknownResourceFault")], "presumed_accepted", None),
        ([fault("SomethingElse")], "rejected", "SomethingElse"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_an_answer_that_was_not_accepted_says_how(recorder, spans, answers, disposition, error):
    with wired(
        recorder,
        spans,
        PollForActivityTask=[wire.task(), hold()],
        RespondActivityTaskCompleted=answers,
    ):
        recorder.wait_for(TaskEnded)
    process, settle = spans.one("process"), spans.one("settle")
    assert process.attributes["swf.disposition"] == disposition
    assert settle.attributes["swf.disposition"] == disposition
    assert settle.attributes.get("error.type") == error
    assert (settle.status.status_code is StatusCode.ERROR) is (error is not None)
    assert process.status.status_code is StatusCode.UNSET, "the handler has done its work"


def test_a_token_that_comes_again_is_told_and_its_answer_sent_below_the_same_span(recorder, spans):
    """While its handler runs, and when its answer was not accepted."""
    go_on = threading.Event()

    @activity(name="Work", version="1", heartbeat_interval=30)
    def handler():
        go_on.wait(20)

    def third_poll(sock):
        recorder.wait_for(TaskEnded)
        sock.sendall(wire.task())

    with wired(
        recorder,
        spans,
        handler,
        PollForActivityTask=[wire.task(), wire.task(), third_poll, hold()],
        RespondActivityTaskCompleted=[fault("SomethingElse"), OK],
    ):
        recorder.wait_for(TaskRepeated)
        go_on.set()
        recorder.wait_for(TaskEnded, 2)
    process = spans.one("process")
    assert [event.name for event in process.events] == ["swf.redelivered"]
    first, second = spans.of("settle")
    assert first.attributes["swf.disposition"] == "rejected"
    assert second.attributes["swf.disposition"] == "accepted"
    assert second.parent.span_id == first.parent.span_id == process.context.span_id
    receives = spans.of("receive")
    assert [each.attributes.get("swf.redelivered") for each in receives] == [None, True, True]
    assert {each.links[0].context.span_id for each in receives} == {process.context.span_id}


# --- links --------------------------------------------------------------------------------------


def test_the_traceparent_of_an_input_is_a_link(run, spans):
    with run(takes) as swf:
        given = {"number": 1, "traceparent": TRACEPARENT, "tracestate": "vendor=1"}
        swf.schedule("Takes", "1", given).outcome()
    for span in (spans.one("process"), spans.one("receive")):
        context = span.links[0].context
        assert format(context.trace_id, "032x") == TRACE
        assert context.trace_state == {"vendor": "1"}
        assert span.parent is None
        assert span.context.trace_id != context.trace_id


@pytest.mark.parametrize(
    "given",
    [
        '{"traceparent": "00-nonsense"}',
        '{"traceparent": 7}',
        '["traceparent"]',
        '{"traceparent": ',
        f'"{TRACEPARENT} traceparent"',
        f'{{"traceparent": "{TRACEPARENT}", "tracestate": {{}}}}',
        '{"traceparent": "\\ud800"}',
    ],
)
def test_what_is_no_traceparent_is_no_link(run, spans, given):
    @activity(name="Any", version="1")
    def anything(): ...

    with run(anything) as swf:
        assert swf.schedule("Any", "1", raw_input=given).outcome() == Completed(None)
    assert not spans.one("process").links


# --- nothing is harmed, and nothing told that must not be ---------------------------------------


def test_a_task_token_is_in_no_span(recorder, spans):
    """Its service quotes it, and so does the handler."""
    token = "AAAA-the-token-of-the-task"

    @activity(name="Work", version="1")
    def handler(context: ActivityContext):
        try:
            raise KeyError(context.task)
        except KeyError as error:
            raise ValueError(f"with {context.task.task_token}") from error

    quoting = fault("SomethingElse", f"Invalid token: {token}")
    with wired(
        recorder,
        spans,
        handler,
        PollForActivityTask=[wire.task(token), hold()],
        RespondActivityTaskFailed=[http(500, token), quoting],
    ):
        recorder.wait_for(TaskEnded)
    assert len(spans.all) == 3
    assert "ValueError" in spans.one("process").to_json()
    for span in spans.all:
        assert token not in span.to_json()


class BrokenTracer:
    def start_span(self, *_, **__):
        raise RuntimeError("a broken tracer")


class BrokenSpan(trace.NonRecordingSpan):
    def __init__(self):
        super().__init__(trace.SpanContext(1, 2, False, trace.TraceFlags(1)))

    def set_attributes(self, attributes):
        raise RuntimeError("a broken span")

    add_event = end = set_status = set_attribute = set_attributes


class BrokenSpans(BrokenTracer):
    def start_span(self, *_, **__):
        return BrokenSpan()


@pytest.mark.parametrize("broken", [BrokenTracer, BrokenSpans])
def test_a_broken_tracer_harms_no_task(run, spans, recorder, broken):
    @activity(name="Async", version="1")
    async def coroutine(number: int):
        return number

    @activity(name="Thread", version="1")
    def thread(number: int):
        return number

    observer = OpenTelemetryObserver()
    observer._tracer = broken()
    with run(coroutine, thread, observers=[observer]) as swf:
        for name in ("Async", "Thread"):
            assert swf.schedule(name, "1", 1).outcome() == Completed("1")
        recorder.wait_for(TaskEnded, 2)
    broke = recorder.of(InternalError)
    assert {"WorkerSpans" in each.where for each in broke} == {True}
    assert {"a broken" in str(each.error) for each in broke} == {True}


HERE = ["around", "enter", "exit"]
THERE = ["carrier", "no text", "surrogate", "attach", "enter", "exit"]


@pytest.mark.parametrize("mode", ["thread", "async", "process"])
def test_whatever_breaks_around_a_handler_harms_no_task(run, spans, recorder, mode):
    """The other observers' are around it all the same."""

    @activity(name="Async", version="1")
    async def coroutine():
        return format(trace.get_current_span().get_span_context().trace_id, "032x")

    @activity(name="Thread", version="1")
    def thread():
        return format(trace.get_current_span().get_span_context().trace_id, "032x")

    handler = {"thread": thread, "async": coroutine, "process": handlers.traced}[mode]
    hows = THERE if mode == "process" else HERE
    broken = [handlers.BrokenObserver(how) for how in hows]
    half = len(broken) // 2
    with run(handler, observers=[*broken[:half], spans.observer, *broken[half:]]) as swf:
        name = {"process": "Traced"}.get(mode, mode.capitalize())
        result = swf.schedule(name, "1", raw_input="1").outcome().result.strip('"')
        recorder.wait_for(InternalError, len(hows))
    assert int(result, 16) == spans.one("process").context.trace_id
    broke = recorder.of(InternalError)
    assert {each.where for each in broke} == {"the observer BrokenObserver"}
    assert len(broke) == len(hows)


def test_an_attach_that_no_process_can_import_is_told_at_the_start(quick_swf):
    class Local(handlers.BrokenObserver):
        attach = staticmethod(lambda carrier: None)

    worker = ActivityWorker(
        domain="d",
        task_list="t",
        activities=[handlers.dies],
        endpoint_url=quick_swf.endpoint_url,
        observers=[Local("")],
    )
    quick_swf.register(worker)
    with pytest.raises(ConfigurationError, match=r"attach of the observer Local can't be sent"):
        worker.start()


def test_a_for_worker_that_gives_no_observer_is_told_at_the_start(quick_swf):
    class Empty(OpenTelemetryObserver):
        def for_worker(self, *names):
            return None

    worker = ActivityWorker(
        domain="d",
        task_list="t",
        activities=[work],
        endpoint_url=quick_swf.endpoint_url,
        observers=[Empty()],
    )
    with pytest.raises(ConfigurationError, match=r"for_worker\(...\) of .* gave None"):
        worker.start()


def test_what_is_not_sampled_has_no_span_at_all(run, recorder):
    spans = Spans(sampler=ALWAYS_OFF)
    with run(raises, observers=[spans.observer]) as swf:
        swf.schedule("Raises", "1").outcome()
    assert not spans.all
    assert not recorder.of(InternalError)


def test_two_workers_may_share_one(quick_swf, spans, recorder):
    def worker(task_list):
        made = ActivityWorker(
            domain="d",
            task_list=task_list,
            activities=[takes],
            endpoint_url=quick_swf.endpoint_url,
            observers=[spans.observer],
        )
        quick_swf.register(made)
        return made

    with worker("one"), worker("two"):
        for task_list in ("one", "two", "two"):
            quick_swf.schedule("Takes", "1", 1, domain="d", task_list=task_list).outcome()
    for operation in ("receive", "process", "settle"):
        names = [each.name for each in spans.of(operation)]
        assert sorted(names) == [f"{operation} one", *[f"{operation} two"] * 2]


def test_without_the_package_the_error_names_the_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    monkeypatch.delitem(sys.modules, "swf_worker.instrumentation.spans")
    with pytest.raises(ConfigurationError, match=r"pip install '.*(otel|opentelemetry)"):
        OpenTelemetryObserver()


def test_beside_botocores_own_instrumentation_a_task_has_the_same_three(run, spans):
    """Its calls go through boto3's client, whose spans are that one's."""
    botocore = pytest.importorskip("opentelemetry.instrumentation.botocore")
    instrumentor = botocore.BotocoreInstrumentor()
    instrumentor.instrument(tracer_provider=spans.provider)
    try:
        with run(takes) as swf:
            swf.schedule("Takes", "1", 1).outcome()
    finally:
        instrumentor.uninstrument()
    assert [len(spans.of(each)) for each in ("receive", "process", "settle")] == [1, 1, 1]
    assert "SWF.RespondActivityTaskCompleted" in {span.name for span in spans.all}


def test_a_log_line_has_no_second_time():
    record = InternalError("here", ValueError("x"))
    assert abs(record.at - time.time()) < 60
    assert fields_of(record) == {"where": "here", "error": "ValueError: x"}
