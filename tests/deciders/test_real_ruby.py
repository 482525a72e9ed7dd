"""Ruby's own YAML, as AWS Flow for Ruby uses it: what it writes today, and what it reads."""

from __future__ import annotations

import json
import re
import shutil
from random import Random
from typing import Any

import pytest

from swf_worker.deciders import FlowRubyConverter

from .recorded import REAL, failure, ran, recorded

RUBY = shutil.which("ruby")
pytestmark = pytest.mark.skipif(RUBY is None, reason="there is no ruby: install it (Debian: ruby)")


def psych(mode: str, **said: Any) -> dict[str, Any]:
    answer = ran(RUBY, REAL / "flow_ruby_real.rb", mode, said=json.dumps(said))
    assert re.match(r"Psych \d", answer["library"])
    return answer


def test_psych_writes_what_is_recorded():
    today = psych("write")
    inputs = recorded("flow_ruby")["inputs"]
    if today["library"] == recorded("flow_ruby")["library"]:
        assert today == recorded("flow_ruby")
    assert today["inputs"].keys() == inputs.keys()
    for name, text in inputs.items():
        written = FlowRubyConverter().decode(today["inputs"][name], Any)
        assert written == FlowRubyConverter().decode(text, Any)


VALUE = {
    "id": "A-17",
    "on": [True, None, 1.5, 1e20, 2**70, -0.0],
    "strings": ["yes", "1,000", "12e03", ":name", "2024-01-02", "\x00\x85\u2028é\U0001f600\n", ""],
    "a: b": {"deep": [{}, []]},
}


def test_psych_reads_our_results_with_symbols_for_keys():
    texts = [FlowRubyConverter().encode(value) for value in (VALUE, None, "x", [[{"a": 1}]])]
    assert psych("read", results=texts)["results"] == [
        {
            "Symbol id": VALUE["id"],
            "Symbol on": VALUE["on"],
            "Symbol strings": VALUE["strings"],
            "Symbol a: b": {"Symbol deep": [{}, []]},
        },
        None,
        "x",
        [[{"Symbol a": 1}]],
    ]


def test_psych_reads_our_results_with_strings_for_keys():
    text = FlowRubyConverter(symbols=False).encode(VALUE)
    assert psych("read", results=[text])["results"] == [VALUE]


def test_psych_reads_our_failures_as_an_exception():
    told = failure(details={"order": ["A-17"]})
    _, details = FlowRubyConverter().encode_failure(told)
    read = psych("read", failed=details)
    assert read["class"] == "RuntimeError"
    assert read["message"].startswith(f"ValueError: {told.message}")
    assert read["backtrace"] == [
        "/srv/acme/payments.py:34:in `pay'",
        "/srv/acme/orders.py:12:in `charge'",
    ]
    assert read["retryable"] is True
    assert read["details"] == {"order": ["A-17"]}


def test_psych_reads_the_longest_failure():
    _, details = FlowRubyConverter().encode_failure(failure(message="\x00\u2028" * 90_000))
    assert psych("read", failed=details)["message"].startswith("ValueError: \x00\u2028")


def lookalikes() -> list[str]:
    """Strings that are nearly numbers, dates, symbols, or YAML, the same in every run."""
    random = Random(20240102)
    alphabets = (
        "0123456789:-.,_+eExXo TZ",
        ":-?{}[],#&*!|>'\"%@`~<=ynNYtrue \n\t",
        "".join(map(chr, [*range(32), *range(0x7E, 0xA1), 0x2028, 0xFEFF, 0xFFFD, 0x1F600])),
    )
    drawn = {
        "".join(random.choices(alphabet, k=random.randint(1, 14)))
        for alphabet in alphabets
        for _ in range(1_500)
    }
    for _ in range(500):
        first, *others = (random.randint(0, 75) for _ in range(4))
        drawn |= {
            f"{first}:{others[0]}",
            ":".join(map(str, others)),
            f"{first}:{others[0]}.5",
            f"20{first:02}-{others[0]}-{others[1]}",
            f"20{first:02}-01-02 {others[0]}:{others[1]:02}:{others[2]:02}Z",
        }
    return sorted(drawn)


def test_whatever_string_psych_writes_is_read_as_that():
    strings = lookalikes()
    dumped = psych("read", dump=strings)["dumped"]
    read = [FlowRubyConverter().decode(text, Any) for text in dumped]
    assert read == [[each] for each in strings]


def test_whatever_string_we_write_psych_reads_as_that():
    strings = lookalikes()
    texts = [FlowRubyConverter(symbols=False).encode({each: each}) for each in strings]
    assert psych("read", results=texts)["results"] == [{each: each} for each in strings]
