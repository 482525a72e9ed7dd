"""SWF's limits, at each edge of each field: one below, at it, one above, in UTF-16 units; after the
converter and the codecs, and before anything is sent."""

from __future__ import annotations

import json
from typing import Any

import pytest

from swf_worker import (
    ActivityCanceled,
    ActivityContext,
    ActivityFailed,
    ActivityTaskHandle,
    ActivityWorker,
    Canceled,
    CancelReason,
    Completed,
    Failed,
    PayloadTooLargeError,
    TextConverter,
    activity,
)
from swf_worker.coded import heartbeat_text
from swf_worker.local import LocalSwf
from swf_worker.testing import ActivityEnvironment
from swf_worker.text import utf16_units

PAYLOAD, REASON, HEARTBEAT = 32_768, 256, 2_048


def of_units(units: int, kind: str) -> str:
    """So many UTF-16 units: of ASCII, of two bytes in UTF-8, of pairs (the last one of a half)."""
    if kind == "ascii":
        return "a" * units
    if kind == "bmp":
        return "é" * units
    return "😀" * (units // 2) + "b" * (units % 2)


KINDS = ["ascii", "bmp", "emoji"]
EDGES = [-1, 0, 1]


class Text(TextConverter):
    """Failures as text, too."""

    def encode_failure(self, failure: Any) -> tuple[str, str]:
        return failure.reason, failure.message


def outcome(handler: Any, *, asked: bool = False, **options: Any) -> Any:
    environment = ActivityEnvironment(**options)
    if asked:
        environment.ask(CancelReason.REQUESTED)
    return environment.outcome(activity(version="1")(handler))


@pytest.mark.parametrize("edge", EDGES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("converter", ["json", "text"])
def test_a_result_is_never_cut(converter, kind, edge):
    quotes = 2 if converter == "json" else 0
    text = of_units(PAYLOAD + edge - quotes, kind)
    given = {} if converter == "json" else {"converter": TextConverter()}
    ended = outcome(lambda: text, **given)
    if edge > 0:
        assert ended.reason == "PayloadTooLarge"
        assert "32,769" in ended.details
    else:
        assert isinstance(ended, Completed)
        assert utf16_units(ended.result) == PAYLOAD + edge
        assert text in ended.result


def raises(error: BaseException) -> Any:
    def handler() -> None:
        raise error

    return handler


@pytest.mark.parametrize("edge", EDGES)
@pytest.mark.parametrize("kind", KINDS)
def test_details_keep_head_and_tail(kind, edge):
    text = of_units(PAYLOAD + edge, kind)
    failed = outcome(raises(ActivityFailed("Why", text)))
    canceled = outcome(raises(ActivityCanceled(text)), asked=True)
    written = outcome(raises(ValueError(text)), converter=Text())
    assert isinstance(failed, Failed)
    assert isinstance(canceled, Canceled)
    for details in (failed.details, canceled.details):
        assert utf16_units(details) <= PAYLOAD
        assert (details == text) is (edge <= 0)
        assert details[:10] == text[:10]
        assert details[-1] == text[-1]
    assert utf16_units(written.details) <= PAYLOAD


@pytest.mark.parametrize("edge", EDGES)
@pytest.mark.parametrize("kind", KINDS)
def test_details_that_are_json_stay_json(kind, edge):
    text = of_units(PAYLOAD + edge - 8, kind)
    failed = outcome(raises(ActivityFailed("Why", {"t": text})))
    assert utf16_units(failed.details) <= PAYLOAD
    parsed = json.loads(failed.details)
    assert (parsed == {"t": text}) is (edge <= 0)
    assert ("truncated" in parsed) is (edge > 0)


@pytest.mark.parametrize("edge", EDGES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_reason(kind, edge):
    text = of_units(REASON + edge, kind)
    failed = outcome(raises(ActivityFailed(text)))
    assert utf16_units(failed.reason) <= REASON
    assert (failed.reason == text) is (edge <= 0)
    named = outcome(raises(type("N" * (REASON + edge), (Exception,), {})()))
    assert len(named.reason) == min(REASON, REASON + edge)


@pytest.mark.parametrize("edge", EDGES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_heartbeats_details(kind, edge):
    text = of_units(HEARTBEAT + edge, kind)
    sent, why = heartbeat_text(text)
    assert utf16_units(sent) <= HEARTBEAT
    assert (sent == text) is (edge <= 0)
    assert (why is not None) is (edge > 0)


class Doubles:
    """A codec that makes texts twice as long."""

    def encode(self, text: str) -> str:
        return text + text

    def decode(self, text: str) -> str:
        return text


@pytest.mark.parametrize("edge", EDGES)
@pytest.mark.parametrize("kind", ["ascii", "bmp"])
def test_after_the_codecs(kind, edge):
    half = of_units(PAYLOAD // 2 + edge, kind)
    ended = outcome(lambda: half, converter=TextConverter(), codecs=[Doubles()])
    assert (ended == Completed(half + half)) is (edge <= 0)
    failed = outcome(raises(ActivityFailed("Why", half)), codecs=[Doubles()])
    assert utf16_units(failed.details) <= PAYLOAD
    assert (failed.details == half + half) is (edge <= 0)
    assert failed.details[: len(failed.details) // 2] == failed.details[len(failed.details) // 2 :]
    beat, _ = heartbeat_text(of_units(HEARTBEAT // 2 + edge, kind), [Doubles()])
    assert utf16_units(beat) <= HEARTBEAT
    assert beat[: len(beat) // 2] == beat[len(beat) // 2 :]


LONE = "\ud800 alone"


def test_lone_surrogates_are_never_sent():
    assert outcome(lambda: LONE).reason == "ResultEncodeError"
    assert outcome(lambda: LONE, converter=TextConverter()).reason == "ResultEncodeError"
    assert outcome(raises(ActivityFailed("Why", LONE))).details == "? alone"
    assert outcome(raises(ActivityFailed(LONE))).reason == "? alone"
    assert heartbeat_text(LONE)[0] == "? alone"
    assert "? alone" in outcome(raises(ValueError(LONE))).details
    assert outcome(raises(ValueError(LONE)), converter=Text()).details == "? alone"


@pytest.mark.parametrize("kind", KINDS)
def test_swf_itself_takes_what_is_at_the_limit(kind):
    """The local SWF checks as SWF does: of a worker, and of a handle."""

    @activity(name="Full", version="1", heartbeat_interval=0.1)
    def full(context: ActivityContext) -> str:
        context.heartbeat(of_units(HEARTBEAT + 1, kind))
        return of_units(PAYLOAD - 2, kind)

    @activity(name="Fails", version="1")
    def fails() -> None:
        raise ActivityFailed(of_units(REASON + 1, kind), of_units(PAYLOAD + 1, kind))

    @activity(name="Elsewhere", version="1", manual_completion=True)
    def elsewhere(context: ActivityContext) -> None:
        handle = ActivityTaskHandle(context.task.task_token, endpoint_url=swf.endpoint_url)
        handle.heartbeat(of_units(HEARTBEAT, kind))
        with pytest.raises(PayloadTooLargeError):
            handle.complete(of_units(PAYLOAD - 1, kind))
        handle.complete(of_units(PAYLOAD - 2, kind))

    with LocalSwf(poll_hold=0.5) as swf:
        worker = ActivityWorker(
            domain="d",
            task_list="t",
            activities=[full, fails, elsewhere],
            endpoint_url=swf.endpoint_url,
        )
        swf.register(worker)
        with worker:
            for name in ("Full", "Elsewhere"):
                done = swf.schedule(name, "1").outcome()
                assert isinstance(done, Completed), name
                assert utf16_units(done.result) == PAYLOAD
            assert isinstance(swf.schedule("Fails", "1").outcome(), Failed)
