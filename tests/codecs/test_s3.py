"""The codec that keeps long texts in S3, against a store on a socket."""

from __future__ import annotations

import json
import os
import pickle
import re
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor

import boto3
import pytest
from botocore.config import Config
from cryptography.fernet import Fernet
from hypothesis import HealthCheck, given, settings

from swf_worker import CodecError, ConfigurationError
from swf_worker.codecs import EncryptionCodec, GzipCodec, S3Codec, s3_faults
from swf_worker.codecs import s3 as module
from swf_worker.codecs.chain import apply, unapply
from tests.codecs.fake_s3 import (
    BUCKET,
    LONG,
    MARK,
    QUICK,
    breaks_off,
    hang,
    reference,
    says,
    trickles,
)
from tests.codecs.test_gzip_and_encryption import texts

# Older urllib3s leave a client's connections to the collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")


def test_a_long_text_is_an_object_and_a_reference(s3, store):
    codec = s3("in/")
    written = codec.encode(LONG)
    told = json.loads(written.removeprefix(MARK))
    assert re.fullmatch(r"in/[0-9a-f]{32}", told["key"])
    assert MARK + json.dumps(told, separators=(",", ":")) == written
    assert written == reference(key=told["key"]).replace(" ", "")
    assert store.objects == {f"{BUCKET}/{told['key']}": LONG.encode()}
    assert codec.decode(written) == LONG


@pytest.mark.parametrize("text", ["", "short", "é" * 30_000, "😀" * 15_000])
def test_what_is_short_enough_stays_as_it_is(s3, store, text):
    assert s3().encode(text) == text
    assert store.requests == []


def test_the_threshold_is_in_utf16_units(s3, store):
    assert s3(above=3).encode("😀😀").startswith(MARK)
    assert s3(above=4).encode("😀😀") == "😀😀"
    assert len(store.objects) == 1


def test_a_short_text_that_looks_like_a_reference_is_marked(s3, store):
    codec = s3()
    for text in (reference(), "swf-worker:s3:9:", "swf-worker:s3:"):
        assert codec.encode(text) == f"{MARK}={text}"
        assert codec.decode(f"{MARK}={text}") == text
    assert store.requests == []


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(text=texts)
def test_every_text_comes_back_as_it_was(eager, text):
    chain = (GzipCodec(), EncryptionCodec([Fernet.generate_key()]), eager)
    assert eager.decode(eager.encode(text)) == text
    assert unapply(chain, apply(chain, text)) == text


def test_an_encode_that_is_called_again_harms_nothing(s3, store):
    codec = s3()
    first, second = codec.encode(LONG), codec.encode(LONG)
    assert first != second
    assert codec.decode(first) == codec.decode(second) == LONG


def test_a_put_that_is_tried_again_is_one_object(s3, store):
    store.misbehave = [says(503, "SlowDown")]
    codec = s3()
    assert codec.decode(codec.encode(LONG)) == LONG
    assert [verb for verb, _ in store.requests] == ["PUT", "PUT", "GET"]
    assert len(store.objects) == 1


# --- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (reference(bucket="other"), "into another bucket than S3Codec's, 'payloads': refused"),
        (reference(bytes=64 * 1024 * 1024 + 1), r"S3Codec takes 67,108,864 \(limit=\)"),
        (reference(bytes=-1), "damaged or cut"),
        (reference(sha256="0" * 63), "damaged or cut"),
        (reference(sha256="0" * 64 + "\n"), "damaged or cut"),
        (reference(key="etc/passwd"), "damaged or cut"),
        (reference(key="in/" + "0" * 32 + "\n"), "damaged or cut"),
        (reference(key=5), "damaged or cut"),
        (reference()[:-5], "damaged or cut"),
        (MARK, "damaged or cut"),
        (MARK + "\ud800", "damaged or cut"),
        (MARK + "[" * 5_000, "damaged or cut"),
    ],
)
def test_a_reference_that_can_not_be_ours_is_not_followed(s3, store, text, says):
    with pytest.raises(CodecError, match=says) as caught:
        s3().decode(text)
    assert not caught.value.may_pass
    assert caught.value.__context__ is None
    assert store.requests == []


