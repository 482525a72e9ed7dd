"""Each stage of a call in each kind of trouble, at each of a worker's moments: no task is lost, the
stop is in time, and what is told names the stage."""

from __future__ import annotations

import datetime
import http.client
import itertools
import re
import ssl
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from socket import SHUT_RDWR, create_server, gaierror, socket
from urllib.parse import urlsplit

import boto3
import botocore.session
import pytest
from botocore.credentials import RefreshableCredentials

from swf_worker import ActivityContext, activity
from swf_worker.local import Completed, LocalSwf
from swf_worker.observations import (
    AnswerRetried,
    CredentialsNotRefreshed,
    HeartbeatFailed,
    PollFailed,
    PollSucceeded,
    TaskEnded,
)
from swf_worker.service import addresses, connections, credentials
from tests.faults.conftest import wired
from tests.pairs import pairwise
from tests.tls import MAY_BE_RESET, make_certificate

pytestmark = MAY_BE_RESET

STAGES = ["refresh", "look-up", "connect", "TLS", "send", "answer"]
KINDS = ["slow", "hangs", "fails", "recovers"]
MOMENTS = ["poll", "beat", "answer", "stop"]
WAYS = [None, "boto3"]
WHOLE = list(itertools.product(STAGES, KINDS, MOMENTS, WAYS))
FEW = pairwise(STAGES, KINDS, MOMENTS, WAYS)
LASTS = 1.5
"""Seconds of trouble."""
CALLS = {"poll": "Poll", "beat": "Record", "answer": "Respond", "stop": ""}

NAMES = {
    "refresh": r"credentials|sick provider",
    "look-up": r"name",
    "connect": r"refused|timed out|time to connect",
    "TLS": r"TLS|SSL|time to connect",
    "send": r"(?i)no whole answer|reset|closed|aborted|valid response",
    "answer": r"(?i)no whole answer|reset|closed|aborted|valid response",
}
"""What a failed call may say. A connection that was kept ends when the trouble begins: that is told
as the network's, whatever the stage."""
KEPT = (
    r"(?i)connection was closed|reset|aborted|broken pipe|valid response|EOF|timed out"
    r"|time to connect"
)


class Trouble:
    """One stage of calls, in trouble for a while."""

    def __init__(self, stage, kind, calls):
        self.stage, self.kind, self.calls = stage, kind, calls
        self.on = False
        self.over = threading.Event()
        self.met = 0

    def begin(self):
        self.on = True
        timer = threading.Timer(LASTS, self.end)
        timer.daemon = True
        timer.start()

    def end(self):
        self.on = False
        self.over.set()

    def meet(self, stage, call=""):
        """A call is at that stage: wait, or be refused (False)."""
        if not self.on or stage != self.stage or not call.startswith(self.calls):
            return True
        self.met += 1
        match self.kind:
            case "slow":
                time.sleep(0.4)
            case "hangs":
                self.over.wait(30)
            case "fails":
                return False
            case "recovers":
                return self.met % 3 == 0
        return True


class Front:
    """TLS in front of a local SWF, one request at a time on each connection."""

    def __init__(self, folder, swf, trouble):
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
        self._behind = urlsplit(swf.endpoint_url).netloc
        self._trouble = trouble
        self._listener = create_server(("127.0.0.1", 0))
        self._kept = []
        self.port = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def cut(self):
        """End the connections there are."""
        kept, self._kept = self._kept, []
        for each in kept:
            with suppress(OSError):
                socket.shutdown(each, SHUT_RDWR)  # an SSLSocket's own would go on without TLS

    def close(self):
        with suppress(OSError):
            self._listener.shutdown(SHUT_RDWR)
        self._listener.close()
        self.cut()
        for thread in self._threads:
            thread.join(10)

    def _accept(self):
        with suppress(OSError):
            while True:
                plain, _ = self._listener.accept()
                self._kept.append(plain)
                thread = threading.Thread(target=self._serve, args=(plain,), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _serve(self, plain):
        behind = http.client.HTTPConnection(self._behind, timeout=30)
        with suppress(OSError, http.client.HTTPException), ExitStack() as stack:
            stack.enter_context(plain)
            if not self._trouble.meet("TLS"):
                return
            plain.settimeout(30)
            with self._context.wrap_socket(plain, server_side=True) as client:
                self._kept.append(client)
                stack.enter_context(stream := client.makefile("rb"))
                while request := _read(stream):
                    headers, body = request
                    call = headers["x-amz-target"].rpartition(".")[2]
                    if not self._trouble.meet("send", call):
                        break
                    behind.request("POST", "/", body, headers)
                    answer = behind.getresponse()
                    whole = answer.read()
                    if not self._trouble.meet("answer", call):
                        break
                    head = f"HTTP/1.1 {answer.status} X\r\nContent-Length: {len(whole)}\r\n"
                    kept = answer.getheader("x-amzn-requestid", "r")
                    client.sendall(f"{head}x-amzn-RequestId: {kept}\r\n\r\n".encode() + whole)
        behind.close()


def _read(stream):
    if not stream.readline():
        return None
    headers = {}
    while line := stream.readline().strip():
        name, _, value = line.decode().partition(":")
        headers[name.lower()] = value.strip()
    return headers, stream.read(int(headers["content-length"]))


def session_of(trouble):
    """Credentials that are always due, and long valid."""
    numbers = itertools.count()

    def refresh():
        if not trouble.meet("refresh"):
            raise RuntimeError("a sick provider")
        end = datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=12)
        return {
            "access_key": "x",
            "secret_key": "y",
            "token": str(next(numbers)),
            "expiry_time": end.isoformat(),
        }

    inner = botocore.session.Session()
    inner._credentials = RefreshableCredentials.create_from_metadata(refresh(), refresh, "test")
    return boto3.Session(botocore_session=inner, region_name="us-east-1")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_certificate(tmp_path_factory.mktemp("tls"))


