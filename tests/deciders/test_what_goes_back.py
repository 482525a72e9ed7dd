"""Results and failures, as they are written: the forms, the limits, what can't be written."""

from __future__ import annotations

import enum
import json
import math
import re
import sys
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
import pydantic
import pytest
import yaml

from swf_worker import ConfigurationError
from swf_worker.deciders import (
    BotoflowConverter,
    FlowJavaConverter,
    FlowRubyConverter,
    FlowyConverter,
    SimpleflowConverter,
)
from swf_worker.errors import ResultEncodeError
from swf_worker.outcome import MAX_PAYLOAD, MAX_REASON
from swf_worker.text import utf16_units

from .recorded import FRAMES, failure, recorded

CONVERTERS = {
    "simpleflow": SimpleflowConverter(),
    "botoflow": BotoflowConverter(),
    "flowy": FlowyConverter(),
    "java": FlowJavaConverter(),
    "ruby": FlowRubyConverter(),
}
each_converter = pytest.mark.parametrize("name", CONVERTERS)


class Color(enum.Enum):
    RED = "red"


class Point(NamedTuple):
    x: int
    y: int


@dataclass
class Order:
    id: str
    price: Decimal
    color: Color


class Struct(msgspec.Struct):
    at: datetime


class Model(pydantic.BaseModel):
    name: str


WHEN = datetime(2024, 1, 2, 3, 4, 5, 678000, UTC)
VALUE = {
    "order": Order("A-17", Decimal("1.50"), Color.RED),
    "struct": Struct(WHEN),
    "model": Model(name="café \U0001f600"),
    "point": Point(1, 2),
    "key": UUID(int=1),
    "day": date(2024, 1, 2),
}


# --- results ------------------------------------------------------------------------------------


@each_converter
def test_classes_are_written_as_their_members(name):
    converter = CONVERTERS[name]
    told = converter.decode(converter.encode(VALUE), Any)
    assert told["order"]["id"] == "A-17"
    assert Decimal(told["order"]["price"]) == Decimal("1.50")
    assert told["order"]["color"] == "red"
    assert told["model"] == {"name": "café \U0001f600"}
    assert told["point"] == [1, 2]
    assert UUID(str(told["key"])) == UUID(int=1)
    assert told["day"] == "2024-01-02"


@each_converter
def test_none_is_written_for_deciders_read_every_result(name):
    assert CONVERTERS[name].decode(CONVERTERS[name].encode(None), Any) is None


@each_converter
@pytest.mark.parametrize("value", [math.nan, "\ud800", {"a": object()}, [math.inf], {"\ud800": 1}])
def test_what_has_no_form_is_a_result_encode_error(name, value):
    with pytest.raises(ResultEncodeError):
        CONVERTERS[name].encode(value)


@each_converter
def test_a_value_within_itself_is_a_result_encode_error(name):
    cycle: list[Any] = []
    cycle.append(cycle)
    with pytest.raises(ResultEncodeError):
        CONVERTERS[name].encode(cycle)


@each_converter
def test_keys_are_written_as_json_has_them(name):
    converter = CONVERTERS[name]
    assert converter.decode(converter.encode({1: {Color.RED: 2}}), Any) == {"1": {"red": 2}}


def test_botoflow_keeps_pythons_types():
    value = [(1, {2}), frozenset([3]), b"\xff", Decimal("-1.50"), timedelta(-1, 2, 3)]
    told = BotoflowConverter().decode(BotoflowConverter().encode(value), Any)
    assert repr(told) == repr(value)


def test_flowy_keeps_bytes_and_uuids():
    value = [b"\xff", {"key": UUID(int=1)}]
    assert FlowyConverter().decode(FlowyConverter().encode(value), Any) == value
    assert FlowyConverter().encode({3}) == "[3]"


def test_botoflows_datetimes_have_no_zone_and_are_utc():
    ahead = WHEN.astimezone(timezone(timedelta(hours=2)))
    told = BotoflowConverter().decode(BotoflowConverter().encode([ahead, datetime(1, 1, 1)]), Any)
    assert told == [WHEN.replace(tzinfo=None), datetime(1, 1, 1)]


