"""``swf-worker check`` over the wire: what it finds, that it changes nothing, and that it ends."""

from __future__ import annotations

import json
import re
import socket
import ssl
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from swf_worker.cli.checking import asking
from swf_worker.cli.main import main
from swf_worker.cli.registering import Kind
from swf_worker.local import Fault, FaultKind, LocalSwf
from tests import wire
from tests.cli import before_deploy
from tests.commands import environment
from tests.service.conftest import dead
from tests.tls import make_certificate

HERE = "tests.cli.before_deploy"
WORKER = f"{HERE}:worker"
REGISTER = {kind.value for kind in Kind}
LOOK_UPS = {"DescribeDomain", "CountPendingActivityTasks", "DescribeActivityType"}


@pytest.fixture
def swf():
    with LocalSwf(poll_hold=0.2) as local:
        local.register(before_deploy.worker())
        yield local


@pytest.fixture(autouse=True)
def set_up(monkeypatch):
    for name in ("AWS_PROFILE", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "AWS_ENDPOINT_URL_STS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def checked(capsys):
    """Runs it in this process: the exit code, and the findings by check and subject."""

    def run(*arguments):
        code = main(["check", *arguments, "--format", "json"])
        found = json.loads(capsys.readouterr().out)
        assert all(list(each) == ["check", "level", "subject", "message", "fix"] for each in found)
        assert all(each["fix"] for each in found if each["level"] in ("error", "warning"))
        return code, {(each["check"], each["subject"]): each for each in found}

    return run


def levels(found):
    return {key: each["level"] for key, each in found.items() if each["level"] != "ok"}


def test_what_can_work_is_fine_and_nothing_is_changed(swf, checked):
    before = swf.calls
    scheduled = swf.schedule("Archive", "1.0", "a", schedule_to_close_timeout="NONE")
    code, found = checked(WORKER, "--endpoint-url", swf.endpoint_url, "--processes", "3")
    assert code == 0
    assert [check for check, _ in levels(found)] == ["permission"]  # what needs a task
    assert found["task list", "deploys/files"]["message"] == "1 task waits"
    assert "of 3 processes" in found["quota", "heartbeats"]["message"]
    assert {name for name, count in swf.calls.items() if count != before.get(name)} == LOOK_UPS
    kinds = [event["eventType"] for event in scheduled.history()]
    assert kinds[-1] == "ActivityTaskScheduled"
    scheduled.request_cancel()


def test_the_fleets_size_beats_the_processes(swf, checked):
    at = ["--endpoint-url", swf.endpoint_url]
    _, found = checked(WORKER, *at, "--processes", "3", "--fleet-size", "300")
    assert found["quota", "heartbeats"]["level"] == "warning"


def test_flags_of_run_are_honoured(swf, checked, monkeypatch):
    monkeypatch.setenv("SWF_WORKER_MAX_CONCURRENT_ACTIVITIES", "2")
    _, found = checked(WORKER, "--endpoint-url", swf.endpoint_url, "--task-list", "others")
    assert "2 slots" in found["pool", "deploys/others"]["message"]
    assert found["task list", "deploys/files"]["level"] == "warning"  # Archive's default


def test_types_that_drifted_are_missing_or_deprecated(swf, checked):
    client = swf.client()
    client.register_activity_type(domain="deploys", name="Old", version="1")
    client.deprecate_activity_type(domain="deploys", activityType={"name": "Old", "version": "1"})
    targets = [
        "tests.cli.before_deploy:drifted",
        "tests.cli.workers:Subclass",
        "tests.cli.before_deploy:others",
    ]
    at = ["--endpoint-url", swf.endpoint_url, "--domain", "deploys", "--task-list", "files"]
    code, found = checked(*targets, *at)
    assert code == 1
    assert found["type", "Archive/1.0"]["level"] == "warning"
    assert found["type", "Archive/1.0"]["message"] == (
        "heartbeat_timeout is registered as 30, the code says 60"
    )
    assert found["type", "Quick/1"]["level"] == "error"
    assert found["type", "Quick/1"]["fix"] == f"swf-worker register {' '.join(targets)}"
    assert found["type", "Old/1"]["level"] == "warning"
    assert found["type", "Bare/2"]["level"] == "ok"
    # A third of the code's 60 s, against the 30 s that SWF has.
    assert found["heartbeat", "Archive/1.0"]["level"] == "warning"


def test_a_domain_that_is_missing_or_deprecated(swf, checked):
    at = ["--endpoint-url", swf.endpoint_url]
    code, found = checked(WORKER, *at, "--domain", "nowhere")
    assert code == 1
    domain = found["domain", "nowhere"]
    assert domain["level"] == "error"
    assert f"swf-worker register {WORKER} --create-domain" in domain["fix"]
    client = swf.client()
    client.register_domain(name="old", workflowExecutionRetentionPeriodInDays="1")
    client.deprecate_domain(name="old")
    code, found = checked(WORKER, *at, "--domain", "old")
    assert code == 1
    assert "undeprecate-domain --name old" in found["domain", "old"]["fix"]


def test_a_denied_look_up_tells_what_is_lost_and_is_no_error(swf, checked):
    swf.set_faults([Fault(name, FaultKind.DENIED) for name in LOOK_UPS])
    code, found = checked(WORKER, "--endpoint-url", swf.endpoint_url)
    assert code == 0
    assert found["domain", "deploys"]["level"] == "unknown"
    assert found["permission", "swf:DescribeActivityType"]["level"] == "warning"
    assert found["heartbeat", "Bare/2"]["level"] == "warning"
    assert found["heartbeat", "Archive/1.0"]["level"] == "ok"


@pytest.mark.parametrize(
    ("kind", "where"), [(FaultKind.EXPIRED, "credentials"), (FaultKind.SKEWED, "clock")]
)
def test_what_swf_has_against_the_credentials_or_the_clock(swf, checked, kind, where):
    """The unsigned call is refused, too: that it is says nothing."""
    swf.set_faults([Fault(name, kind) for name in LOOK_UPS])
    code, found = checked(WORKER, "--endpoint-url", swf.endpoint_url)
    assert code == 1
    errors = [check for (check, _), level in levels(found).items() if level == "error"]
    assert errors == [where]
    assert "not checked" in found["domain", "deploys"]["message"]


def test_a_call_that_is_throttled_is_made_again(swf, checked):
    swf.set_faults([Fault(name, FaultKind.THROTTLED, calls=[1, 2]) for name in LOOK_UPS])
    code, found = checked(WORKER, "--endpoint-url", swf.endpoint_url)
    assert code == 0
    assert [check for check, _ in levels(found)] == ["permission"]


def test_the_date_of_the_answer_is_compared(checked):
    date = formatdate(time.time() - 400, usegmt=True).encode()
    with_date = b"Date: " + date + b"\r\nContent-Length"
    missing = wire.fault("UnknownResourceFault", "Unknown domain: deploys")
    script = {name: [missing.replace(b"Content-Length", with_date)] for name in LOOK_UPS}
    with wire.Wire(**script) as service:
        code, found = checked(WORKER, "--endpoint-url", service.url)
    assert code == 1
    assert found["clock", ""]["level"] == "error"
    assert re.match(r"40\d s ahead of", found["clock", ""]["message"])


def test_what_no_aws_answers_is_no_endpoint(checked):
    page = wire.http(403, "a proxy's page", request_id=False)
    with wire.Wire(**{name: [page] for name in LOOK_UPS}) as service:
        url = service.url
        code, found = checked(WORKER, "--endpoint-url", url)
    assert code == 1
    assert "not from AWS" in found["endpoint", url]["message"]
    assert found["domain", "deploys"]["message"] == "not checked: the endpoint can't be reached"


def test_an_answer_that_only_signed_calls_get_is_an_answer(checked):
    """What the service says to a call without a signature is not known for each version of it."""
    unlike = wire.http(403, "Forbidden", request_id=False)
    there = wire.http(200, {"domainInfo": {"name": "deploys", "status": "REGISTERED"}})

    def reply(connection):
        signed = "authorization" in service.requests[-1].headers
        connection.sendall(there if signed else unlike)

    script = {
        "DescribeDomain": [reply],
        "CountPendingActivityTasks": [wire.http(200, {"count": 0})],
        "DescribeActivityType": [wire.http(200, {"typeInfo": {}, "configuration": {}})],
    }
    with wire.Wire(**script) as service:
        url = service.url
        code, found = checked(WORKER, "--endpoint-url", url)
    assert code == 0
    assert found["endpoint", url]["level"] == "ok"
    assert found["domain", "deploys"]["level"] == "ok"


def test_a_certificate_that_nobody_vouches_for(checked, tmp_path):
    folder = make_certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            with suppress(OSError):
                while True:
                    plain, _ = listener.accept()
                    with plain, suppress(OSError):
                        context.wrap_socket(plain, server_side=True).close()

        thread = threading.Thread(target=serve)
        thread.start()
        url = f"https://127.0.0.1:{listener.getsockname()[1]}"
        code, found = checked(WORKER, "--endpoint-url", url)
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
    assert code == 1
    assert "CERTIFICATE_VERIFY_FAILED" in found["endpoint", url]["message"]
    assert "AWS_CA_BUNDLE" in found["endpoint", url]["fix"]


CALLER = """<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
<GetCallerIdentityResult><Arn>arn:aws:sts::123456789012:assumed-role/fleet/i-1</Arn>
<UserId>U</UserId><Account>123456789012</Account></GetCallerIdentityResult>
<ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></GetCallerIdentityResponse>"""
NOT_YOU = """<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error>
<Type>Sender</Type><Code>AccessDenied</Code><Message>not you</Message></Error>
<RequestId>r</RequestId></ErrorResponse>"""


@contextmanager
def sts(status, body):
    class Answers(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("status", "body", "level", "says"),
    [
        (200, CALLER, "ok", "arn:aws:sts::123456789012:assumed-role/fleet/i-1"),
        (403, NOT_YOU, "unknown", "not you"),
    ],
)
def test_sts_tells_whose_they_are_and_is_never_needed(
    swf, checked, monkeypatch, status, body, level, says
):
    with sts(status, body) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", url)
        code, found = checked(WORKER, "--endpoint-url", swf.endpoint_url)
    assert code == 0
    assert found["caller", ""]["level"] == level
    assert says in found["caller", ""]["message"]


def test_text_is_a_line_each_and_a_sum(swf, capsys):
    assert main(["check", WORKER, "--endpoint-url", swf.endpoint_url]) == 0
    told = capsys.readouterr()
    *lines, total = told.out.splitlines()
    assert {line.split()[0] for line in lines} == {"ok", "unknown"}
    assert total == f"1 unknown, {len(lines) - 1} ok"
    assert "Traceback" not in told.err


def test_what_a_module_prints_does_not_spoil_the_document(swf, monkeypatch, capsys):
    monkeypatch.delitem(sys.modules, HERE)  # it is imported anew
    assert main(["check", WORKER, "--endpoint-url", swf.endpoint_url, "--format", "json"]) == 0
    told = capsys.readouterr()
    assert json.loads(told.out)
    assert "a module may print" in told.err


def test_each_check_is_on_the_page(swf, checked):
    page = (Path(__file__).parents[2] / "docs" / "before-deploy.md").read_text()
    rows = set(re.findall(r"^\| `([a-z ]+)` \|", page, re.M))
    _, found = checked(f"{HERE}:limited", "--endpoint-url", swf.endpoint_url)
    assert {check for check, _ in found} == rows - {"ok", "warning", "error", "unknown"} - REGISTER


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["tests.cli.before_deploy:wroker"], "did you mean worker?"),
        ([WORKER, "--fleet-size", "0"], "--fleet-size is 0"),
        ([WORKER, "--format", "xml"], "allowed are text, json"),
        ([WORKER, "--region", ""], "region"),
    ],
)
def test_what_the_command_line_gets_wrong_is_exit_2(arguments, says, capsys):
    assert main(["check", *arguments]) == 2
    assert says in capsys.readouterr().err


