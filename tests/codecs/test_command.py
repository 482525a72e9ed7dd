"""``swf-worker payload decode``, as a process."""

from __future__ import annotations

import array
import fcntl
import json
import signal
import subprocess
import sys
import termios
from functools import partial

import pytest

from swf_worker.codecs import S3Codec
from swf_worker.codecs.chain import apply
from tests.codecs import targets
from tests.codecs.fake_s3 import BUCKET, QUICK
from tests.commands import environment, swf_worker
from tests.conftest import eventually

HERE = "tests.codecs.targets"
LONG = json.dumps({"pages": ["é and 😀"] * 9_000}, ensure_ascii=False)
SHORT = '{"price": 1.00, "big": 12345678901234567890123}'
GZIPPED = targets.gzip.encode(LONG)
ENCRYPTED = apply(targets.ALL[:2], SHORT)

# Older urllib3s leave a client's connections to the collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")


def decode(*arguments, stdin=b"", store=None, **variables):
    if store is not None:
        keys = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"}
        variables |= keys | {"TEST_S3": store.url, "AWS_DEFAULT_REGION": "us-east-1"}
    said = swf_worker("payload", "decode", *arguments, stdin=stdin, **variables)
    return said.code, said.out, said.err.splitlines()


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
@pytest.mark.parametrize("arguments", [[], ["-"]])
def test_what_is_compressed_is_read_from_stdin_and_json_is_indented(arguments, end):
    code, out, err = decode(*arguments, stdin=GZIPPED.encode() + end)
    assert code == 0
    assert json.loads(out) == json.loads(LONG)
    assert out.startswith('{\n  "pages": [\n    "é and 😀",\n')
    said = f"{len(GZIPPED):,} characters became"
    assert [line for line in err if line.startswith(f"undone: GzipCodec ({said}")] == err


def test_numbers_stay_as_they_were_written():
    _, out, _ = decode(SHORT)
    assert out == '{\n  "price": 1.00,\n  "big": 12345678901234567890123\n}\n'


@pytest.mark.parametrize("text", ["plain text, é", "{broken", "swf-worker:gzip:hello", ""])
def test_what_no_codec_wrote_is_printed_as_it_is(text):
    code, out, err = decode(text)
    assert (code, out) == (0, text + "\n")
    assert err == ["nothing to undo: no codec wrote it"]


@pytest.mark.parametrize(
    "target", ["ALL", "Worker", "Worker.codecs", "ENCRYPTED"], ids=lambda name: name
)
def test_codecs_are_those_of_a_list_or_of_a_worker(target):
    code, out, err = decode("--codecs", f"{HERE}:{target}", ENCRYPTED)
    assert (code, out) == (0, decode(SHORT)[1])
    assert [line.split(" (")[0] for line in err] == [
        "undone: EncryptionCodec",
        "undone: GzipCodec",
    ]


def test_the_variable_names_them_too():
    code, out, _ = decode(ENCRYPTED, SWF_WORKER_CODECS=f"{HERE}:ALL")
    assert (code, out) == (0, decode(SHORT)[1])


@pytest.fixture
def kept(store):
    """What stands for a long text in the store."""
    codec = S3Codec(BUCKET, above=0, endpoint_url=store.url, client_config=QUICK)
    return apply([targets.gzip, targets.encryption, codec], LONG)


def test_what_is_in_s3_is_fetched(store, kept):
    code, out, err = decode("--codecs", f"{HERE}:ALL", kept, store=store)
    assert code == 0
    assert json.loads(out) == json.loads(LONG)
    assert len(err) == 3


def test_an_object_that_is_gone_is_one_line(store, kept):
    store.objects.clear()
    code, out, err = decode("--codecs", f"{HERE}:ALL", kept, store=store)
    assert (code, out) == (1, "")
    assert err[0].startswith("swf-worker: GetObject: S3 answered 404 NoSuchKey")
    assert len(err) == 1


FOREIGN = {"bucket": "foreign", "key": "0" * 32, "bytes": 1, "sha256": "0" * 64}


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        ([ENCRYPTED], 1, "the payload is encrypted: --codecs MODULE:ATTRIBUTE must name"),
        (["swf-worker:s3:1:{}"], 1, "the payload is in S3: --codecs MODULE:ATTRIBUTE must name"),
        (["--codecs", f"{HERE}:OTHER", ENCRYPTED], 1, "the payload can't be decrypted"),
        (["--codecs", f"{HERE}:BREAKS", "secret"], 1, "Breaks.decode raised ValueError"),
        ([GZIPPED[:-9]], 1, "damaged or cut"),
        (["swf-worker:gzip:2:x"], 1, "another version of the gzip codec"),
        (
            ["--codecs", f"{HERE}:ALL", "swf-worker:s3:1:" + json.dumps(FOREIGN)],
            1,
            "into another bucket than S3Codec's, 'payloads': refused",
        ),
        (["--codecs", f"{HERE}:WRONG", "x"], 1, "is the class GzipCodec"),
        (["--codecs", HERE, "x"], 2, "is not MODULE:ATTRIBUTE"),
        (["--codecs", f"{HERE}:NONE", "x"], 2, "has no 'NONE'"),
        (["--codecs", f"{HERE}:KEY", "x"], 2, "is a str: a list of codecs, or a worker"),
        (["--codecs", f"{HERE}:Without", "x"], 2, "a list of codecs, or a worker that has some"),
        (["--codecs", "no.such.module:x", "x"], 2, "there is no module"),
        (["--codec", f"{HERE}:ALL", "x", "y"], 2, "unrecognized arguments: y"),
    ],
)
def test_what_can_not_be_read_is_one_line(arguments, code, says):
    exit_code, out, err = decode(*arguments)
    assert (exit_code, out) == (code, "")
    assert says in err[-1]
    assert err[-1].startswith("swf-worker: ")
    assert len(err) == 1
    assert "secret" not in err[-1]
    assert targets.KEY not in err[-1]


def test_codecs_in_another_order_are_told():
    code, out, err = decode("--codecs", f"{HERE}:BACKWARDS", ENCRYPTED)
    assert code == 0
    assert "in the worker's order?" in err[-1]
    assert out.startswith("swf-worker:gzip:1:")


def test_a_terminal_that_lacks_characters_gets_the_rest():
    said = partial(decode, "é 😀", PYTHONUTF8="0", PYTHONIOENCODING="ascii")
    assert said()[:2] == (0, "\\xe9 \\U0001f600\n")


def taken(pipe):
    """Whether its reader has taken all that was written."""
    waiting = array.array("i", [0])
    fcntl.ioctl(pipe, termios.FIONREAD, waiting)
    return not waiting[0]


def test_ctrl_c_while_it_waits_for_stdin_prints_nothing():
    with subprocess.Popen(
        [sys.executable, "-m", "swf_worker", "payload", "decode"],
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        process.stdin.write(GZIPPED[:2000].encode())
        process.stdin.flush()
        assert eventually(lambda: taken(process.stdin), 20)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (130, b"", b"")


def test_payload_alone_is_a_usage_error():
    done = subprocess.run(
        [sys.executable, "-m", "swf_worker", "payload"], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "the following arguments are required: ACTION" in done.stderr
