"""Whatever comes as an answer or an input: no loop ends, nothing is left, each task is answered."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from swf_worker import ActivityContext, ActivityWorker, RetryPolicy, activity
from swf_worker.core import pollers
from tests.wire import EMPTY_POLL, OK, Wire, http, task

QUICK = RetryPolicy(initial_wait=0.001, max_wait=0.002, denied_wait=0.002)
STATUSES = st.sampled_from([200, 200, 200, 200, 204, 301, 400, 403, 404, 413, 429, 500, 503])
NAMES = st.sampled_from(
    [
        "taskToken", "startedEventId", "activityId", "activityType", "workflowExecution", "input",
        "cancelRequested", "__type", "message", "name", "version", "workflowId", "runId",
    ]
)  # fmt: skip
CODES = st.sampled_from(
    [
        "UnknownResourceFault", "ThrottlingException", "ValidationException", "Ünknown",
        "AccessDeniedException", "SerializationException", "ExpiredTokenException", "",
    ]
)  # fmt: skip
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | CODES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=8,
)
OBJECTS = st.dictionaries(NAMES, VALUES, max_size=8)
BODIES = st.one_of(
    st.binary(max_size=60),
    VALUES.map(json.dumps),
    OBJECTS.map(json.dumps),
    OBJECTS.map(lambda value: json.dumps(value)[:-3]),
    OBJECTS.map(lambda value: json.dumps({"startedEventId": 1, "taskToken": "t"} | value)),
    st.tuples(CODES, st.text(max_size=10)).map(
        lambda pair: json.dumps({"__type": pair[0], "message": pair[1]})
    ),
    st.just("[" * 3_000),
)


@dataclass
class Answer:
    status: int
    body: Any
    request_id: bool

    def bytes(self) -> bytes:
        return http(self.status, self.body, request_id=self.request_id)


ANSWERS = st.builds(Answer, STATUSES, BODIES, st.booleans() | st.just(True))


class FuzzWire(Wire):
    """Answers one operation with what a test feeds it, and tells when it was asked again."""

    def __init__(self, fuzzed: str) -> None:
        super().__init__()
        self._fuzzed = fuzzed
        self.fed: queue.Queue[bytes] = queue.Queue()
        self.asked = threading.Semaphore(0)
        self.answered: queue.Queue[tuple[str, dict[str, Any]]] = queue.Queue()
        self._tokens = 0

    def __exit__(self, *_: object) -> None:
        for _ in range(20):
            self.fed.put(EMPTY_POLL)
        super().__exit__()

    def feed(self, answer: bytes) -> None:
        """Answer once with this, and return when the next call has come."""
        self.fed.put(answer)
        assert self.asked.acquire(timeout=20), f"nobody asks any more after {answer!r}"

    def _next(self, name: str, body: dict[str, Any]) -> bytes:
        if name == self._fuzzed:
            self.asked.release()
            try:
                return self.fed.get(timeout=20)
            except queue.Empty:
                return EMPTY_POLL
        if name == "PollForActivityTask":
            self._tokens += 1
            return task(f"token-{self._tokens}")
        if name.startswith("Respond"):
            self.answered.put((name, body))
            return OK
        return http(200, {"cancelRequested": False})


@activity(name="Work", version="1", heartbeat_interval=60)
def work(context: ActivityContext, request: dict[str, int | list[str]] | None = None) -> Any:
    return request


@activity(name="Work", version="1", heartbeat_interval=60)
def beating(context: ActivityContext) -> None:
    while not context.should_stop:
        context.heartbeat("on")
        context.wait_for_stop(0.0005)


def quietly(examples: int) -> Any:
    return settings(
        max_examples=examples,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


def running(service: FuzzWire, handler: Any) -> ActivityWorker:
    return ActivityWorker(
        domain="d",
        task_list="t",
        activities=[handler],
        endpoint_url=service.url,
        retry_policy=QUICK,
        max_concurrent_activities=1,
        max_concurrent_polls=1,
        progress_beats_per_second=1000,
        drain_timeout=0,
        cancel_grace=1,
    )


@pytest.fixture(autouse=True)
def no_rest(monkeypatch):
    """Empty polls that come at once are otherwise polled five times a second."""
    monkeypatch.setattr(pollers, "EMPTY_POLLS_PER_SECOND", 2000.0)


@contextmanager
def polling(service: FuzzWire, handler: Any) -> Iterator[ActivityWorker]:
    """A worker that has asked for the first time; its polls are fed until it has ended."""
    worker = running(service, handler)
    worker.start()
    try:
        assert service.asked.acquire(timeout=20)
        yield worker
    finally:
        worker.request_stop()
        while not worker.wait(0.05):
            service.fed.put(EMPTY_POLL)


def fuzz(operation: str, handler: Any, examples: int) -> None:
    with FuzzWire(operation) as service, polling(service, handler) as worker:
        if operation == "PollForActivityTask":
            service.feed(EMPTY_POLL)  # accepted: from now on no refusal is fatal
        threads = threading.active_count()

        @quietly(examples)
        @given(ANSWERS)
        def feed(answer: Answer) -> None:
            service.feed(answer.bytes())

        feed()
        assert worker.error is None
        assert threading.active_count() <= threads + 24, "thread pools have bounds"


def fuzz_inputs(examples: int) -> None:
    with FuzzWire("PollForActivityTask") as service, polling(service, work):
        number = 0

        @quietly(examples)
        @given(st.one_of(st.text(max_size=50), VALUES.map(json.dumps), st.none()))
        def feed(given_input: str | None) -> None:
            nonlocal number
            number += 1
            members = {} if given_input is None else {"input": given_input}
            service.feed(task(f"t{number}", **members))
            name, body = service.answered.get(timeout=20)
            assert body["taskToken"] == f"t{number}", "each task is answered, once"
            assert name != "RespondActivityTaskCanceled"
            for text in (body.get("details"), body.get("result")):
                assert text is None or json.loads(text) is not None or text == "null"

        feed()
        assert service.answered.empty()


def test_any_answer_to_a_poll():
    fuzz("PollForActivityTask", work, 100)


def test_any_answer_to_a_heartbeat():
    fuzz("RecordActivityTaskHeartbeat", beating, 200)


def test_any_input():
    fuzz_inputs(200)


@pytest.mark.full
@pytest.mark.timeout(900)
def test_ten_thousand_cases(record_property):
    fuzz("PollForActivityTask", work, 4_000)
    fuzz("RecordActivityTaskHeartbeat", beating, 4_000)
    fuzz_inputs(4_000)
    record_property("figure", "fuzz: 12,000 answers and inputs, no loop ended")