def test_an_answer_that_never_comes_is_not_waited_for():
    never = threading.Event()
    answers = asking.side_by_side(
        {(1, "quick", None): lambda: 5, (1, "never", None): never.wait}, 0.1
    )
    assert answers[1, "quick", None] == 5
    assert str(answers[1, "never", None]) == "never: no answer within 0.1 s"
    never.set()


NO_WAITING = "no region, no credentials"
KEYS = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y"}


def by_process(tmp_path, silent, no_syn, silent_later):
    """What can't work: flags, variables, and the errors that are told."""
    config = tmp_path / "config"
    config.write_text("[default]\ncredential_process = sleep 30\n")
    slow = {"AWS_CONFIG_FILE": str(config), "AWS_DEFAULT_REGION": "us-east-1"}
    away = ["--endpoint-url", "http://nowhere.invalid"]
    return {
        NO_WAITING: ([], {}, ["credentials", "region"]),
        "a mistyped region": (["--region", "us-esat-1"], KEYS, ["region", "endpoint"]),
        "no credentials": (["--region", "us-east-1"], {}, ["credentials", "endpoint"]),
        "no such profile": ([], {"AWS_PROFILE": "nobody"}, ["credentials"]),
        "a provider that hangs": (away, slow, ["credentials", "endpoint"]),
        "silence": (["--endpoint-url", silent], KEYS, ["endpoint"]),
        "silent TLS": (["--endpoint-url", silent.replace("http:", "https:")], KEYS, ["endpoint"]),
        "nobody listens": (["--endpoint-url", no_syn], KEYS, ["endpoint"]),
        "silence, later": (["--endpoint-url", silent_later], KEYS, []),
    }


