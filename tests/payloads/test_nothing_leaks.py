"""Inputs may be secret: nothing of one is in an answer or a log line, whatever types and converters
say or raise. And whatever is raised while an input is decoded is an InputDecodeError."""

from __future__ import annotations

import datetime
import json
import string
import uuid
from decimal import Decimal
from typing import Annotated, Any, Literal

import attrs
import msgspec
import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field, PositiveInt
from pydantic_core import PydanticCustomError

from swf_worker import ActivityWorker, Completed, Failed, activity
from swf_worker.local import LocalSwf
from swf_worker.testing import ActivityEnvironment
from tests.payloads.kinds import (
    SECRET,
    Box,
    Colour,
    Counted,
    Even,
    Mixed,
    Owner,
    Pair,
    Plain,
    PlainAttrs,
    Private,
    Strict,
    Struct,
    Tagged,
    Tree,
    User,
    raising,
)


def fails(wanted: Any, text: str, **options: Any) -> Failed:
    def handler(given):
        raise AssertionError("it was called")

    handler.__annotations__["given"] = wanted
    marked = activity(version="1", input="whole", **options)(handler)
    outcome = ActivityEnvironment().outcome(marked, raw_input=text)
    assert isinstance(outcome, Failed)
    return outcome


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int


class Dog(BaseModel):
    kind: Literal["dog"]


class Chatty(BaseModel):
    name: str

    @pydantic.field_validator("name")
    @classmethod
    def check(cls, name: str) -> str:
        raise ValueError(f"{name} is no name")


class Asserting(BaseModel):
    name: str

    @pydantic.model_validator(mode="after")
    def check(self) -> Asserting:
        assert not self.name, self.name
        return self


class Custom(BaseModel):
    name: str

    @pydantic.field_validator("name")
    @classmethod
    def check(cls, name: str) -> str:
        raise PydanticCustomError("greater_than", "no {gt}", {"gt": name})


class KeyErrors(BaseModel):
    name: str

    @pydantic.field_validator("name")
    @classmethod
    def check(cls, name: str) -> str:
        raise KeyError(name)


@attrs.define
class Attrs:
    name: str = attrs.field()

    @name.validator
    def check(self, attribute: Any, value: str) -> None:
        raise ValueError(f"{attribute} {value}")


class Looks:
    @classmethod
    def model_validate(cls, value: Any) -> Any:
        raise KeyError(value)


ERRORS = {
    **{
        each.__name__: each
        for each in (
            *(ValueError, TypeError, AssertionError, KeyError, RuntimeError, OSError),
            *(StopIteration, RecursionError, MemoryError, msgspec.ValidationError),
        )
    },
    "a group": lambda name: ExceptionGroup(name, [ValueError(name)]),
    "a group of Ctrl-C": lambda name: BaseExceptionGroup(name, [KeyboardInterrupt(name)]),
}
OBJECT = json.dumps({"name": SECRET})
WRAPS = {
    "alone": (lambda wanted: wanted, OBJECT),
    "in a list": (lambda wanted: list[wanted], f"[{OBJECT}]"),
    "in a dataclass": (lambda wanted: Box[wanted], f'{{"item":{OBJECT}}}'),
    "optional": (lambda wanted: wanted | None, OBJECT),
}


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("wrap", WRAPS)
def test_whatever_a_check_raises_is_an_input_decode_error(error, wrap):
    wrapped, text = WRAPS[wrap]
    failed = fails(wrapped(raising(ERRORS[error])), text)
    assert failed.reason == "InputDecodeError"
    told = json.loads(failed.details)
    assert told["retryable"] is False
    assert SECRET not in failed.details
    assert "Refused by a check of the type's own" in told["message"]


@pytest.mark.parametrize(
    "wanted", [Chatty, Asserting, Custom, KeyErrors, Attrs, Looks, list[Chatty]], ids=str
)
def test_validators_of_every_library_say_nothing_unless_asked(wanted):
    text = OBJECT if wanted != list[Chatty] else f"[{OBJECT}]"
    failed = fails(wanted, text)
    assert failed.reason == "InputDecodeError"
    assert SECRET not in failed.details
    assert "Refused by " in failed.details
    told = fails(wanted, text, failure_messages=True)
    assert told.reason == "InputDecodeError"
    if wanted is not Custom:
        assert SECRET in told.details


SAY_IT = [
    (Annotated[Cat | Dog, Field(discriminator="kind")], json.dumps({"kind": SECRET})),
    (Colour, json.dumps(SECRET)),
    (Colour, json.dumps(f"{SECRET} - at `$.{SECRET}`")),
    (list[Colour], json.dumps([f"x - at `$.{SECRET}`"])),
    (Literal["a"], json.dumps(SECRET)),
    (Tagged, json.dumps({"type": SECRET, "page": 1})),
    (dict[str, int], json.dumps({SECRET: "x"})),
    (dict[str, User], json.dumps({SECRET: {"userId": "x"}})),
    (dict[PositiveInt, int], json.dumps({SECRET: 1})),
    (dict[Colour, int], json.dumps({SECRET: 1})),
    (User, json.dumps({"userId": SECRET})),
    (Strict, json.dumps({"at": SECRET})),
    (Counted, json.dumps({"count": SECRET})),
    (Owner, json.dumps({"ownedBy": {"userId": 1, "tags": [1, SECRET]}})),
    (uuid.UUID, json.dumps(SECRET)),
    (datetime.datetime, json.dumps(SECRET)),
    (datetime.timedelta, json.dumps(SECRET)),
    (Decimal, json.dumps(SECRET)),
    (bytes, json.dumps(SECRET + "%")),
    (int, SECRET),
    (Any, '{"' + SECRET),
    (Any, SECRET),
    (Even, "3"),
    (Annotated[str, msgspec.Meta(pattern="^x")], json.dumps(SECRET)),
    (Annotated[str, Field(pattern="^x")], json.dumps(SECRET)),
]