def test_java_gets_a_class_before_everything_that_is_not_final():
    assert json.loads(
        FlowJavaConverter().encode([{"a": (1, "x", None)}, Decimal("1.50"), WHEN])
    ) == [
        "java.util.ArrayList",
        [
            ["java.util.LinkedHashMap", {"a": ["java.util.ArrayList", [1, "x", None]]}],
            ["java.math.BigDecimal", "1.50"],
            ["java.util.Date", 1704164645678],
        ],
    ]
    assert FlowJavaConverter().encode("A-17") == '"A-17"'
    assert FlowJavaConverter().encode(2**70) == f'["java.math.BigInteger",{2**70}]'


def test_java_has_no_infinite_decimal():
    with pytest.raises(ResultEncodeError, match="BigDecimal has no NaN and no infinity"):
        FlowJavaConverter().encode([Decimal("inf")])


@pytest.mark.parametrize(
    ("returns", "value", "text"),
    [
        ("java.util.LinkedList", [1], '["java.util.LinkedList",[1]]'),
        (
            "com.acme.Order",
            VALUE["order"],
            '["com.acme.Order",{"id":"A-17","price":["java.math.BigDecimal","1.50"],"color":"red"}]',
        ),
        ("[Ljava.lang.Object;", [[1]], '["[Ljava.lang.Object;",[["java.util.ArrayList",[1]]]]'),
        ("[Ljava.lang.String;", ["a", "b"], '["a","b"]'),
        ("[J", [1], "[1]"),
        ("java.lang.Long", 5, "5"),
        ("com.acme.Order", None, "null"),
    ],
)
def test_java_gets_the_class_that_the_activity_returns(returns, value, text):
    assert FlowJavaConverter(returns=returns).encode(value) == text


def test_ruby_gets_symbols_for_keys_or_strings():
    value = {"id": "on", "a name": [1]}
    assert FlowRubyConverter().encode(value) == ("---\n:id: \"on\"\n!ruby/symbol 'a name':\n- 1\n")
    assert FlowRubyConverter(symbols=False).encode(value) == '---\n"id": "on"\n"a name":\n- 1\n'


def test_ruby_without_yaml_says_what_to_install(monkeypatch):
    monkeypatch.delattr("swf_worker.deciders.ruby_yaml")
    monkeypatch.setitem(sys.modules, "swf_worker.deciders.ruby_yaml", None)
    with pytest.raises(ConfigurationError, match=r"FlowRubyConverter needs .*pip install"):
        FlowRubyConverter()


# --- failures -----------------------------------------------------------------------------------


def test_simpleflow_reads_the_members_that_its_own_worker_writes():
    ours = json.loads(SimpleflowConverter().encode_failure(failure())[1])
    theirs = json.loads(recorded("simpleflow")["failed"]["details"])
    assert theirs.keys() <= ours.keys()
    assert [type(ours[name]) for name in theirs] == [type(each) for each in theirs.values()]
    assert ours["traceback"][0] == theirs["traceback"][0]
    assert ours["traceback"][1:-1] == re.split(r"(?m)^(?=  File)", FRAMES)[1:]
    assert recorded("simpleflow")["failed"]["reason"] == "ValueError: a negative amount: € 5"
    said = SimpleflowConverter().encode_failure(failure(message="a negative amount: € 5"))
    assert said[0] == recorded("simpleflow")["failed"]["reason"]


def test_simpleflow_gets_the_class_with_its_module():
    _, details = SimpleflowConverter().encode_failure(failure(module="acme.orders", type="Refused"))
    assert json.loads(details)["error_type"] == "acme.orders.Refused"


def test_botoflow_gets_what_its_own_worker_writes():
    error, calls = json.loads(BotoflowConverter().encode_failure(failure(message="no"))[1])
    their_error, their_calls = json.loads(recorded("botoflow_python2.7")["failed"]["details"])
    assert their_error.keys() == error.keys()
    assert error["__exc"] == [["no"], "no"]
    assert error["__obj"][0] == "six.moves.builtins:ValueError"
    assert [each.keys() for each in their_calls] == [{"__tuple"}]
    assert calls[0] == {"__tuple": ["/srv/acme/orders.py", 12, "charge", "pay(order)"]}


