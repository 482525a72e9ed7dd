"""Codecs that need nobody else: compressed, encrypted, and several after one another."""

from __future__ import annotations

import base64
import gzip
import pickle
import subprocess
import sys
import tracemalloc
import zlib

import pytest
from cryptography.fernet import Fernet
from hypothesis import given, settings
from hypothesis import strategies as st

from swf_worker import CodecError, ConfigurationError
from swf_worker.codecs import EncryptionCodec, GzipCodec, S3Codec
from swf_worker.codecs.chain import apply, unapply
from swf_worker.text import utf16_units

KEY, OLD_KEY = (base64.urlsafe_b64encode(bytes([each] * 32)).decode() for each in (1, 2))
GZIP = GzipCodec()
ENCRYPTION = EncryptionCodec([KEY])
NOWHERE = S3Codec("nowhere", above=32_768)
"""Asks nobody: nothing here is that long."""
CHAINS = {
    "gzip": (GZIP,),
    "encryption": (ENCRYPTION,),
    "s3": (NOWHERE,),
    "gzip, encryption": (GZIP, ENCRYPTION),
    "encryption, gzip": (ENCRYPTION, GZIP),
    "all": (GZIP, ENCRYPTION, NOWHERE),
    "twice": (GZIP, GZIP, ENCRYPTION, ENCRYPTION, NOWHERE, NOWHERE),
}
MARKS = ["swf-worker:", "swf-worker:gzip:", "swf-worker:fernet:1:", "swf-worker:s3:1:", "=", "2:"]
unhurried = settings(deadline=None)  # other tests run beside
text = st.text(st.characters(exclude_categories=("Cs",)), max_size=300)
marked = st.lists(st.sampled_from(MARKS) | text, max_size=4).map("".join)
texts = text | marked | st.integers(1, 2000).map(lambda n: "prose " * n)


@pytest.mark.parametrize("codecs", CHAINS.values(), ids=CHAINS)
@unhurried
@given(text=texts)
def test_every_text_comes_back_as_it_was(codecs, text):
    assert unapply(codecs, apply(codecs, text)) == text


@pytest.mark.parametrize("codecs", CHAINS.values(), ids=CHAINS)
@unhurried
@given(text=text.filter(lambda text: not text.startswith("swf-worker:")))
def test_what_no_codec_wrote_is_left_as_it_is(codecs, text):
    assert unapply(codecs, text) == text


@pytest.mark.parametrize(
    "text", ["swf-worker:", "swf-worker:gzip:", "swf-worker:gzip:hello", "swf-worker:gzip:01:x"]
)
def test_what_merely_looks_like_ours_is_left_as_it_is(text):
    assert unapply(CHAINS["all"], text) == text


@pytest.mark.parametrize("kind", ["gzip", "fernet", "s3"])
def test_a_version_that_is_not_known_is_refused(kind):
    with pytest.raises(CodecError, match=f"another version of the {kind} codec"):
        unapply(CHAINS["all"], f"swf-worker:{kind}:2:anything")


@pytest.mark.parametrize("codec", [GZIP, ENCRYPTION, NOWHERE], ids=repr)
def test_a_lone_surrogate_is_refused(codec):
    with pytest.raises(CodecError, match="lone surrogate") as caught:
        codec.encode("secret \ud800")
    assert caught.value.__context__ is None, "it has the text"
    assert not caught.value.may_pass
    assert codec.decode("\udfff") == "\udfff", "not ours"


# --- gzip ---------------------------------------------------------------------------------------


def test_a_compressed_text_can_be_read_by_anybody():
    prose = "prose, and é and 😀 " * 500
    mark, _, body = GZIP.encode(prose).rpartition(":")
    assert mark == "swf-worker:gzip:1"
    assert gzip.decompress(base64.b64decode(body)).decode() == prose


@unhurried
@given(text=texts)
def test_a_text_hardly_becomes_longer_and_always_the_same(text):
    once = GZIP.encode(text)
    assert once == GzipCodec().encode(text)
    assert utf16_units(once) <= utf16_units(text) + len("swf-worker:gzip:1:=")


def packed(data: bytes) -> str:
    return "swf-worker:gzip:1:" + base64.b64encode(data).decode()


@pytest.mark.parametrize("size", [1_000_001, 300_000_000])
def test_a_bomb_is_refused_and_not_unpacked(size):
    deflate = zlib.compressobj(9, zlib.DEFLATED, 31)
    rounds, rest = divmod(size, 1_000_000)
    bomb = b"".join(deflate.compress(bytes(1_000_000)) for _ in range(rounds))
    text = packed(bomb + deflate.compress(bytes(rest)) + deflate.flush())
    tracemalloc.start()
    try:
        with pytest.raises(CodecError, match="more than 1,000,000 bytes"):
            GzipCodec(limit=1_000_000).decode(text)
        assert tracemalloc.get_traced_memory()[1] < 4_000_000
    finally:
        tracemalloc.stop()