@contextmanager
def troubled(monkeypatch, trouble):
    """Look-ups and connections of the process, where the trouble is theirs."""
    import socket as module

    real_lookup, real_connect = module.getaddrinfo, addresses._begun

    def look_up(host, port, *more, **kinds):
        if host != "swf.test":
            return real_lookup(host, port, *more, **kinds)
        if module.AI_NUMERICHOST in more:
            raise gaierror(module.EAI_NONAME, "no number")
        if not trouble.meet("look-up"):
            raise gaierror(module.EAI_AGAIN, "Temporary failure in name resolution")
        return [(module.AF_INET, module.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    def begun(*args):
        if not trouble.meet("connect"):
            raise ConnectionRefusedError(111, "Connection refused")
        return real_connect(*args)

    with monkeypatch.context() as patched:
        patched.setattr(module, "getaddrinfo", look_up)
        patched.setattr(addresses, "_begun", begun)
        patched.setattr(addresses, "FRESH", 0.0)
        patched.setattr(addresses, "PATIENCE", 0.2)
        patched.setattr(credentials, "LOOK", 0.1)
        patched.setattr(connections, "CONNECT_LIMIT", 1.0)
        addresses.NAMES.forget()
        yield
        trouble.end()
    addresses.NAMES.forget()


@pytest.mark.parametrize(
    ("stage", "kind", "moment", "way"),
    [pytest.param(*case, marks=() if case in FEW else pytest.mark.full) for case in WHOLE],
)
def test_a_stage_in_trouble(stage, kind, moment, way, folder, monkeypatch, recorder):
    monkeypatch.setenv("AWS_CA_BUNDLE", str(folder / "cert.pem"))
    monkeypatch.setenv("NO_PROXY", "*")
    trouble = Trouble(stage, kind, CALLS[moment])
    go_on = threading.Event()

    @activity(name="Work", version="1", heartbeat_interval=0.3)
    def work(context: ActivityContext) -> str:
        while not go_on.is_set() and not context.worker_stopping and not context.should_stop:
            context.wait_for_stop(0.02)
        return "done"

    with LocalSwf(poll_hold=0.2) as swf, troubled(monkeypatch, trouble):
        front = Front(folder, swf, trouble)
        worker = wired(
            f"https://swf.test:{front.port}",
            recorder,
            work,
            domain="faults",
            session=session_of(trouble),
            calls=way,
            max_concurrent_activities=2,
            drain_timeout=10,
            cancel_grace=1,
        )
        swf.register(worker)
        try:
            with worker:
                recorder.wait_for(PollSucceeded)
                run_through(moment, swf, worker, front, trouble, go_on)
        finally:
            trouble.end()
            front.close()
    (ended,) = recorder.of(TaskEnded)
    assert ended.disposition in ("accepted", "presumed_accepted")
    failures = [
        str(record.error)
        for kind in (HeartbeatFailed, PollFailed, AnswerRetried)
        for record in recorder.of(kind)
    ]
    failures += [f"credentials: {each.why}" for each in recorder.of(CredentialsNotRefreshed)]
    for said in failures:
        assert re.search(NAMES[stage], said) or re.search(KEPT, said), said
    if stage == "refresh":
        assert not recorder.of(HeartbeatFailed)
        assert not recorder.of(AnswerRetried)


def run_through(moment, swf, worker, front, trouble, go_on):
    def begin():
        trouble.begin()
        if trouble.stage in ("look-up", "connect", "TLS"):
            front.cut()  # it takes a new connection to meet it

    if moment == "poll":
        begin()
        trouble.over.wait(0.4)  # a poll that was cut has ended at the service by then, too
        if trouble.stage == "answer" and trouble.kind in ("fails", "recovers"):
            # A task that SWF has given to a poll whose answer is lost is lost, whoever polls.
            trouble.over.wait(10)
    scheduled = swf.schedule("Work", "1", domain="faults", task_list="t", heartbeat_timeout=20)
    scheduled.wait_for_heartbeats()
    if moment != "poll":
        begin()
    if moment in ("poll", "beat"):
        seen = scheduled.heartbeats
        trouble.over.wait(10)
        scheduled.wait_for_heartbeats(seen + 2)
    began = time.monotonic()
    if moment == "stop":
        assert worker.stop() == []
    go_on.set()
    assert scheduled.outcome() == Completed('"done"')
    assert worker.stop() == []
    assert time.monotonic() - began < 15, "the trouble and a moment"
