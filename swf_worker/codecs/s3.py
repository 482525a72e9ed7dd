"""Long payloads, kept in S3. It alone of the codecs knows boto3, and not before it has to."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import threading
import uuid
from contextlib import closing
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from ..checks import check_whole
from ..clock import now
from ..errors import CodecError, ConfigurationError
from ..outcome import MAX_PAYLOAD
from ..text import NOT_JSON, utf16_units
from .gzip import DEFAULT_LIMIT, MOST
from .marks import PLAIN, S3, from_utf8, utf8
from .s3_faults import fault_of

if TYPE_CHECKING:
    import boto3
    from botocore.config import Config

CONNECT_TIMEOUT = 3.0
READ_TIMEOUT = 10.0
"""Seconds of silence."""
ATTEMPTS = 3
BODY_WITHIN = 60.0
"""Seconds that all of an object may take to come."""
_CHUNK = 16 * 1024
"""Bytes. The clock is looked at between them: a server that trickles is never silent."""
_CONNECTIONS = 50
"""Kept open, at most: handlers of many threads use one client."""
_LONGEST_PREFIX = 512
"""Bytes. S3 takes 1,024 for a whole key."""


class _Reference(msgspec.Struct, frozen=True):
    """What stands for a payload that is in S3."""

    bucket: str
    key: Annotated[str, msgspec.Meta(pattern=r"^[^\x00]*[0-9a-f]{32}\Z")]
    bytes: Annotated[int, msgspec.Meta(ge=0)]
    sha256: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]

    @property
    def object(self) -> str:
        """The object's name for messages: of its key only what can be nothing else than ours."""
        return f"object …{self.key[-32:]}"


