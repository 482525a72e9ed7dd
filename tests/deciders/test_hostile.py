"""Whatever an input is, reading it ends in arguments or in InputDecodeError, which quotes nothing;
what was written is read again as it was."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from swf_worker.deciders import (
    BotoflowConverter,
    FlowJavaConverter,
    FlowRubyConverter,
    FlowyConverter,
    SimpleflowConverter,
)
from swf_worker.errors import InputDecodeError
from swf_worker.payloads.parameters import Parameter

from .recorded import ANY_CALL, recorded

CONVERTERS = {
    "simpleflow": SimpleflowConverter(),
    "botoflow_python2.7": BotoflowConverter(),
    "flowy": FlowyConverter(),
    "flow_java": FlowJavaConverter(),
    "flow_ruby": FlowRubyConverter(),
}
each_converter = pytest.mark.parametrize("name", CONVERTERS)
SECRET = "hunter2"

MALFORMED = [
    *("", " ", "null", "7", '"text"', "{}{}", "[", "\x00", "\ud800", '"\\ud800"', "\ufeff[]"),
    *(f"[{SECRET}", f'["{SECRET}"', f'{{"{SECRET}": }}', f"- {SECRET}\n {SECRET}", f"@{SECRET}"),
    *("[" * 1_500, "[" * 900 + "]" * 900, '{"a":' * 1_500, "- " * 16_000, "9" * 10_000),
]
JSON = [
    *("[[], []]", "[[]]", "[{}, []]", "[[], {}, 1]", '[["\\ud800"], {}]', "[[], null]"),
    *('{"args": 1}', '{"kwargs": []}', '{"args": {}, "kwargs": {}}'),
    "simpleflow+s3://bucket/key 5",
    f"simpleflow+s3://{SECRET}",
]
BOTOFLOW = [
    f"[[{marker}], {{}}]"
    for marker in (
        *('{"__tuple": 1}', '{"__set": [[]]}', '{"__frozenset": [{}]}', '{"__bin": 1}'),
        *('{"__bin": "x"}', '{"__bin": "\u00e9"}', '{"__base64str": []}', '{"__ordereddict": [1]}'),
        *('{"__decimal": 1}', '{"__decimal": [0, [1], 1e999]}', '{"__decimal": "secret"}'),
        *('{"__decimal": [9, [1], 0]}', f'{{"__datetime": "{SECRET}"}}', '{"__datetime": 1}'),
        *('{"__timedelta": [1e999]}', '{"__timedelta": [1, 2, 3, 4, 5, 6, 7, 8]}', '{"__obj": []}'),
        *('{"__obj": ["os:system"]}', '{"__listclass": []}', '{"__namedtuple": 5}'),
        '{"__obj": ["a:B", 5], "__exc": []}',
    )
]
FLOWY = [
    f"[[{tagged}], {{}}]"
    for tagged in (f'{{" u": "{SECRET}"}}', '{" u": 5}', '{" u": null}', '{" b": 5}', '{" b": "x"}')
]
JAVA = [
    f'["[Ljava.lang.Object;",[{value}]]'
    for value in (
        *(f'["java.math.BigDecimal","{SECRET}"]', '["java.math.BigDecimal",true]'),
        *(f'["java.math.BigInteger","{SECRET}"]', '["java.util.Date",1e300]', '["[B",5]'),
        *(
            '["java.util.Date",9223372036854775807]',
            '["java.util.Date",true,1',
        ),
        *('["java.math.BigDecimal",1e9999999999999999999999]', '["java.lang.Double","x"]'),
    )
] + ['["java.util.ArrayList",[]]', '["[Ljava.lang.Object;",{}]', "[]", "[[],[]]", '["[",[],[]]']
BOMB = "- &0 [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"- &{depth} [{','.join([f'*{depth - 1}'] * 10)}]\n" for depth in range(1, 10)
)
RUBY = [
    *(BOMB, "- &a [*a]", "- &a {x: *a}", "- *a", "- !!python/object/apply:os.system ['true']"),
    *("- !!python/name:os.system", f"- !{SECRET} x", "- !<tag:yaml.org,2002:x> y", "--- 1\n--- 2"),
    *(
        "- !!int x",
        "- !!float x",
        "- !!timestamp x",
        "- !!bool x",
        "- !!binary \u00e9",
        "? [a]\n: b",
    ),
    *("- ? {a: b}\n  : c", "- !ruby/object:BigDecimal x", "- !ruby/sym [x]"),
    *("- !ruby/object:Set {x: 1}", "- !!omap x", "%YAML 9.9\n---\n- a"),
    *(
        "- !!merge x",
        "- {!!merge <<: [1]}",
        "- !!int 0b" + "1" * 20_000,
        "- " + "9" * 20_000,
        "{a: b}",
    ),
    *("{" * 1_500, "- !ruby/object:A " * 3_000, "- 'x", '- "\\uD800"', '- "\\x', "- :"),
]
HOSTILE = MALFORMED + JSON + BOTOFLOW + FLOWY + JAVA + RUBY


def refusal(way: Callable[[], Any]) -> InputDecodeError | None:
    """The error that it is refused with; any other is the test's end."""
    try:
        way()
    except InputDecodeError as error:
        return error
    return None


