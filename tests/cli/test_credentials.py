"""Credentials that are slow, missing, refused or throttled, from providers that are real."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from swf_worker.local import Completed, LocalSwf
from tests.cli import workers
from tests.cli.test_run import ended, environment, running
from tests.conftest import eventually

TARGET = "tests.cli.workers:worker"
PROCESS = Path(__file__).with_name("credential_processes.py")


@pytest.fixture
def swf():
    with LocalSwf(poll_hold=0.3) as local:
        local.register(workers.worker)
        yield local


def profile(folder, *lines):
    """The environment with a profile of these lines."""
    (folder / "config").write_text("\n".join(["[profile worker]", "region = us-east-1", *lines]))
    return {"AWS_CONFIG_FILE": str(folder / "config"), "AWS_PROFILE": "worker"}


def web_identity(folder, token):
    return profile(
        folder,
        "role_arn = arn:aws:iam::123456789012:role/worker",
        f"web_identity_token_file = {token}",
    )


@pytest.fixture
def configured(tmp_path):
    """The environment with a ``credential_process`` of these words."""

    def configure(*words, command=f"{sys.executable} {PROCESS} {tmp_path}"):
        (tmp_path / "words").write_text(" ".join(words))
        return profile(tmp_path, f"credential_process = {command}")

    return configure


OFTEN = """
import sys
from swf_worker.service import credentials
credentials.LOOK = 0.5
from swf_worker.cli.main import main
sys.exit(main())
"""


@contextmanager
def often(swf, env):
    """A worker that looks after its credentials twice a second."""
    command = [sys.executable, "-c", OFTEN, "run", TARGET, "--endpoint-url", swf.endpoint_url]
    with subprocess.Popen(
        command, env=environment(**env), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def test_a_refresh_that_takes_long_holds_up_no_beat_and_no_stop(swf, configured, tmp_path):
    """The old ones are valid meanwhile. boto3#2258, airflow#27078."""
    with often(swf, configured("short", "slow30")) as process:
        scheduled = [swf.schedule("UntilStop", "1", heartbeat_timeout=2) for _ in range(4)]
        calls = tmp_path / "calls"
        assert eventually(lambda: calls.exists() and calls.read_text() == "xx", 20)
        began = time.monotonic()
        for each in scheduled:
            each.wait_for_heartbeats(5)
        process.terminate()
        code, _, err = ended(process)
        assert time.monotonic() - began < 12
    assert code == 0
    assert [each.outcome() for each in scheduled] == [Completed('"drained"')] * 4
    assert "Traceback" not in err


def test_a_first_one_that_takes_long_is_named_and_holds_up_no_stop(swf, configured):
    with running(TARGET, swf=swf, **configured("slow30")) as process:
        line = next(line for line in process.stderr if "credentials not refreshed" in line)
        assert "the provider has not answered" in line
        began = time.monotonic()
        process.terminate()
        _, err = process.communicate(timeout=20)
        assert time.monotonic() - began < 9
        assert '"task_may_be_lost": true' not in err, "nothing was sent"
    assert process.returncode == 0


def test_a_refresh_that_fails_is_told_with_its_provider_and_made_up_for(swf, configured):
    with often(swf, configured("short", "fails", "fails", "long")) as process:
        scheduled = swf.schedule("UntilStop", "1", heartbeat_timeout=2)
        line = next(line for line in process.stderr if "credentials not refreshed" in line)
        assert '"provider": "custom-process"' in line
        assert '"ended": false' in line
        assert next(line for line in process.stderr if "credentials refreshed" in line)
        process.terminate()
        process.communicate(timeout=20)
    assert process.returncode == 0
    assert scheduled.outcome() == Completed('"drained"')


# --- what can't get better ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (None, ["/nowhere/token", "No such file"]),
        ("missing", ["no-such-program"]),
        ("babbles", ["custom-process"]),
        ("fails", ["custom-process", "the vault is sealed"]),
    ],
)
def test_what_can_not_get_better_is_one_line_that_says_credentials(
    swf, configured, tmp_path, words, says
):
    """At start, within 10 s. awx#8966."""
    if words is None:
        env = web_identity(tmp_path, "/nowhere/token")
    elif words == "missing":
        env = configured(words, command="/nowhere/no-such-program")
    else:
        env = configured(words)
    began = time.monotonic()
    with running(TARGET, "--log-level", "error", swf=swf, **env) as process:
        code, _, err = ended(process)
    assert time.monotonic() - began < 10
    assert code == 1
    last = err.splitlines()[-1]
    assert last.startswith("swf-worker: PollForActivityTask")
    for part in ("no usable AWS credentials", *says):
        assert part in last


# --- what can -----------------------------------------------------------------------------------

ASSUMED = """<AssumeRoleWithWebIdentityResponse
 xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult><Credentials>
<AccessKeyId>key</AccessKeyId><SecretAccessKey>secret</SecretAccessKey>
<SessionToken>token</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>
</AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"""
REFUSED = """<ErrorResponse><Error><Type>Sender</Type><Code>{}</Code><Message>not now</Message>
</Error></ErrorResponse>"""


@contextmanager
def sts(answer):
    """STS, which says ``answer(number of the call)``: a status and a body."""
    calls = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            calls.append(1)
            status, body = answer(len(calls))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_): ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    ("status", "body", "flags"),
    [
        (400, REFUSED.format("Throttling"), []),
        (503, "<html>", []),
        (503, REFUSED.format("ServiceUnavailable"), ["--processes", "1"]),
    ],
)
def test_what_can_get_better_is_waited_out_loudly(swf, tmp_path, status, body, flags):
    """At start. datafusion-comet#6024."""
    (tmp_path / "token").write_text("a-token")
    with sts(lambda number: (status, body) if number <= 4 else (200, ASSUMED)) as url:
        env = web_identity(tmp_path, tmp_path / "token") | {
            "AWS_ENDPOINT_URL_STS": url,
            "AWS_MAX_ATTEMPTS": "2",  # of botocore itself, within a look
        }
        scheduled = swf.schedule("Quick", "1", 1)
        with running(TARGET, *flags, swf=swf, **env) as process:
            assert isinstance(scheduled.outcome(), Completed)
            process.terminate()
            code, _, err = ended(process)
    assert code == 0
    line = next(line for line in err.splitlines() if "credentials not refreshed" in line)
    assert '"provider": "assume-role-with-web-identity"' in line
    assert '"level": "error"' in line


def test_a_refusal_is_none_of_these(swf, tmp_path):
    (tmp_path / "token").write_text("a-token")
    with sts(lambda number: (403, REFUSED.format("AccessDenied"))) as url:
        env = web_identity(tmp_path, tmp_path / "token") | {
            "AWS_ENDPOINT_URL_STS": url,
        }
        with running(TARGET, "--log-level", "error", swf=swf, **env) as process:
            code, _, err = ended(process)
    assert code == 1
    assert "no usable AWS credentials" in err
    assert "AccessDenied" in err.splitlines()[-1]
