"""Fixtures of the codecs' tests."""

from __future__ import annotations

import gc
from contextlib import closing
from functools import partial

import pytest
from botocore.config import Config

from swf_worker.codecs import S3Codec
from tests.codecs.fake_s3 import BUCKET, QUICK, FakeS3


@pytest.fixture
def store(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "local")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "local")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with FakeS3() as fake:
        yield fake
        gc.collect()  # connections of codecs


@pytest.fixture
def s3(store):
    """Makes codecs for the store."""
    return partial(S3Codec, BUCKET, endpoint_url=store.url, client_config=QUICK)


@pytest.fixture
def eager(s3):
    """Nearly everything goes to the store, and at once or not at all."""
    once = Config(retries={"total_max_attempts": 1})
    codec = s3(above=20, limit=10_000_000, client_config=QUICK.merge(once))
    with closing(codec._client()):
        yield codec