@pytest.mark.parametrize(("wanted", "text"), SAY_IT, ids=lambda each: str(each)[:40])
def test_the_libraries_own_words_are_not_passed_through(wanted, text):
    failed = fails(wanted, text)
    assert failed.reason == "InputDecodeError"
    assert SECRET not in failed.details


class Raises:
    def __init__(self, error: Any) -> None:
        self.error = error

    def decode(self, text: str, wanted: Any) -> Any:
        raise self.error(text)

    def encode(self, value: Any) -> str | None:
        return None


@pytest.mark.parametrize("error", ERRORS)
def test_a_converters_error_is_one_too(error):
    failed = fails(str, SECRET, converter=Raises(ERRORS[error]))
    assert failed.reason == "InputDecodeError"
    assert SECRET not in failed.details
    assert "Raises raised" in failed.details


def test_of_what_runs_after_it_the_failure_is_the_handlers():
    @activity(version="1")
    def handler(name: str) -> None:
        raise ValueError(f"bad {name}")

    failed = ActivityEnvironment().outcome(handler, "Ada")
    assert (failed.reason, json.loads(failed.details)["message"]) == ("ValueError", "bad Ada")


def test_nothing_is_in_the_log_either(caplog, capsys):
    caplog.set_level("DEBUG")

    @activity(version="1")
    def handler(given: Chatty) -> None: ...

    @activity(name="Group", version="1")
    def group(given) -> None: ...

    group.__annotations__["given"] = raising(ERRORS["a group"])
    with LocalSwf() as swf:
        worker = ActivityWorker(
            domain="d", task_list="t", activities=[handler, group], endpoint_url=swf.endpoint_url
        )
        swf.register(worker)
        with worker:
            for name in ("handler", "Group"):
                outcome = swf.schedule(name, "1", {"name": SECRET}).outcome()
                assert isinstance(outcome, Failed)
                assert SECRET not in outcome.details
    ours = [record for record in caplog.records if record.name.startswith("swf_worker")]
    said = "".join(f"{vars(record)}{record.getMessage()}" for record in ours)
    assert "InputDecodeError" in said
    assert SECRET not in said + capsys.readouterr().err


TYPES = [
    *(int, float, str, bool, bytes, Decimal, uuid.UUID, datetime.datetime, datetime.date, Colour),
    *(datetime.time, datetime.timedelta, Literal["a", 1], Any, int | None, list[int], set[int]),
    *(dict[str, int], dict[int, Any], tuple[int, str], Plain, PlainAttrs, Private, User, Owner),
    *(Strict, Counted, PositiveInt, Even, Box[int], Box[User], Tree, Pair, Struct, Tagged, Mixed),
    *(User | Counted, Annotated[Cat | Dog, Field(discriminator="kind")], list[Chatty], Asserting),
    *(KeyErrors, Attrs, Looks, dict[str, Chatty], raising(ValueError), list[raising(KeyError)]),
]
KEYS = st.sampled_from(
    [
        "page",
        "name",
        "userId",
        "tags",
        "count",
        "id",
        "item",
        "kind",
        "type",
        "user",
        "users",
        SECRET,
    ]
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.sampled_from([SECRET, "cat", "red", f"{SECRET} - at `$.{SECRET}`", f"x{SECRET}"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)
TEXTS = (
    VALUES.map(json.dumps)
    | st.text(string.printable).map(lambda text: text + SECRET)
    | st.binary().map(lambda raw: raw.decode("utf-8", "surrogateescape"))
)


def _no_secret_in(wanted: Any, text: str) -> None:
    def handler(given):
        return None

    handler.__annotations__["given"] = wanted
    marked = activity(version="1")(handler)
    environment = ActivityEnvironment()
    try:
        text.encode()
    except UnicodeEncodeError:
        return
    outcome = environment.outcome(marked, raw_input=text)
    if isinstance(outcome, Completed):
        return
    assert outcome.reason == "InputDecodeError", (wanted, text, outcome)
    assert SECRET not in outcome.details, (wanted, text, outcome)


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(TYPES), TEXTS)
def test_no_input_gets_out_of_decoding(wanted, text):
    _no_secret_in(wanted, text)


@pytest.mark.full
@pytest.mark.timeout(900)
@settings(max_examples=20_000, deadline=None)
@given(st.sampled_from(TYPES), TEXTS)
def test_no_input_gets_out_of_decoding_thousands(wanted, text):
    _no_secret_in(wanted, text)
