"""Text on the wire: limits, shortening, envelopes that always fit and always parse."""

from __future__ import annotations

import json

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swf_worker import ActivityFailed, FailureReason
from swf_worker.failure import Failure, FailureWording, envelope_schema
from swf_worker.outcome import MAX_PAYLOAD, MAX_REASON
from swf_worker.payloads.writing import compact_json
from swf_worker.text import bounded_text, shorten, utf16_units

SCHEMA = jsonschema.Draft202012Validator(envelope_schema())
ANY_TEXT = st.text(st.characters(codec=None), max_size=300)


def test_an_emoji_counts_two_as_on_swf():
    assert utf16_units("a😀") == 3


@given(ANY_TEXT, st.integers(1, 200))
def test_shortened_text_fits_and_keeps_both_ends(text, limit):
    short = shorten(text, limit)
    assert utf16_units(short) <= limit
    if utf16_units(text) <= limit:
        assert short == text
    elif limit > 60:
        assert short[:5] == text[:5]
        assert "cut" in short


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=50),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=10), inner),
)


@given(JSON, st.integers(100, 400))
def test_details_always_fit_and_json_stays_json(value, limit):
    text = bounded_text(value, limit)
    if text is None:
        assert value is None
        return
    assert utf16_units(text) <= limit
    if not isinstance(value, str):
        parsed = json.loads(text)
        assert parsed == value or parsed.keys() == {"truncated", "head", "tail"}


def test_json_is_compact_and_unescaped():
    assert compact_json({"ü": [1, "é"]}) == '{"ü":[1,"é"]}'


def test_strings_go_out_as_they_are_and_none_is_absent():
    assert bounded_text("plain") == "plain"
    assert bounded_text(None) is None
    assert bounded_text({"a": 1}) == '{"a":1}'
    assert bounded_text(float("nan")) == "nan", "details never lose the failure"
    assert bounded_text("\ud800") == "?"


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no")


class Endless(Exception):
    def __str__(self) -> str:
        return "x" * 10_000_000


def chain(length: int) -> BaseException:
    error: BaseException = ValueError("root")
    for number in range(length):
        above = KeyError(f"{number}" + "y" * 2000)
        above.__cause__ = error
        error = above
    return error


@pytest.mark.parametrize(
    "error",
    [
        Unprintable(),
        Endless(),
        chain(500),
        type("N" * 5000, (Exception,), {})("long name"),
        SystemExit(3),
        ValueError("\ud800\x00 and 😀" * 20_000),
        ExceptionGroup("many", [ValueError(str(n)) for n in range(1000)]),
    ],
    ids=["unprintable", "endless", "chain", "name", "exit", "surrogates", "group"],
)
def test_any_exception_becomes_a_bounded_parseable_failure(error):
    try:
        raise error
    except BaseException as caught:
        failed = FailureWording().of_exception(caught)
    assert 1 <= utf16_units(failed.reason) <= MAX_REASON
    assert utf16_units(failed.details) <= MAX_PAYLOAD
    envelope = json.loads(failed.details)
    SCHEMA.validate(envelope)
    assert envelope["version"] == 1
    assert envelope["retryable"] is True
    assert envelope["type"][:10] == type(error).__name__[:10]
    assert "message" in envelope
    if error.__cause__ is not None:
        assert envelope["cause"]["type"] == "KeyError"


@settings(max_examples=50)
@given(st.text(max_size=60_000), JSON, st.integers(0, 120))
def test_envelopes_fit_whatever_is_in_them(message, details, depth):
    text = FailureWording().envelope(
        "Kind", message, retryable=False, details=details, error=chain(depth)
    )
    assert utf16_units(text) <= MAX_PAYLOAD
    assert json.loads(text)["retryable"] is False
    SCHEMA.validate(json.loads(text))


def test_the_schema_is_one_and_is_no_rubber_stamp():
    jsonschema.Draft202012Validator.check_schema(envelope_schema())
    assert not SCHEMA.is_valid({"version": 1, "type": "T", "message": "m"})
    assert not SCHEMA.is_valid(
        {"version": 1, "type": "T", "message": "m", "retryable": True, "cause": {"type": "U"}}
    )


def test_the_first_cause_is_the_last_to_go():
    envelope = json.loads(FailureWording().of_exception(chain(100)).details)
    assert envelope["cause"]["type"] == "KeyError"


def test_a_cycle_of_causes_ends():
    one, two = ValueError("one"), ValueError("two")
    one.__cause__, two.__cause__ = two, one
    assert json.loads(FailureWording().of_exception(one).details)["cause"]["message"] == "two"


def test_a_group_tells_of_its_members():
    group = ExceptionGroup("tasks", [ValueError("a"), KeyError("b")])
    envelope = json.loads(FailureWording().of_exception(group).details)
    assert envelope["message"] == "tasks (2 sub-exceptions): ValueError: a; KeyError: 'b'"
    assert envelope["cause"] == {"type": "ValueError", "message": "a"}
    assert envelope["exceptions"] == [
        {"type": "ValueError", "message": "a"},
        {"type": "KeyError", "message": "'b'"},
    ]