@pytest.mark.parametrize(
    ("there", "says"),
    [
        (LONG.encode()[:-1], "has another size"),
        (LONG.encode() + b"x", "has another size"),
        (b"", "has another size"),
        (b"L" + LONG.encode()[1:], r"not what was written \(its checksum\)"),
        (None, "GetObject: S3 answered 404 NoSuchKey: the object is missing"),
    ],
)
def test_an_object_that_is_not_the_one_is_refused(s3, store, there, says):
    if there is not None:
        store.objects[f"{BUCKET}/in/{'0' * 32}"] = there
    with pytest.raises(CodecError, match=says) as caught:
        s3().decode(reference())
    assert not caught.value.may_pass
    assert len(store.requests) == 1


def test_more_than_the_reference_says_is_never_held(s3, store):
    """Where the store doesn't tell how much there is."""

    def endless(request):
        request.send_response(200)
        request.end_headers()
        request.close_connection = True
        try:
            while True:
                request.wfile.write(bytes(65_536))
        except OSError:
            pass

    store.misbehave = [endless]
    with pytest.raises(CodecError, match="another size"):
        s3().decode(reference("short"))


def test_an_object_that_is_much_longer_is_not_waited_for(s3, store):
    def says_that_it_is_long(request):
        request.answer(200, length=10**12)
        hang(request)

    store.misbehave = [says_that_it_is_long]
    began = time.monotonic()
    with pytest.raises(CodecError, match="another size"):
        s3().decode(reference())
    assert time.monotonic() - began < 8, "its body was waited for"


def test_a_text_over_the_limit_is_not_sent(s3, store):
    with pytest.raises(CodecError, match=r"takes 40,000 \(limit=\)"):
        s3(limit=40_000).encode("x" * 40_001)
    assert store.requests == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"bucket": ""}, "bucket is ''"),
        ({"bucket": None}, "bucket is None"),
        ({"prefix": None}, "prefix is None"),
        ({"prefix": "x" * 513}, "prefix must be at most 512 bytes"),
        ({"prefix": "\n"}, "no control characters"),
        ({"prefix": "\ud800"}, "no control characters"),
        ({"above": 32_769}, "above is 32769: a whole number from 0 to 32,768"),
        ({"above": "5"}, "above is '5'"),
        ({"limit": 0}, "limit is 0"),
    ],
)
def test_what_can_not_be_is_refused_at_once(arguments, says):
    with pytest.raises(ConfigurationError, match=f"^S3Codec: .*{says}"):
        S3Codec(**{"bucket": "b"} | arguments)


# --- S3 that fails ------------------------------------------------------------------------------

GET, PUT = "GetObject", "PutObject"


def calls(codec):
    return {GET: lambda: codec.decode(reference()), PUT: lambda: codec.encode(LONG)}


@pytest.mark.parametrize("operation", [GET, PUT])
@pytest.mark.parametrize(
    ("answer", "passes", "says"),
    [
        (says(503, "SlowDown"), True, r"S3 answered 503 SlowDown: it may pass \(request REQUEST7"),
        (says(500, "InternalError"), True, "500 InternalError"),
        (says(502, ""), True, "S3 answered 502"),
        (says(429, "TooManyRequestsException"), True, "429"),
        (says(400, "ExpiredToken"), True, "400 ExpiredToken"),
        (says(403, "AccessDenied"), False, "403 AccessDenied: not permitted: s3:{} is needed"),
        (says(404, "NoSuchBucket"), False, "there is no such bucket"),
        (says(400, "InvalidArgument"), False, "S3 refuses it"),
        (hang, True, r"S3 can't be reached, or broke off \(ReadTimeoutError\)"),
        (lambda request: setattr(request, "close_connection", True), True, "ConnectionClosed"),
    ],
)
def test_a_fault_is_typed_and_says_whether_it_may_pass(s3, store, operation, answer, passes, says):
    store.misbehave = [answer] * 2
    patience = Config(read_timeout=0.3 if answer is hang else 10)
    codec = s3(client_config=QUICK.merge(patience))
    began = time.monotonic()
    with pytest.raises(CodecError, match=says.format(operation)) as caught:
        calls(codec)[operation]()
    assert caught.value.may_pass is passes
    assert str(caught.value).startswith(operation)
    assert caught.value.__context__ is None, "botocore's error has the request, and its body"
    assert time.monotonic() - began < 10
    assert len(store.requests) <= 2


