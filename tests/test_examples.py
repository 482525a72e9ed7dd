"""Each example as its reader would run it: a process of its own, on a local SWF."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from swf_worker import ActivityWorker
from swf_worker.codecs import EncryptionCodec, GzipCodec
from swf_worker.codecs.chain import apply, unapply
from swf_worker.local import Canceled, Completed, Failed, LocalSwf

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = sorted(path.stem for path in (ROOT / "examples").glob("*.py"))


@contextmanager
def running(name, said=None, **env):
    """The example in a process, and the local SWF it polls. ``said`` gets what it wrote."""
    module = importlib.import_module(f"examples.{name}")
    found = [v for v in vars(module).values() if isinstance(v, ActivityWorker)]
    workers = found or [module.CounterWorker()]
    clean = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
    with LocalSwf(poll_hold=0.3) as swf:
        for worker in reversed(workers):
            swf.register(worker)  # the first is the default of `schedule`
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "examples" / f"{name}.py")],
            env=clean | {"AWS_ENDPOINT_URL_SWF": swf.endpoint_url} | env,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            yield swf
        finally:
            process.send_signal(signal.SIGTERM)
            out, _ = process.communicate(timeout=30)
        if said is not None:
            said.append(out)
        assert process.returncode == 0, out
        assert "Traceback (most" not in out


def test_payloads():
    key = Fernet.generate_key()
    codecs = [GzipCodec(), EncryptionCodec([key])]
    invoice = {"due": "2026-12-24", "lines": [{"article": "pen", "price": "1.50", "count": 2}]}
    with running("payloads", PAYLOAD_KEY=key.decode()) as swf:
        for given, result in (
            (invoice, "3.00"),
            ({"invoice": invoice, "discount": "0.50"}, "2.50"),
        ):
            sealed = apply(codecs, json.dumps(given))
            done = swf.schedule("Total", "1.0", raw_input=sealed).outcome()
            assert json.loads(unapply(codecs, done.result)) == result
        done = swf.schedule("Greet", "1.0", {"args": ["Ada", "Bob"], "kwargs": {}}).outcome()
        assert done == Completed('"Hello, Ada and Bob!"')


def test_decorator(tmp_path):
    file = tmp_path / "file"
    file.write_bytes(b"x" * 3_000_000)
    with running("decorator") as swf:
        done = swf.schedule("Checksum", "1.0", {"path": str(file)}).outcome()
        assert json.loads(done.result)["digest"] == hashlib.sha256(file.read_bytes()).hexdigest()
        failed = swf.schedule("Checksum", "1.0", {"path": "x", "algorithm": "y"}).outcome()
        assert failed.reason == "UnknownAlgorithm"
        assert json.loads(failed.details)["retryable"] is False
        assert swf.schedule("Add", "1.0", {"a": 2}).outcome() == Completed("3")


def test_subclass():
    with running("subclass") as swf:
        assert swf.schedule("Visit", "1.0", "home").outcome() == Completed("1")
        assert swf.schedule("Visit", "1.0", "home").outcome() == Completed("2")


def test_async_handlers():
    with running("async_handlers") as swf:
        waiting = swf.schedule("WaitFor", "1.0", 60)
        assert swf.schedule("WaitFor", "1.0", 0).outcome() == Completed('"waited"')
        assert swf.schedule("Gather", "1.0", ["ab", "c"]).outcome() == Completed('{"ab":2,"c":1}')
        waiting.request_cancel()
        assert waiting.outcome() == Canceled()


def test_embedding():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with running("embedding", PORT=str(port)) as swf:
        scheduled = [swf.schedule("Ship", "1.0", f"order-{n}") for n in range(10)]
        assert scheduled[0].outcome() == Completed('"shipped"')
        taken = asked(port, "/orders/order-77")  # both use the pool, on one loop
        assert taken == '"taken"'
        assert {each.outcome() for each in scheduled} == {Completed('"shipped"')}
        assert json.loads(asked(port, "/ready")) == {"worker": True, "shipped": 10}


def asked(port, path):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
        return answer.read().decode()


def test_cancel_with_undo(tmp_path):
    with running("cancel_with_undo") as swf:
        whole = swf.schedule("Render", "1.0", {"pages": 2, "folder": str(tmp_path / "whole")})
        assert whole.outcome() == Completed('{"pages":2}')
        undone = swf.schedule("Render", "1.0", {"pages": 10_000, "folder": str(tmp_path / "part")})
        undone.wait_for_heartbeats()
        undone.request_cancel()
        outcome = undone.outcome()
        assert isinstance(outcome, Canceled)
        assert json.loads(outcome.details)["pages_undone"] > 0
    assert list((tmp_path / "part").iterdir()) == []


def test_own_list():
    with running("own_list") as swf:
        fetched = json.loads(swf.schedule("Fetch", "1.0", "twelve chars").outcome().result)
        there = {"task_list": fetched["task_list"]}
        assert swf.schedule("Measure", "1.0", fetched["path"], **there).outcome() == Completed("12")
    assert not Path(fetched["path"]).exists()


def test_completed_elsewhere():
    with running("completed_elsewhere") as swf:
        approved = swf.schedule("Approve", "1.0", "order-1")
        assert approved.outcome() == Completed('{"order":"order-1","approved":true}')
        assert approved.heartbeat_details == '{"reviewers asked":3}'
        assert swf.schedule("Approve", "1.0", "too much").outcome() == Failed("Refused", "too much")


def test_journal():
    program = ROOT / "examples" / "journal.py"
    clean = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
    done = subprocess.run(
        [sys.executable, str(program)], env=clean, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    killed = re.search(r"process (\d+) was killed", done.stdout)[1]
    assert f'"by_process":{killed}' in done.stdout.splitlines()[1]


def test_process_isolation():
    with running("process_isolation") as swf:
        assert swf.schedule("CountPrimes", "1.0", 10_000).outcome() == Completed("1229")
        assert swf.schedule("Crash", "1.0").outcome().reason == "HandlerDied"
        long = swf.schedule("CountPrimes", "1.0", 10**9)  # its child may take seconds to start
        long.wait_for_heartbeats(2)
        long.request_cancel()
        assert "reached" in json.loads(long.outcome().details)


def test_traces(tmp_path):
    file, said = tmp_path / "file", []
    file.write_text("one\ntwo\n")
    with running("traces", said) as swf:
        for name, result in (("Size", "8"), ("Lines", "2")):
            assert swf.schedule(name, "1.0", str(file)).outcome() == Completed(result)
    spans = re.findall(r'"name": "(\w+)(?: sizes)?",.*?"parent_id": (null|"\w+")', said[0], re.S)
    names = sorted(name for name, _ in spans)
    assert names == [
        "count",
        "process",
        "process",
        "receive",
        "receive",
        "settle",
        "settle",
        "stat",
    ]
    for name, parent in spans:
        assert (parent == "null") is (name in ("process", "receive")), name


def test_own_session(tmp_path):
    from examples.own_session import greet

    (tmp_path / "config").write_text(
        "[profile worker]\nregion = eu-west-1\naws_access_key_id = x\naws_secret_access_key = y\n"
    )
    clean = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
    with LocalSwf(poll_hold=0.3) as swf:
        swf.register([greet], domain="examples")
        with subprocess.Popen(
            [sys.executable, str(ROOT / "examples" / "own_session.py"), "worker"],
            env=clean
            | {
                "AWS_ENDPOINT_URL_SWF": swf.endpoint_url,
                "AWS_CONFIG_FILE": str(tmp_path / "config"),
            },
            cwd=ROOT,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            there = {"domain": "examples", "task_list": "greetings"}
            assert swf.schedule("Greet", "1.0", "Ada", **there).outcome() == Completed(
                '"Hello, Ada!"'
            )
            process.send_signal(signal.SIGTERM)
            _, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    assert "calls=direct" in next(line for line in err.splitlines() if "worker started" in line)


def test_decider():
    with running("decorator") as swf:
        done = subprocess.run(
            [sys.executable, str(ROOT / "examples" / "decider.py")],
            env=os.environ | {"AWS_ENDPOINT_URL_SWF": swf.endpoint_url},
            capture_output=True,
            text=True,
            check=False,
            timeout=40,
        )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("ActivityTaskCompleted {'result': '3'")


def test_every_example_is_tested():
    assert {f"test_{name}" for name in EXAMPLES} <= set(globals())


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_example_says_how_to_run_it(name):
    assert f"python examples/{name}.py" in (ROOT / "examples" / f"{name}.py").read_text()