@each_converter
@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_reading_ends_in_arguments_or_in_an_input_decode_error(name, text):
    converter = CONVERTERS[name]
    calls = [ANY_CALL, [Parameter("a", int), Parameter("b", str)], []]
    ways = [partial(converter.decode_arguments, text, parameters) for parameters in calls]
    ways += [partial(converter.decode, text, wanted) for wanted in (Any, int)]
    for way in ways:
        error = refusal(way)
        if error is not None:
            assert SECRET not in str(error)
            assert error.__cause__ is None
            assert error.__suppress_context__ or error.__context__ is None


@pytest.mark.parametrize("name", sorted(CONVERTERS.keys() - {"flow_ruby"}))
@pytest.mark.parametrize("deep", ["[" * 100_000, '{"a":' * 100_000])
def test_nesting_without_end_is_refused(name, deep):
    for text in (deep, f"[{deep}", f'{{"kwargs":{deep}'):
        with pytest.raises(InputDecodeError):
            CONVERTERS[name].decode_arguments(text, ANY_CALL)


@pytest.mark.parametrize("name", sorted(CONVERTERS.keys() - {"flow_ruby"}))
def test_nesting_that_ends_is_read_or_refused(name):
    """How deep json reads differs from Python to Python."""
    for depth in (500, 9_000):
        refusal(partial(CONVERTERS[name].decode_arguments, "[" * depth + "]" * depth, ANY_CALL))


@pytest.mark.parametrize(
    ("name", "texts"),
    [
        ("simpleflow", ["", "7", '{"args": 1}', '{"kwargs": []}', *JSON[-2:]]),
        ("botoflow_python2.7", ["[]", *JSON[:3], *BOTOFLOW]),
        ("flowy", ["[]", *JSON[:6], *FLOWY]),
        ("flow_java", JAVA),
        ("flow_ruby", [*RUBY, "7"]),
    ],
)
def test_what_is_malformed_is_refused(name, texts):
    for text in texts:
        with pytest.raises(InputDecodeError):
            CONVERTERS[name].decode_arguments(text, ANY_CALL)


@each_converter
def test_reading_imports_nothing(name):
    before = set(sys.modules)
    texts = [
        '[[{"__obj": ["antigravity:X", {}]}, {"__class": "this:X"}], {}]',
        '["[Ljava.lang.Object;",[["antigravity.X",{"a":1}]]]',
        "- !ruby/object:Antigravity {a: 1}\n- !ruby/class 'this'",
        '{"args": [], "kwargs": {}, "meta": {"binaries": {"this": "s3://x/y"}}}',
    ]
    for text in texts:
        refusal(partial(CONVERTERS[name].decode_arguments, text, ANY_CALL))
    assert not {"antigravity", "this"} & (set(sys.modules) - before)


def _is_no_marker(key: str) -> bool:
    """What deciders themselves can't tell from their markers."""
    return not key.startswith(("__", " "))


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text().filter(_is_no_marker), inner),
    max_leaves=20,
)


@each_converter
@given(VALUES)
@example({"\x85": None, ":": 1, ":a": 2, "a b": 3})
@settings(deadline=None, max_examples=60)
def test_what_is_written_is_read_as_it_was(name, value):
    converter = CONVERTERS[name]
    assert converter.decode(converter.encode(value), Any) == value


@given(st.lists(st.decimals(allow_nan=False, allow_infinity=False), max_size=5))
@settings(deadline=None, max_examples=60)
def test_decimals_stay_exact(value):
    for converter in (BotoflowConverter(), FlowJavaConverter()):
        told = converter.decode(converter.encode(value), Any)
        assert repr(told) == repr(value)
    assert isinstance(FlowJavaConverter().decode('["java.math.BigDecimal",1]', Any), Decimal)


@st.composite
def spoiled(draw, name):
    """A real input with a piece of it cut out, doubled, or put over another."""
    text = draw(st.sampled_from(sorted(recorded(name)["inputs"].values())))
    start = draw(st.integers(0, len(text)))
    end = draw(st.integers(start, min(len(text), start + 20)))
    piece = draw(
        st.sampled_from([*'[]{}",:-&*!\n\\', "null", "1e999", "[[", "\\ud800", '"__tuple":'])
        | st.text(max_size=5)
        | st.just(text[start:end] * 2)
    )
    return text[:start] + piece + text[end:]


@each_converter
@given(st.data())
@settings(deadline=None, max_examples=150)
def test_a_spoiled_input_is_arguments_or_an_input_decode_error(name, data):
    text = data.draw(spoiled(name))
    refusal(partial(CONVERTERS[name].decode_arguments, text, ANY_CALL))


@each_converter
@given(st.text(st.characters(codec=None)))
@settings(deadline=None, max_examples=100)
def test_any_text_is_arguments_or_an_input_decode_error(name, text):
    for tried in (text, f"[{text}]", json.dumps([[text], {text: text}])):
        refusal(partial(CONVERTERS[name].decode_arguments, tried, ANY_CALL))