@pytest.mark.parametrize(
    ("module", "kind"),
    [
        ("", "WorkerShutdown"),
        ("__main__", "Refused"),
        ("acme.orders", "Refused"),
        ("builtins", "ExceptionGroup"),
        ("builtins", "KeyboardInterrupt"),
        ("builtins", "len"),
    ],
)
def test_botoflow_is_given_no_class_that_could_break_the_decider(module, kind):
    _, details = BotoflowConverter().encode_failure(failure(module=module, type=kind, message="no"))
    error, _ = json.loads(details)
    assert error["__obj"][0] == "six.moves.builtins:Exception"
    assert error["__exc"] == [[f"{kind}: no"], f"{kind}: no"]


@pytest.mark.parametrize("name", ["flowy", "java", "ruby"])
def test_the_reason_is_the_message_where_deciders_expect_it(name):
    def reason(**members):
        return CONVERTERS[name].encode_failure(failure(**members))[0]

    assert reason(message="card declined") == "card declined"
    assert reason(message="") == "ValueError"
    assert reason(reason="CardDeclined", type="ActivityFailed") == "CardDeclined"
    stopped = {"reason": "WorkerShutdown", "type": "WorkerShutdown", "module": ""}
    assert reason(**stopped, message="stopped") == "WorkerShutdown: stopped"


def test_java_gets_a_throwable_with_causes_and_pythons_calls():
    name, told = json.loads(FlowJavaConverter().encode_failure(failure(message="no"))[1])
    assert name == "java.lang.RuntimeException"
    assert told["message"] == "ValueError: no"
    assert told["cause"][1]["message"] == "KeyError: 'card'"
    assert told["cause"][1]["cause"][1] == {"message": "OSError: gone", "cause": None}
    assert [frame["methodName"] for frame in told["stackTrace"]] == ["pay", "charge"]


def test_ruby_gets_an_exception_and_its_backtrace():
    _, details = FlowRubyConverter().encode_failure(failure(message="no", details={"a": 1}))
    assert details.startswith("--- !ruby/exception:RuntimeError\n")
    assert list(yaml.safe_load_all(details.replace("!ruby/exception:RuntimeError", ""))) == [
        {
            "message": "ValueError: no\ncaused by KeyError: 'card'\ncaused by OSError: gone",
            "retryable": True,
            "details": {"a": 1},
        },
        ["/srv/acme/payments.py:34:in `pay'", "/srv/acme/orders.py:12:in `charge'"],
    ]


def parsed(name: str, details: str) -> Any:
    if name == "ruby":
        return list(yaml.safe_load_all(details.replace("!ruby/exception:RuntimeError", "")))
    return json.loads(details)


@each_converter
@pytest.mark.parametrize("character", ["x", "\x00", "\U0001f600", '"', "\ud800", "\n"])
def test_the_longest_failure_fits_and_is_parsed(name, character):
    longest = character * 100_000
    given = failure(
        reason=longest,
        type=longest,
        module=longest,
        message=longest,
        details={"a": [longest]},
        traceback=FRAMES * 500 + longest,
        causes=((longest, longest),) * 100,
    )
    reason, details = CONVERTERS[name].encode_failure(given)
    assert utf16_units(reason) <= MAX_REASON
    assert utf16_units(details) <= MAX_PAYLOAD
    reason.encode()
    details.encode()
    assert parsed(name, details)


@each_converter
@pytest.mark.parametrize("details", [object(), {1: {2}}, "text", [math.nan], b"\xff"])
def test_details_of_any_kind_are_no_reason_to_lose_a_failure(name, details):
    _, text = CONVERTERS[name].encode_failure(failure(details=details))
    assert parsed(name, text)


@each_converter
def test_a_failure_without_a_traceback_has_none(name):
    _, text = CONVERTERS[name].encode_failure(failure(traceback="", causes=()))
    assert "orders.py" not in text
    assert parsed(name, text)
