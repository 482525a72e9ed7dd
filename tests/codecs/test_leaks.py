"""Nothing that is planted in a payload, a key or the store is in what is raised."""

from __future__ import annotations

import json

import pytest
from cryptography.fernet import Fernet
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from swf_worker import CodecError, ConfigurationError
from swf_worker.codecs import EncryptionCodec, GzipCodec
from swf_worker.codecs.chain import apply, unapply
from tests.codecs.fake_s3 import BUCKET, MARK, reference


def everything(error):
    """What a log, or a tracker of errors, could show of it."""
    while error is not None:
        yield from (str(error), repr(error), *map(str, vars(error).values()))
        error = error.__cause__ or error.__context__


PLANTED = [
    *("other object", "bucket", "key", "digest", "damaged", "no gzip", "no token", "too long"),
    *("a surrogate", "echo", "another key", "no key"),
]


@pytest.mark.parametrize("where", PLANTED)
@settings(
    max_examples=10,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    secret=st.text("abcdefghijklmnopqrstuvwxyzé", min_size=12, max_size=30).map(
        "Pq {} and so on".format
    ),
    data=st.data(),
)
def test_nothing_planted_is_told(eager, store, where, secret, data):
    key = Fernet.generate_key().decode()
    codec = eager
    chain = (GzipCodec(limit=10_000), EncryptionCodec([key]), codec)

    status = data.draw(st.sampled_from([400, 403, 404, 418]))

    def echo(request):
        request.fault(status, secret, secret)

    def other_object(text):
        written = codec.encode(text)
        name = f"{BUCKET}/{json.loads(written.removeprefix(MARK))['key']}"
        store.objects[name] = data.draw(st.sampled_from([b"", (secret * 3).encode(), b"\xff"]))
        return written

    planted = {
        "other object": lambda: codec.decode(other_object(secret)),
        "bucket": lambda: codec.decode(reference(bucket=secret)),
        "key": lambda: codec.decode(reference(key=secret + "0" * 32, bytes=1)),
        "digest": lambda: codec.decode(reference(sha256=secret)),
        "damaged": lambda: unapply(chain, MARK + secret),
        "no gzip": lambda: unapply(chain, f"swf-worker:gzip:1:{secret}"),
        "no token": lambda: unapply(chain, f"swf-worker:fernet:1:{secret}"),
        "too long": lambda: apply(chain, secret * 1_000),
        "a surrogate": lambda: apply(chain, secret + "\ud800"),
        "echo": lambda: (store.misbehave.append(echo), codec.encode(secret)),
        "another key": lambda: EncryptionCodec([Fernet.generate_key()]).decode(
            EncryptionCodec([key]).encode(secret)
        ),
        "no key": lambda: EncryptionCodec([key, secret]),
    }
    assert sorted(planted) == sorted(PLANTED)
    with pytest.raises((CodecError, ConfigurationError)) as caught:
        planted[where]()
    store.misbehave.clear()
    for told in (*everything(caught.value), repr(chain)):
        assert secret not in told
        assert key not in told