def test_nobody_there(store, s3):
    codec = s3(endpoint_url="http://127.0.0.1:1")
    for call in calls(codec).values():
        with pytest.raises(CodecError, match="EndpointConnectionError") as caught:
            call()
        assert caught.value.may_pass


def test_no_credentials_do_not_pass(s3, monkeypatch, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with pytest.raises(
        CodecError, match=r"it failed on this side \(NoCredentialsError\)"
    ) as caught:
        s3().encode(LONG)
    assert not caught.value.may_pass


@pytest.mark.parametrize("times", [1, 2])
def test_a_body_that_breaks_off_is_fetched_once_more(s3, store, times):
    codec = s3()
    written = codec.encode(LONG)
    store.misbehave = [breaks_off] * times
    if times == 1:
        assert codec.decode(written) == LONG
    else:
        with pytest.raises(CodecError, match="broke off") as caught:
            codec.decode(written)
        assert caught.value.may_pass
    assert [verb for verb, _ in store.requests] == ["PUT", "GET", "GET"]


def test_a_body_that_trickles_ends_in_time(s3, store, monkeypatch):
    codec = s3()
    written = codec.encode(LONG)
    monkeypatch.setattr(module, "BODY_WITHIN", 0.1)
    store.misbehave = [trickles]
    with pytest.raises(CodecError, match="S3 takes longer than") as caught:
        codec.decode(written)
    assert caught.value.may_pass


def test_without_a_configuration_of_ones_own_there_are_limits(store):
    client = S3Codec(BUCKET)._client()
    config = client.meta.config
    assert (config.connect_timeout, config.read_timeout) == (3.0, 10.0)
    assert config.retries == {"mode": "standard", "total_max_attempts": 3}


def test_what_is_no_botocore_error_is_not_taken_for_one():
    assert s3_faults.fault_of(GET, ConnectionResetError("secret")).may_pass
    assert not s3_faults.fault_of(GET, ValueError("secret")).may_pass
    assert "secret" not in str(s3_faults.fault_of(GET, ValueError("secret")))


# --- threads and processes ----------------------------------------------------------------------


def test_threads_share_one_client(s3, store):
    codec = s3()
    with ThreadPoolExecutor(8) as threads:
        clients = set(threads.map(lambda _: id(codec._client()), range(8)))
        assert len(clients) == 1
        mine = [f"{number} {LONG}" for number in range(16)]
        assert list(threads.map(lambda text: codec.decode(codec.encode(text)), mine)) == mine


def test_a_copy_in_another_process_has_a_client_of_its_own(s3, store):
    codec = s3()
    written = codec.encode(LONG)
    copy = pickle.loads(pickle.dumps(codec))
    assert copy.decode(written) == LONG
    assert copy._client() is not codec._client()


def test_a_session_of_ones_own_is_used_and_not_taken_along(s3, store):
    session = boto3.Session("mine", "mine", region_name="eu-central-1")
    codec = s3(session=session)
    assert codec.decode(codec.encode(LONG)) == LONG
    assert codec._client().meta.region_name == "eu-central-1"
    with pytest.raises(TypeError, match="leave session= out"):
        pickle.dumps(codec)


def test_after_a_fork_neither_a_lock_nor_a_connection_is_shared(store):
    """The lock is held by a thread that the child doesn't have."""
    code = f"""
        import os, threading, warnings
        from botocore.config import Config
        from swf_worker.codecs import S3Codec

        warnings.simplefilter("ignore")
        codec = S3Codec({BUCKET!r}, endpoint_url={store.url!r}, client_config=Config(
            proxies={{}}, s3={{"addressing_style": "path"}}))
        written = codec.encode("x" * 40_000)
        held, leave = threading.Event(), threading.Event()

        def hold():
            with codec._mine.lock:
                held.set()
                leave.wait()

        threading.Thread(target=hold).start()
        held.wait()
        child = os.fork()
        if not child:
            os._exit(0 if codec.decode(written) == "x" * 40_000 else 1)
        _, status = os.waitpid(child, 0)
        leave.set()
        assert status == 0
        assert codec.decode(written) == "x" * 40_000
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=40,
        env=os.environ,
    )
    assert (done.returncode, done.stderr) == (0, "")