def test_own_failures_say_what_they_say():
    plain = FailureWording().of_exception(ActivityFailed("NoSuchFile", {"path": "/x"}))
    assert (plain.reason, plain.details) == ("NoSuchFile", '{"path":"/x"}')
    bare = FailureWording().of_exception(ActivityFailed("Bare"))
    assert bare.details is None
    flagged = FailureWording().of_exception(ActivityFailed("Gone", {"a": 1}, retryable=False))
    envelope = json.loads(flagged.details)
    assert envelope["retryable"] is False
    assert envelope["details"] == {"a": 1}
    assert envelope["message"] == "Gone"
    assert utf16_units(FailureWording().of_exception(ActivityFailed("r" * 999)).reason) == 256


def test_tracebacks_can_be_left_out_and_begin_in_the_users_code():
    try:
        raise ValueError("here")
    except ValueError as error:
        with_it = json.loads(FailureWording().of_exception(error).details)
        without = json.loads(FailureWording(tracebacks=False).of_exception(error).details)
    assert "test_text_and_failures" in with_it["traceback"]
    assert "traceback" not in without


@pytest.mark.parametrize("reason", list(FailureReason))
def test_every_sdk_failure_carries_its_envelope(reason):
    failed = FailureWording().of_sdk(reason, "why")
    envelope = json.loads(failed.details)
    assert failed.reason == envelope["type"] == reason.value
    assert envelope["retryable"] is reason.retryable
    final = {
        "InputDecodeError",
        "ResultEncodeError",
        "PayloadTooLarge",
        "ResultRefused",
        "ActivityNotRegistered",
        "CancelNotRequested",
    }
    assert reason.retryable is (reason.value not in final)


class Writes:
    """A converter that writes failures its own way."""

    def __init__(self, answer):
        self.answer, self.given = answer, []

    def encode_failure(self, failure):
        self.given.append(failure)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def test_a_converter_writes_each_failure():
    writes = Writes(("their.Reason", "their details"))
    wording = FailureWording().of(writes)
    try:
        raise KeyError("k") from ValueError("root")
    except KeyError as error:
        failed = wording.of_exception(error)
    assert (failed.reason, failed.details) == ("their.Reason", "their details")
    (given,) = writes.given
    assert given == Failure(
        reason="KeyError",
        message="'k'",
        type="KeyError",
        module="builtins",
        retryable=True,
        traceback=given.traceback,
        causes=(("ValueError", "root"),),
    )
    assert "test_text_and_failures" in given.traceback
    wording.of_sdk(FailureReason.WORKER_SHUTDOWN, "why", details={"a": 1})
    assert writes.given[1] == Failure(
        "WorkerShutdown", "why", "WorkerShutdown", "", True, details={"a": 1}
    )
    wording.of_exception(ActivityFailed("Gone", {"b": 2}))
    wording.of_exception(ActivityFailed("Gone", {"b": 2}, retryable=False))
    assert [(each.reason, each.details, each.retryable) for each in writes.given[2:]] == [
        ("Gone", {"b": 2}, True),
        ("Gone", {"b": 2}, False),
    ]
    FailureWording(tracebacks=False).of(writes).of_exception(error_with_a_trace())
    assert writes.given[-1].traceback == ""


def error_with_a_trace():
    try:
        raise ValueError("here")
    except ValueError as error:
        return error


@pytest.mark.parametrize(
    "answer",
    [RuntimeError("no"), None, ("only one",), ("r", 5), ("r", b"bytes")],
    ids=["raises", "nothing", "one", "a number", "bytes"],
)
def test_a_converter_that_can_not_loses_no_failure(answer):
    failed = FailureWording().of(Writes(answer)).of_exception(ValueError("why"))
    assert failed.reason == "ValueError"
    assert json.loads(failed.details)["message"] == "why"


def test_limits_are_applied_after_the_converter():
    failed = FailureWording().of(Writes(("r" * 300, "😀" * 40_000))).of_exception(ValueError())
    assert utf16_units(failed.reason) == MAX_REASON
    assert utf16_units(failed.details) <= MAX_PAYLOAD
    for said, sent in (("", "ValueError"), ("\ud800", "?")):
        wording = FailureWording().of(Writes((said, None)))
        assert wording.of_exception(ValueError()).reason == sent


def test_a_converter_writes_the_details_of_a_cancellation():
    class Canceled:
        def encode_canceled(self, details):
            return {"a": "their details", "long": "x" * 40_000}.get(details)

    wording = FailureWording().of(Canceled())
    assert wording.canceled("a") == "their details"
    assert wording.canceled(None) is None
    assert utf16_units(wording.canceled("long")) == MAX_PAYLOAD
    assert wording.canceled([]) is None, "it raised: what breaks a decider is worse than nothing"
    assert FailureWording().canceled({"b": 1}) == '{"b":1}'
    assert json.loads(wording.of_exception(ValueError("why")).details)["message"] == "why"
