"""simpleflow, botoflow and flowy themselves: what they write today, and what they read of ours."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from swf_worker.deciders import BotoflowConverter, FlowyConverter, SimpleflowConverter
from swf_worker.failure import Failure
from tools.versions import interpreter

from ..fresh.conftest import environment_with, uv
from .recorded import ANY_CALL, REAL, failure, ran, recorded
from .s3 import s3_on_a_socket

pytestmark = [pytest.mark.fresh, pytest.mark.timeout(600)]

# Another library's environment is no place for this one's settings.
CLEAN = {"PYTHONPATH": "", "PYTHONWARNINGS": "ignore"}


@dataclasses.dataclass
class Order:
    id: str
    price: Decimal
    at: datetime
    lines: tuple[int, ...]


WHEN = datetime(2024, 1, 2, 3, 4, 5, 678000, UTC)
ORDER = Order("A-17", Decimal("1.50"), WHEN, (1, 2))


def details_of(converter: Any, told: Failure) -> dict[str, Any]:
    reason, details = converter.encode_failure(told)
    return {"reason": reason, "details": details}


# --- simpleflow ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def simpleflow(tmp_path_factory):
    python = environment_with(tmp_path_factory.mktemp("simpleflow") / "e", "simpleflow==0.36.0")

    def run(mode, said=None, **env):
        script = REAL / "simpleflow_real.py"
        return ran(python / "python", script, mode, said=json.dumps(said), env=CLEAN | env)

    return run


def test_simpleflow_writes_what_is_recorded(simpleflow):
    today = simpleflow("write")
    today["failed"]["details"] = recorded("simpleflow")["failed"]["details"]  # of other calls
    assert today == recorded("simpleflow")


def test_simpleflow_reads_our_results(simpleflow):
    values = [None, ORDER, [1.5, True, "é\U0001f600"], {"a": {}}]
    texts = [SimpleflowConverter().encode(value) for value in values]
    assert simpleflow("read", {"results": texts})["results"] == [
        None,
        {"id": "A-17", "price": "1.50", "at": "2024-01-02T03:04:05.678000Z", "lines": [1, 2]},
        [1.5, True, "é\U0001f600"],
        {"a": {}},
    ]


@pytest.mark.parametrize("told", [failure(), failure(message="\x00é" * 90_000)])
def test_simpleflow_reads_our_failures(simpleflow, told):
    read = simpleflow("read", {"failed": details_of(SimpleflowConverter(), told)})
    assert read["error"] == read["error_type"] == "ValueError"
    assert read["message"][:20] == told.message[:20]
    assert read["reason"].startswith(f"ValueError: {told.message[:20]}")


def test_simpleflow_and_we_read_each_others_jumbo_fields(simpleflow, monkeypatch):
    with s3_on_a_socket(monkeypatch) as s3:
        place = {"SIMPLEFLOW_JUMBO_FIELDS_BUCKET": "jumbo/folder"}
        theirs = simpleflow("write", **place, SIMPLEFLOW_ENABLE_DISK_CACHE="")["jumbo"]
        assert theirs.startswith("simpleflow+s3://jumbo/folder/")
        converter = SimpleflowConverter("jumbo/folder")
        assert converter.decode_arguments(theirs, ANY_CALL) == (["x" * 40_000], {})
        ours = converter.encode(["é" * 40_000])
        assert ours.startswith("simpleflow+s3://jumbo/folder/")
        assert len(s3.objects) == 2
        read = simpleflow("read", {"results": [ours]}, **place)
        assert read["results"] == [["é" * 40_000]]


# --- botoflow -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def botoflow(tmp_path_factory):
    python = environment_with(tmp_path_factory.mktemp("botoflow") / "e", "botoflow==0.8")

    def run(mode, said=None):
        script = REAL / "botoflow_real.py"
        return ran(python / "python", script, mode, said=json.dumps(said), env=CLEAN)

    return run


def test_botoflow_writes_what_is_recorded(botoflow):
    today = botoflow("write")["inputs"]
    then = recorded("botoflow_python3.9")["inputs"]
    # From Python 3.11 on, it can't write exceptions.
    missing = {"exception"} if sys.version_info >= (3, 11) else set()
    assert {name for name, text in today.items() if text is None} == missing
    assert {name: text for name, text in today.items() if text is not None} == {
        name: text for name, text in then.items() if name not in missing
    }


def test_botoflow_reads_our_results(botoflow):
    values = [None, ORDER, (1, {2}, [b"\xff"]), frozenset([3]), timedelta(-1, 2, 3), UUID(int=1)]
    texts = [BotoflowConverter().encode(value) for value in values]
    assert botoflow("read", {"results": texts})["results"] == [
        None,
        {
            "id": "A-17",
            "price": ["Decimal", "1.50"],
            "at": ["datetime", "2024-01-02 03:04:05.678000"],
            "lines": ["tuple", [1, 2]],
        },
        ["tuple", [1, ["set", [2]], ["list", [["bytes", "ÿ"]]]]],
        ["frozenset", [3]],
        ["timedelta", "-1 day, 0:00:02.000003"],
        "00000000-0000-0000-0000-000000000001",
    ]


@pytest.mark.parametrize(
    ("module", "kind", "cause", "message"),
    [
        ("builtins", "ValueError", "ValueError", "no"),
        ("json", "JSONDecodeError", "JSONDecodeError", "no"),
        ("botocore.exceptions", "ClientError", "ClientError", "no"),
        (__name__, "Refused", "ImportError", f"{__name__}.Refused: no"),
        ("acme.orders", "Refused", "Exception", "Refused: no"),
        ("", "WorkerShutdown", "Exception", "WorkerShutdown: no"),
        ("builtins", "ExceptionGroup", "Exception", "ExceptionGroup: no"),
    ],
)
def test_botoflow_reads_our_failures(botoflow, module, kind, cause, message):
    told = failure(module=module, type=kind, reason=kind, message="no")
    read = botoflow("read", {"failed": details_of(BotoflowConverter(), told)})
    assert (read["cause"], read["message"]) == (cause, message)
    assert read["printed"].startswith("Traceback (most recent call last):\n" + told.traceback)


class Refused(Exception):
    """One that no decider has."""


def test_botoflow_reads_the_longest_failure(botoflow):
    told = failure(message="\x00é" * 90_000)
    read = botoflow("read", {"failed": details_of(BotoflowConverter(), told)})
    assert read["cause"] == "ValueError"


@pytest.fixture(scope="module")
def botoflow_on_2(tmp_path_factory):
    old = interpreter("2.7")
    if old is None:
        pytest.skip("there is no Python 2.7, on which botoflow writes its failures")
    folder = tmp_path_factory.mktemp("botoflow2")
    pip = [old, "-m", "pip", "install", "--quiet", "--target", folder, "botoflow==0.8"]
    installed = subprocess.run(list(map(str, pip)), capture_output=True, text=True)
    if installed.returncode != 0:
        pytest.skip(f"botoflow 0.8 can't be installed for Python 2.7: {installed.stderr[-300:]}")

    def run(mode, said=None):
        script = REAL / "botoflow_real.py"
        env = CLEAN | {"PYTHONPATH": str(folder)}
        return ran(old, script, mode, said=json.dumps(said), env=env)

    return run


def test_botoflow_on_python_2_writes_what_is_recorded(botoflow_on_2):
    today, then = botoflow_on_2("write"), recorded("botoflow_python2.7")
    assert today["inputs"] == then["inputs"]
    (error, (call,)), (their_error, (their_call,)) = (
        json.loads(each["failed"]["details"]) for each in (today, then)
    )
    assert error == their_error
    assert call["__tuple"][1:] == their_call["__tuple"][1:]


def test_botoflow_on_python_2_reads_ours(botoflow_on_2):
    texts = [BotoflowConverter().encode(value) for value in (None, b"\xff", [(1, {2})], ORDER)]
    results = botoflow_on_2("read", {"results": texts})["results"]
    assert results[:3] == [None, ["bytes", "ÿ"], ["list", [["tuple", [1, ["set", [2]]]]]]]
    assert results[3]["price"] == ["Decimal", "1.50"]
    told = failure(message="no € left")
    read = botoflow_on_2("read", {"failed": details_of(BotoflowConverter(), told)})
    assert (read["cause"], read["message"]) == ("ValueError", "no € left")
    assert told.traceback in read["printed"]


# --- flowy --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def flowy(tmp_path_factory):
    old = interpreter("3.9") or interpreter("3.8")
    if old is None:
        pytest.skip("there is no Python 3.9 (or 3.8): flowy 0.4.1 imports on no later one")
    folder = tmp_path_factory.mktemp("flowy") / "e"
    uv("venv", "--quiet", "--python", old, folder)
    uv("pip", "install", "--quiet", "--python", folder / "bin" / "python", "flowy==0.4.1")

    def run(mode, said=None):
        script = REAL / "flowy_real.py"
        return ran(folder / "bin" / "python", script, mode, said=json.dumps(said), env=CLEAN)

    return run


def test_flowy_writes_what_is_recorded(flowy):
    assert flowy("write") == recorded("flowy")


def test_flowy_reads_our_results(flowy):
    values = [None, ORDER, (1, {2}), b"\xff", UUID(int=1), [1.5, True, "é\U0001f600"]]
    texts = [FlowyConverter().encode(value) for value in values]
    assert flowy("read", {"results": texts})["results"] == [
        "None",
        "{'id': 'A-17', 'price': '1.50', 'at': '2024-01-02T03:04:05.678000Z', 'lines': [1, 2]}",
        "[1, [2]]",
        "b'\\xff'",
        "UUID('00000000-0000-0000-0000-000000000001')",
        "[1.5, True, 'é\U0001f600']",
    ]


def test_flowy_tells_the_message_of_our_failures(flowy):
    read = flowy("read", {"failed": details_of(FlowyConverter(), failure(message="no € left"))})
    assert read["said"] == "no € left"
