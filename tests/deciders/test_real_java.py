"""Jackson itself, with the settings of AWS Flow for Java: what it writes and what it reads."""

from __future__ import annotations

import re
import shutil
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from swf_worker.deciders import FlowJavaConverter

from .recorded import REAL, failure, ran, recorded

pytestmark = pytest.mark.fresh

JARS = [
    Path("/usr/share/java", f"jackson-{part}.jar") for part in ("databind", "core", "annotations")
]


@pytest.fixture(scope="module")
def jackson():
    """Runs the program in ``real/``."""
    java = shutil.which("java")
    if java is None:
        pytest.skip("there is no java: install a JDK from 17 on (Debian: openjdk-17-jdk-headless)")
    if not all(jar.exists() for jar in JARS):
        pytest.skip("there is no Jackson: install it (Debian: libjackson2-databind-java)")
    command = [java, "-cp", ":".join(map(str, JARS)), REAL / "FlowJava.java"]

    def run(mode: str, *lines: str) -> dict[str, Any]:
        said = ran(*command, mode, said="".join(f"{line}\n" for line in lines))
        assert re.match(r"Jackson 2\.\d+", said["library"])
        return said

    return run


def test_jackson_writes_what_is_recorded(jackson):
    assert jackson("write") | {"library": ""} == recorded("flow_java") | {"library": ""}


def of(returns: str | None, value: Any) -> str:
    return FlowJavaConverter(returns=returns).encode(value) or ""


WHEN = datetime(2024, 1, 2, 3, 4, 5, 678000, UTC)
ORDER = {
    "id": "B-1",
    "number": 2**40,
    "hosts": None,
    "raw": b"\xff",
    "color": "RED",
    "at": WHEN,
    "price": Decimal("1E+2"),
    "more": {"deep": [{"a": [1.5, None]}, 2**70]},
}
THROWABLE = "java.lang.Throwable"
RESULTS = [
    # what the decider's method returns, what the converter is told, the result, and what Java has
    ("java.lang.String", None, "café \U0001f600", "java.lang.String"),
    ("java.lang.Long", None, 2**40, "java.lang.Long"),
    ("java.lang.Integer", None, 5, "java.lang.Integer"),
    ("java.lang.Double", None, 1.5, "java.lang.Double"),
    ("java.lang.Boolean", None, True, "java.lang.Boolean"),
    ("java.lang.Object", None, None, None),
    ("java.lang.Object", None, "x", "java.lang.String"),
    ("java.lang.Object", None, 2**40, "java.lang.Long"),
    ("java.lang.Object", None, 2**70, "java.math.BigInteger"),
    ("java.util.List", None, [1, [2], "x", None], "java.util.ArrayList"),
    ("java.util.ArrayList", None, [], "java.util.ArrayList"),
    ("java.util.Map", None, {"a": [1], "b": {"c": 1.5}}, "java.util.LinkedHashMap"),
    ("java.math.BigDecimal", None, Decimal("1.50"), "java.math.BigDecimal"),
    ("java.util.Date", None, WHEN, "java.util.Date"),
    ("[B", None, b"\xff\xfe", "[B"),
    ("java.util.UUID", None, "00000000-0000-0000-0000-000000000001", "java.util.UUID"),
    ("java.util.List", "java.util.LinkedList", [1], "java.util.LinkedList"),
    ("java.util.Set", "java.util.HashSet", [1], "java.util.HashSet"),
    ("java.util.Map", "java.util.TreeMap", {"a": 1}, "java.util.TreeMap"),
    ("[Ljava.lang.String;", "[Ljava.lang.String;", ["a", "b"], "[Ljava.lang.String;"),
    ("[J", "[J", [1, 2], "[J"),
    ("[Ljava.lang.Object;", "[Ljava.lang.Object;", [[1], "x"], "[Ljava.lang.Object;"),
    ("FlowJava$Order", "FlowJava$Order", ORDER, "FlowJava$Order"),
]


def test_jackson_reads_our_results(jackson):
    lines = [line for type_, told, value, _ in RESULTS for line in (type_, of(told, value))]
    read = jackson("read", *lines)["results"]
    assert [each[0] for each in read] == [name for *_, name in RESULTS]
    for (_, _, value, name), (_, again) in zip(RESULTS, read, strict=True):
        back = FlowJavaConverter().decode(again, Any)
        if name == "FlowJava$Order":
            assert {key: back[key] for key in value} == ORDER | {
                "raw": "/w==",
                "price": Decimal(100),
            }
        elif name == "java.util.Set":
            assert sorted(back) == value
        elif not isinstance(value, bytes):
            assert back == value


FAILURES = [
    failure(),
    failure(details={"a": [1]}, module="", type="WorkerShutdown", reason="WorkerShutdown"),
    failure(traceback="", causes=(), message=""),
    failure(message="\x00\u2028" * 50_000, causes=(("A", "b" * 9_000),) * 100),
]


def test_jackson_reads_our_failures_as_a_throwable(jackson):
    written = [FlowJavaConverter().encode_failure(told)[1] for told in FAILURES]
    traces = jackson("read", *(line for text in written for line in (THROWABLE, text)))["results"]
    for told, trace in zip(FAILURES, traces, strict=True):
        assert trace.startswith(f"java.lang.RuntimeException: {told.type}")
        assert trace.count("Caused by: java.lang.RuntimeException: ") >= min(1, len(told.causes))
        if told.traceback and len(told.message) < 1000:
            assert "\tat payments.pay(/srv/acme/payments.py:34)\n" in trace
            assert trace.index("payments.pay") < trace.index("orders.charge")
