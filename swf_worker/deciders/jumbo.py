"""simpleflow's jumbo fields: texts in S3, with ``simpleflow+s3://bucket/key size`` for each."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable
from typing import Any, TypeVar
from uuid import uuid4

from ..codecs.s3 import ATTEMPTS, CONNECT_TIMEOUT, READ_TIMEOUT
from ..codecs.s3_faults import fault_of
from ..errors import InputDecodeError

T = TypeVar("T")

PREFIX = "simpleflow+s3://"
LONGEST = 5 * 1024**2
"""The longest text of a jumbo field, in characters."""
_LONGEST_BYTES = 4 * LONGEST
_REFERENCE = re.compile(re.escape(PREFIX) + r"(?P<bucket>[^/\s]+)/(?P<key>\S+)\s+\d+\s*", re.ASCII)


class JumboBucket:
    """The one place whose jumbo fields are read and written: a bucket, or a folder of one.

    S3 is called with one client per process, made at the first call, and with the limits of an
    ``S3Codec``. What goes wrong there is a CodecError, which says whether it may pass.
    """

    def __init__(self, place: str, session: Any = None) -> None:
        self._bucket, _, folder = place.strip("/").partition("/")
        self._folder = f"{folder}/" if folder else ""
        self._session = session
        self._lock = threading.Lock()
        self._clients: dict[int, Any] = {}

    def get(self, reference: str) -> str:
        """The text that a reference stands for. InputDecodeError if it is none, or of another
        place, or there is no such field, or it is longer than simpleflow writes any."""
        found = _REFERENCE.fullmatch(reference)
        if found is None:
            raise InputDecodeError("the input begins as a jumbo field's reference, and is none")
        if found["bucket"] != self._bucket or not found["key"].startswith(self._folder):
            raise InputDecodeError("the input is a jumbo field outside of the jumbo_bucket")
        client = self._client()
        missing = client.exceptions.NoSuchKey

        def fetched() -> bytes | None:
            try:
                answer = client.get_object(Bucket=self._bucket, Key=found["key"])
            except missing:
                return None
            with answer["Body"] as body:
                content: bytes = body.read(_LONGEST_BYTES + 1)
            return content

        content = _called("GetObject", fetched)
        if content is None:
            raise InputDecodeError("the input is a jumbo field that isn't there")
        if len(content) > _LONGEST_BYTES:
            raise InputDecodeError("the input is a jumbo field longer than simpleflow's limit")
        try:
            return content.decode()
        except UnicodeDecodeError:
            raise InputDecodeError("the input is a jumbo field that is no text") from None

    def put(self, text: str) -> str:
        """Writes a field, and returns its reference."""
        key = f"{self._folder}{uuid4()}"
        client, body = self._client(), text.encode()
        _called("PutObject", lambda: client.put_object(Bucket=self._bucket, Key=key, Body=body))
        return f"{PREFIX}{self._bucket}/{key} {len(text)}"

    def _client(self) -> Any:
        process = os.getpid()
        with self._lock:  # a session makes one client at a time
            if process not in self._clients:
                import boto3  # only flows with jumbo fields need S3
                from botocore.config import Config

                session = self._session or boto3.Session()
                limits = Config(
                    connect_timeout=CONNECT_TIMEOUT,
                    read_timeout=READ_TIMEOUT,
                    retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
                )
                self._clients[process] = session.client("s3", config=limits)
            return self._clients[process]


def _called(operation: str, call: Callable[[], T]) -> T:
    try:
        return call()
    except Exception as error:
        fault = fault_of(operation, error)
    raise fault
