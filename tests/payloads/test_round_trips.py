"""Whatever a type can hold goes round: what is written of it is read as the same value."""

from __future__ import annotations

import datetime
import uuid
from decimal import Decimal
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field

from swf_worker.payloads.reading import Reader
from swf_worker.payloads.writing import compact_json
from tests.payloads.kinds import (
    Box,
    Colour,
    Counted,
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
    Underscored,
    User,
    UserId,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NUMBER = st.integers(-(2**63), 2**63 - 1)
UTC = st.just(datetime.UTC)
DATETIMES = st.datetimes(datetime.datetime(1, 1, 2), timezones=UTC)
USERS = st.builds(User, userId=NUMBER, tags=st.lists(TEXT, max_size=3))
COUNTED = st.builds(Counted, st.integers(1, 10**9))
PRIVATE = st.builds(Private, NUMBER, n=NUMBER, zed=NUMBER, v=st.integers(1, 9))
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
SIMPLE: dict[Any, st.SearchStrategy[Any]] = {
    int: NUMBER,
    float: FLOATS,
    bool: st.booleans(),
    str: TEXT,
    bytes: st.binary(max_size=30),
    Decimal: st.decimals(allow_nan=False, allow_infinity=False),
    uuid.UUID: st.uuids(),
    datetime.datetime: DATETIMES,
    datetime.date: st.dates(),
    datetime.time: st.times(),
    datetime.timedelta: st.timedeltas(
        datetime.timedelta(days=-(10**6)), datetime.timedelta(days=10**6)
    ),
    PurePosixPath: TEXT.filter(lambda text: "\x00" not in text).map(PurePosixPath),
    Colour: st.sampled_from(Colour),
    Literal["a", 2]: st.sampled_from(["a", 2]),
    UserId: NUMBER,
    Any: JSON,
    Plain: st.builds(Plain, NUMBER, TEXT),
    PlainAttrs: st.builds(PlainAttrs, NUMBER, TEXT),
    Underscored: st.builds(Underscored, NUMBER),
    Private: PRIVATE,
    User: USERS,
    Owner: st.builds(Owner, ownedBy=USERS),
    Strict: st.builds(Strict, at=DATETIMES, id=st.uuids(), colour=st.sampled_from(Colour)),
    Counted: COUNTED,
    Annotated[int, Field(gt=0)]: st.integers(1, 10**9),
    Pair: st.builds(Pair, USERS, NUMBER),
    Struct: st.builds(Struct, NUMBER, st.none() | USERS),
    Tagged: st.builds(Tagged, NUMBER),
    Tree: st.fixed_dictionaries(
        {"user": USERS},
        optional={"children": st.lists(st.fixed_dictionaries({"user": USERS}), max_size=2)},
    ),
    Mixed: st.builds(
        Mixed,
        st.lists(USERS, max_size=2),
        st.none() | COUNTED,
        PRIVATE,
        st.integers(1, 9),
        TEXT.filter(lambda text: "\x00" not in text).map(PurePosixPath),
    ),
}
CONTAINERS: dict[str, tuple[Any, Any]] = {
    "alone": (lambda kind: kind, lambda values: values),
    "list": (lambda kind: list[kind], lambda values: st.lists(values, max_size=3)),
    "optional": (lambda kind: kind | None, lambda values: st.none() | values),
    "tuple": (
        lambda kind: tuple[kind, ...],
        lambda values: st.lists(values, max_size=3).map(tuple),
    ),
    "dict": (
        lambda kind: dict[str, kind],
        lambda values: st.dictionaries(TEXT, values, max_size=3),
    ),
    "in a class": (lambda kind: Box[kind], lambda values: st.builds(Box, values)),
}


def goes_round(kind: Any, data: st.DataObject) -> None:
    annotate, several = CONTAINERS[data.draw(st.sampled_from(sorted(CONTAINERS)))]
    value = data.draw(several(SIMPLE[kind]))
    assert Reader(annotate(kind)).read(compact_json(value)) == value


@pytest.mark.parametrize("kind", SIMPLE, ids=str)
@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_it_goes_round(kind, data):
    goes_round(kind, data)


@pytest.mark.full
@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", SIMPLE, ids=str)
@settings(max_examples=600, deadline=None)
@given(data=st.data())
def test_it_goes_round_hundreds_of_times(kind, data):
    goes_round(kind, data)
