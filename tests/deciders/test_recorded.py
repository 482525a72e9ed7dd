"""What deciders' own libraries wrote is read as what they meant."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pprint import pformat
from typing import Any
from uuid import UUID

import pytest

from swf_worker.deciders import (
    BotoflowConverter,
    FlowJavaConverter,
    FlowRubyConverter,
    FlowyConverter,
    SimpleflowConverter,
)
from swf_worker.payloads.parameters import Parameter

from .recorded import ANY_CALL, recorded

SIMPLEFLOW = {
    "pythonic": (["A-17"], {"amount": 3}),
    "values": (
        [[1.5, None, True, "café \U0001f600"], {"when": "2024-01-02T03:04:05.678Z"}],
        {},
    ),
    "nan": ([math.nan, 2**70], {}),
    "raw kwargs": ([], {"order": "A-17", "amount": 3}),
    "raw args": (["A-17", 3], {}),
}
WHEN = datetime(2024, 1, 2, 3, 4, 5, 678000)
ORDER = {"id": "A-17", "lines": [(1, "two")]}
BOTOFLOW = {
    "plain": (["A-17", 3], {"amount": None, "ok": True, "price": 1.5}),
    "nothing": ([], {}),
    "collections": ([(1, (2, "x")), {3}, frozenset([4]), [{"b": 1, "a": (2,)}]], {}),
    "numbers": ([Decimal("-1.50"), 2**70, math.nan], {}),
    "times": ([WHEN, timedelta(1, 2, 3)], {}),
    "bytes": ([b"\xff\xfe"], {}),
    "objects": ([ORDER, [1], {"a": 2}, (1, 2), "__main__:Order"], {}),
    "exception": ([{"args": ["size"]}], {}),
}
KEY = UUID("6fa459ea-ee8a-3ca4-894e-db77e160355e")
FLOWY = {
    "plain": (["A-17", 3], {"amount": None, "ok": True, "price": 1.5}),
    "nothing": ([], {}),
    "values": ([[[1, "café \U0001f600"]], {"a": {"b": [2**70]}}], {}),
    "tagged": ([KEY, b"\xff\xfe"], {"deep": {"order": KEY}}),
}
JAVA_WHEN = WHEN.replace(tzinfo=UTC)
JAVA_ORDER = {
    "id": "A-17",
    "number": 5_000_000_000,
    "boxed": 5,
    "none": None,
    "hosts": ["www.example.com", "b"],
    "counts": [1, 2],
    "raw": "//4=",
    "color": "RED",
    "anyColor": "RED",
    "key": "00000000-0000-0000-0000-000000000001",
    "at": JAVA_WHEN,
    "price": Decimal("1.10"),
    "lines": [{"sku": "b-1", "price": Decimal("1.50")}],
    "more": {"a": 1, "b": [2]},
}
JAVA = {
    "plain": (["A-17", 3, 1.5, True, None, "café \U0001f600"], {}),
    "nothing": ([], {}),
    "numbers": (
        [
            *(5_000_000_000, 1, 2, 1.5, "c", Decimal("-1.50")),
            *(Decimal("0.1000000000000000000001"), 2**70, math.nan),
        ],
        {},
    ),
    "arrays": (
        [
            *(["com.acme.Order", "x"], [1, 2], b"\xff\xfe"),
            *([["com.acme.Order", "x"]], ["a", 1], "ab"),
        ],
        {},
    ),
    "times": (
        [
            JAVA_WHEN,
            datetime(1969, 12, 31, 23, 59, 59, 999000, UTC),
            datetime(1970, 1, 1, tzinfo=UTC),
        ],
        {},
    ),
    # A list of two strings within a typed list is that list, whatever the strings are.
    "collections": (
        [{"list": ["com.acme.Order", "x"], "set": [1], "pair": ["com.acme.Order", {}]}, [1], []],
        {},
    ),
    "objects": ([JAVA_ORDER, "RED", "00000000-0000-0000-0000-000000000001"], {}),
}
STRINGS = (
    *("", " ", "a: b", ":name", "yes", "no", "on", "y", "~", "null", "1", "1.5", "1,000", "0o17"),
    *("12e03", "1:30", "2024-01-02", "<<", "=", "- x", "# c", "multi\nline\n", "\x00\x01"),
    *("café \U0001f600", "trailing ", "@a", "%a", "!a", "&a", "*a", ".5", "1_000", "0x1f", "+1"),
)
RUBY = {
    "plain": (["A-17", 3, None, True, 1.5], {}),
    "keywords": (["A-17"], {"amount": 3, "note": "gift"}),
    "one hash": ([], {"id": "A-17", "amount": 3}),
    "string keys": ([{"id": "A-17"}], {}),
    "nothing": ([], {}),
    "strings": ([*STRINGS], {}),
    "symbols": (["name", "a name", "a: b", "1", "a?", "[]"], {}),
    "numbers": ([2**70, -1, 1e20, math.inf, Decimal("-1.5")], {}),
    "times": (
        [
            datetime(1970, 1, 1, tzinfo=UTC),
            datetime(1970, 1, 1, 2, 0, 0, 500000, timezone(timedelta(hours=2))),
            date(2024, 1, 2),
        ],
        {},
    ),
    "bytes": ([b"\xff\xfe"], {}),
    "objects": (
        [
            *({"id": "A-17", "lines": [{"sku": "b-1"}]}, {"a": 1, "b": 2}, [1, 2]),
            *({"begin": 1, "end": 3, "excl": False}, "/a/", "String"),
        ],
        {},
    ),
    "shared": ([{"size": 1}, {"size": 1}, "x", "x"], {}),
}
ALL = [
    ("simpleflow", SimpleflowConverter(), SIMPLEFLOW),
    ("botoflow_python2.7", BotoflowConverter(), BOTOFLOW),
    ("botoflow_python3.9", BotoflowConverter(), BOTOFLOW),
    ("flowy", FlowyConverter(), FLOWY),
    ("flow_java", FlowJavaConverter(), JAVA),
    ("flow_ruby", FlowRubyConverter(), RUBY),
]


@pytest.mark.parametrize(
    ("name", "converter", "case", "meant"),
    [
        pytest.param(name, converter, case, meant, id=f"{name}-{case}")
        for name, converter, cases in ALL
        for case, meant in cases.items()
    ],
)
def test_an_input_of_the_real_library_is_read_as_what_it_was(name, converter, case, meant):
    text = recorded(name)["inputs"][case]
    # NaN differs from itself, types that are equal don't: their words tell.
    assert pformat(converter.decode_arguments(text, ANY_CALL)) == pformat(meant)


def test_every_recorded_input_is_checked():
    for name, _, cases in ALL:
        assert recorded(name)["inputs"].keys() == cases.keys()


@dataclass
class Line:
    sku: str
    price: Decimal


@dataclass
class Order:
    id: str
    at: datetime
    lines: list[Line]


def given(converter: Any, text: str, parameters: Sequence[Parameter]) -> Any:
    return converter.decode_arguments(text, parameters)


def test_a_java_object_becomes_the_handlers_dataclass():
    text = recorded("flow_java")["inputs"]["objects"]
    args, _ = given(
        FlowJavaConverter(), text, [Parameter("o", Order), Parameter("c"), Parameter("k", UUID)]
    )
    assert args[:1] == [Order("A-17", JAVA_WHEN, [Line("b-1", Decimal("1.50"))])]
    assert args[2] == UUID(int=1)


def test_a_hash_of_symbols_is_the_one_parameter_that_is_left_for_it():
    text = recorded("flow_ruby")["inputs"]["keywords"]
    order, options = Parameter("order", str), Parameter("options", dict[str, Any], {})
    assert given(FlowRubyConverter(), text, [order, options]) == (
        ["A-17", {"amount": 3, "note": "gift"}],
        {},
    )


def test_a_hash_of_symbols_is_keywords_where_the_handler_has_them():
    text = recorded("flow_ruby")["inputs"]["keywords"]
    order, amount = Parameter("order", str), Parameter("amount", int, kind="keyword")
    assert given(FlowRubyConverter(), text, [order, amount]) == (["A-17"], {"amount": 3})
    text = recorded("flow_ruby")["inputs"]["one hash"]
    places = [Parameter("id", str), Parameter("amount", int, 1)]
    assert given(FlowRubyConverter(), text, places) == ([], {"id": "A-17", "amount": 3})


def test_a_hash_of_strings_is_never_keywords():
    text = recorded("flow_ruby")["inputs"]["string keys"]
    parameters = [Parameter("order"), Parameter("id", str, "", kind="keyword")]
    assert given(FlowRubyConverter(), text, parameters) == ([{"id": "A-17"}], {})


def test_a_ruby_array_of_a_class_is_a_list():
    assert FlowRubyConverter().decode("- !ruby/array:Lines [1, !ruby/sym a]", list) == [[1, "a"]]


@pytest.mark.parametrize("converter", [converter for _, converter, _ in ALL])
def test_a_task_without_input_has_no_arguments(converter):
    assert converter.decode_arguments(None, [Parameter("a", int, 1)]) == ([], {})