def test_the_limit_is_of_bytes_both_ways_and_can_be_reached():
    codec = GzipCodec(limit=1_000)
    assert codec.decode(codec.encode("é" * 500)) == "é" * 500
    with pytest.raises(CodecError, match=r"1,002 bytes; GzipCodec takes 1,000"):
        codec.encode("é" * 501)


ZIPPED = gzip.compress(b"some text" * 20, mtime=0)


@pytest.mark.parametrize(
    "text",
    [
        "swf-worker:gzip:1:",
        "swf-worker:gzip:1:no base64",
        "swf-worker:gzip:1:é",
        packed(b"no gzip"),
        packed(ZIPPED[:-1]),
        packed(ZIPPED[:20]),
        packed(ZIPPED + b"more"),
        packed(ZIPPED + ZIPPED),
        packed(ZIPPED[:-6] + b"\0" * 6),
        packed(gzip.compress(b"\xff\xfe", mtime=0)),
        packed(ZIPPED)[:-30],
    ],
)
def test_what_is_damaged_is_refused(text):
    with pytest.raises(CodecError, match="damaged or cut") as caught:
        GZIP.decode(text)
    assert not caught.value.may_pass
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    "options", [{"level": 10}, {"level": 0}, {"level": "6"}, {"limit": 0}, {"limit": True}]
)
def test_what_gzip_can_not_do_is_refused_at_once(options):
    with pytest.raises(ConfigurationError, match="a whole number from"):
        GzipCodec(**options)


# --- encryption ---------------------------------------------------------------------------------


def test_what_is_encrypted_is_a_fernet_token():
    mark, _, token = ENCRYPTION.encode("naïve").rpartition(":")
    assert mark == "swf-worker:fernet:1"
    assert Fernet(KEY).decrypt(token).decode() == "naïve"


def test_keys_are_rotated():
    before, both = EncryptionCodec([OLD_KEY]), EncryptionCodec([KEY, OLD_KEY.encode()])
    after = EncryptionCodec([KEY])
    assert both.decode(before.encode("old")) == "old"
    assert after.decode(both.encode("new")) == "new"
    with pytest.raises(CodecError, match="can't be decrypted"):
        after.decode(before.encode("old"))


@unhurried
@given(text=texts, at=st.integers(0), to=st.characters())
def test_whatever_is_changed_is_refused(text, at, to):
    mark = "swf-worker:fernet:1:"
    token = ENCRYPTION.encode(text).removeprefix(mark)
    at %= len(token.rstrip("=")) - 1  # the last one has bits that mean nothing
    changed = token[:at] + to + token[at + 1 :]
    if changed == token:
        return
    with pytest.raises(CodecError, match="can't be decrypted"):
        ENCRYPTION.decode(mark + changed)


@pytest.mark.parametrize("codec", [GZIP, ENCRYPTION, S3Codec("bucket")], ids=repr)
def test_codecs_can_be_taken_along_to_other_processes(codec):
    copy = pickle.loads(pickle.dumps(codec))
    assert copy.decode(codec.encode("text")) == "text"
    assert repr(copy) == repr(codec)


SHORT_KEY = base64.urlsafe_b64encode(b"only-thirty-one-bytes-long-here").decode()


@pytest.mark.parametrize("wrong", ["", "Passw0rd!", "pässword", SHORT_KEY, b"\xff" * 32, 5, None])
def test_a_key_that_is_none_is_not_quoted(wrong):
    with pytest.raises(ConfigurationError) as caught:
        EncryptionCodec([KEY, wrong])
    assert str(caught.value).startswith("EncryptionCodec: keys[1] is no key: it must be 32 bytes")
    assert caught.value.__context__ is None
    assert not wrong or str(wrong) not in str(caught.value)


@pytest.mark.parametrize("keys", [KEY, KEY.encode(), None, [], 5])
def test_keys_are_a_list(keys):
    with pytest.raises(ConfigurationError, match="keys (must be a list|is empty)") as caught:
        EncryptionCodec(keys)
    assert KEY not in str(caught.value)


def test_without_cryptography_the_command_is_named():
    code = (
        "import sys; sys.modules['cryptography.fernet'] = None\n"
        "from swf_worker import ConfigurationError\n"
        "from swf_worker.codecs import EncryptionCodec\n"
        "try: EncryptionCodec(['secret'])\n"
        "except ConfigurationError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("EncryptionCodec needs ")
    assert "pip install" in done.stdout
    assert "secret" not in done.stdout + done.stderr


def test_nothing_is_imported_before_it_is_needed():
    code = (
        "import sys; from swf_worker.codecs import *; S3Codec('bucket').encode('short'); "
        "print({'boto3', 'botocore', 'cryptography'} & {n.split('.')[0] for n in sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