WAITING = 10.0
"""Seconds; what is left of the 15 is to start and to end in."""
SIDE_BY_SIDE = """
import json, os, sys, time
import boto3
import swf_worker.worker
from swf_worker.cli.main import main
from swf_worker.cli.registering import Kind

running = {}
for name, (arguments, environment, out) in json.load(sys.stdin).items():
    began, pid = time.monotonic(), os.fork()
    if not pid:
        os.environ.update(environment)
        os.dup2(os.open(out, os.O_WRONLY | os.O_CREAT), 1)
        os.dup2(1, 2)
        sys.exit(main(["check", *arguments]))
    running[pid] = name, began
ended = {}
while running:
    pid, status = os.wait()
    name, began = running.pop(pid)
    ended[name] = os.waitstatus_to_exitcode(status), time.monotonic() - began
print(json.dumps(ended))
"""


def test_what_can_not_work_is_a_line_with_its_fix_within_15_seconds(tmp_path):
    """Processes of their own, but for the imports; side by side: they wait, most of their time."""
    with ExitStack() as stack:
        silent = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        silent_url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        stack.enter_context(dead("127.0.0.9", 9341))
        greeted = wire.fault("MissingAuthenticationTokenException")
        script = dict.fromkeys(LOOK_UPS, (wire.silence,)) | {
            "DescribeDomain": (greeted, wire.silence)
        }
        later = stack.enter_context(wire.Wire(**script))
        cases = by_process(tmp_path, silent_url, "http://127.0.0.9:9341", later.url)
        given = {
            name: ([WORKER, *flags], env, str(tmp_path / name))
            for name, (flags, env, _) in cases.items()
        }
        done = subprocess.run(
            [sys.executable, "-c", SIDE_BY_SIDE],
            input=json.dumps(given),
            env=environment(HOME="/nonexistent"),
            stdout=subprocess.PIPE,
            text=True,
            timeout=50,
            check=True,
        )
    ended = json.loads(done.stdout)
    for name, (code, took) in ended.items():
        told = (tmp_path / name).read_text()
        errors = [line for line in told.splitlines() if line.startswith("error")]
        assert [line.split()[1] for line in errors] == cases[name][2], f"{name}: {told}"
        assert all(" Fix: " in line for line in errors)
        assert "Traceback" not in told
        assert code == bool(errors)
        busy = ended[NO_WAITING][1]  # it waits for nothing
        assert took - busy < WAITING, f"{name}: {took:.1f} s, {busy:.1f} s of them the machine's"