class _OfProcess:
    """The client of one process. A lock that is copied by a fork may be held for good, and a
    connection that is copied belongs to two."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.lock = threading.Lock()
        self.client: Any = None


class S3Codec:
    """Texts that are too long for SWF go to S3, and a reference to them on the wire.

    Each one is an object of its own, ``prefix`` and a random id. Not a hash of the content: two
    tasks never share an object, so that deleting one's payload takes nothing from another; an
    object's age is its payload's, by which a lifecycle rule can delete it; and a name tells nothing
    about what is in it. boto3's own retries write the same object again; an ``encode`` that is
    called again writes another one, and the first is left to the lifecycle rule.

    Reading needs ``s3:GetObject``, writing ``s3:PutObject``. A call ends within some tens of
    seconds, whatever S3 does.
    """

    def __init__(
        self,
        bucket: str,
        prefix: str = "",
        *,
        session: boto3.Session | None = None,
        above: int = 30_000,
        limit: int = DEFAULT_LIMIT,
        region_name: str | None = None,
        endpoint_url: str | None = None,
        client_config: Config | None = None,
    ) -> None:
        """``above``: UTF-16 units; a text with more goes to S3, 0 to 32,768. ``limit``: bytes of
        UTF-8 that one may have, 64 MiB; more is refused both ways. ``session`` is a boto3.Session,
        which can't be taken along to handler processes; without one, each process makes its own.
        ``region_name`` and ``endpoint_url`` as boto3 has them. ``client_config`` is a
        botocore.config.Config, which beats the timeouts (3 s to connect, 10 s of silence) and
        the attempts (3) of this codec. ConfigurationError for what can't be."""
        self.bucket = _checked_name("bucket", bucket)
        self.prefix = _checked_name("prefix", prefix, may_be_empty=True)
        check_whole("S3Codec: above", above, 0, MAX_PAYLOAD)
        check_whole("S3Codec: limit", limit, 1, MOST)
        self.above, self.limit = above, limit
        self._session = session
        self._reach = {"region_name": region_name, "endpoint_url": endpoint_url}
        self._config = client_config
        self._mine = _OfProcess()

    def __repr__(self) -> str:
        return f"S3Codec(bucket={self.bucket!r}, prefix={self.prefix!r}, above={self.above})"

    def __getstate__(self) -> dict[str, Any]:
        if self._session is not None:
            raise TypeError(
                "an S3Codec with a session of its own can't be pickled, and handler processes need "
                "it: leave session= out, and each process makes one"
            )
        return self.__dict__ | {"_mine": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ |= state | {"_mine": _OfProcess()}

    def encode(self, text: str) -> str:
        """``text`` as it is, or a reference to it. CodecError where it has a lone surrogate or is
        longer than ``limit``, and where S3 doesn't take it."""
        data = utf8(text)
        if utf16_units(text) <= self.above:
            # What looks like ours is marked, so that it isn't taken for a reference.
            return S3.put_on(PLAIN + text) if S3.may_be_on(text) else text
        if len(data) > self.limit:
            raise CodecError(
                f"the payload has {len(data):,} bytes; S3Codec takes {self.limit:,} (limit=)"
            )
        digest = hashlib.sha256(data)
        key = f"{self.prefix}{uuid.uuid4().hex}"
        self._put(key, data, digest.digest())
        reference = _Reference(self.bucket, key, len(data), digest.hexdigest())
        return S3.put_on(msgspec.json.encode(reference).decode())

    def decode(self, text: str) -> str:
        """What ``encode`` was given; a text without its mark as it is. CodecError for a reference
        that is damaged, into another bucket or to more than ``limit``, for an object that is
        missing or isn't the one that was written, and where S3 doesn't give it."""
        body = S3.taken_off(text)
        if body is None:
            return text
        if body.startswith(PLAIN):
            return body.removeprefix(PLAIN)
        reference = _read(body)
        if reference is None:
            raise CodecError("the payload is marked as a reference to S3, and is damaged or cut")
        if reference.bucket != self.bucket:
            # Whoever writes inputs could have this worker read whatever it may read.
            raise CodecError(
                "the payload is a reference into another bucket than S3Codec's, "
                f"{self.bucket!r}: refused"
            )
        if reference.bytes > self.limit:
            raise CodecError(
                f"the payload in S3 has {reference.bytes:,} bytes; S3Codec takes {self.limit:,} "
                "(limit=)"
            )
        data = self._fetched(reference)
        if len(data) != reference.bytes:
            raise _other_size(reference)
        found = from_utf8(data) if hashlib.sha256(data).hexdigest() == reference.sha256 else None
        if found is None:
            raise CodecError(f"{reference.object} is not what was written (its checksum): refused")
        return found

    def _put(self, key: str, data: bytes, digest: bytes) -> None:
        try:
            self._client().put_object(
                Bucket=self.bucket,
                Key=key,
                Body=data,
                ContentType="text/plain; charset=utf-8",
                ChecksumSHA256=base64.b64encode(digest).decode(),  # S3 refuses what came damaged
            )
            return
        except Exception as error:  # botocore's are many, and a session of the user's has its own
            fault = fault_of("PutObject", error)
        raise fault  # outside of the handler: botocore's errors hold the request, and its body

    def _fetched(self, reference: _Reference) -> bytes:
        """The object, at most a byte more than what was written."""
        until = now() + BODY_WITHIN
        for last in (False, True):  # botocore's retries end where a body begins
            try:
                answer = self._client().get_object(Bucket=self.bucket, Key=reference.key)
            except Exception as error:  # as above
                fault = fault_of("GetObject", error)
                break
            try:
                return _body(answer, reference, until)
            except CodecError:
                raise
            except Exception as error:  # as above, and urllib3's
                fault = fault_of("GetObject", error)
            if last or now() > until:
                break
        raise fault

    def _client(self) -> Any:
        """This process's client, made when it is first needed."""
        mine = self._mine
        if mine.pid != os.getpid():
            # After a fork. Two threads may both come here: then there are two clients, and one
            # goes soon.
            mine = self._mine = _OfProcess()
        with mine.lock:
            if mine.client is None:
                mine.client = self._made()
            return mine.client

    def _made(self) -> Any:
        import boto3
        from botocore.config import Config

        config = Config(
            connect_timeout=CONNECT_TIMEOUT,
            read_timeout=READ_TIMEOUT,
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
            max_pool_connections=_CONNECTIONS,
            # There is a checksum of our own, and not every store that speaks S3 knows botocore's.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
        if self._config is not None:
            config = config.merge(self._config)
        session: Any = self._session or boto3.Session()  # the default one isn't for threads
        return session.client("s3", config=config, **self._reach)


def _checked_name(what: str, value: object, *, may_be_empty: bool = False) -> str:
    if not isinstance(value, str) or not (value or may_be_empty):
        raise ConfigurationError(f"S3Codec: {what} is {value!r}: it must be a text")
    size = len(value.encode("utf-8", "replace"))
    if re.search(r"[\x00-\x1f\x7f\ud800-\udfff]", value) or size > _LONGEST_PREFIX:
        raise ConfigurationError(
            f"S3Codec: {what} must be at most {_LONGEST_PREFIX} bytes, with no control characters"
        )
    return value


def _body(answer: Any, reference: _Reference, until: float) -> bytes:
    with closing(answer["Body"]) as body:
        if answer.get("ContentLength", reference.bytes) != reference.bytes:
            raise _other_size(reference)
        found = bytearray()
        while len(found) <= reference.bytes:
            chunk = body.read(min(_CHUNK, reference.bytes + 1 - len(found)))
            if not chunk:
                break
            found += chunk
            if now() > until:
                raise CodecError(
                    f"S3 takes longer than {BODY_WITHIN:.0f} s to send {reference.object}",
                    may_pass=True,
                )
    return bytes(found)


def _other_size(reference: _Reference) -> CodecError:
    return CodecError(f"{reference.object} has another size than what was written: refused")


def _read(body: str) -> _Reference | None:
    try:
        return msgspec.json.decode(body, type=_Reference)
    except NOT_JSON:  # its message may quote what it read
        return None
