"""Compressed payloads."""

from __future__ import annotations

import base64
import zlib

from ..checks import check_whole
from ..errors import CodecError
from ..text import utf16_units
from .marks import GZIP, PLAIN, from_utf8, utf8

DEFAULT_LIMIT = 64 * 1024 * 1024
"""Bytes of UTF-8 that a payload may have, where a codec isn't told otherwise."""
MOST = 1024**4
"""The highest limit that may be set: no limit."""
_GZIP_FORMAT = 31  # zlib's wbits


class GzipCodec:
    """gzip, in base64, where that makes a text shorter; else the text as it is, after the mark.

    The same text always becomes the same (with one version of zlib).
    """

    def __init__(self, level: int = 6, *, limit: int = DEFAULT_LIMIT) -> None:
        """``level`` is gzip's, from 1 (fast) to 9 (short). ``limit``: bytes of UTF-8 that a text
        may have, 64 MiB; a longer one is refused both ways, and no more than that is ever
        decompressed. ConfigurationError for anything else."""
        check_whole("GzipCodec: level", level, 1, 9)
        check_whole("GzipCodec: limit", limit, 1, MOST)
        self.level, self.limit = level, limit

    def __repr__(self) -> str:
        return f"GzipCodec(level={self.level})"

    def encode(self, text: str) -> str:
        """``text``, marked. CodecError where it is longer than ``limit`` or has a lone
        surrogate."""
        data = utf8(text)
        if len(data) > self.limit:
            raise CodecError(
                f"the payload has {len(data):,} bytes; GzipCodec takes {self.limit:,} (limit=)"
            )
        packed = base64.b64encode(zlib.compress(data, self.level, _GZIP_FORMAT)).decode("ascii")
        # A short text would become longer, and readers of the history would see nothing of it.
        return GZIP.put_on(packed if len(packed) <= utf16_units(text) else PLAIN + text)

    def decode(self, text: str) -> str:
        """What ``encode`` was given; a text without its mark as it is. CodecError where the rest
        isn't whole, or becomes longer than ``limit``."""
        body = GZIP.taken_off(text)
        if body is None:
            return text
        if body.startswith(PLAIN):
            return body.removeprefix(PLAIN)
        data = self._unpacked(body)
        found = None if data is None else from_utf8(data)
        if found is None:
            raise CodecError("the payload is marked as compressed, and is damaged or cut")
        return found

    def _unpacked(self, body: str) -> bytes | None:
        """Decompressed; None where it is damaged."""
        unpacking = zlib.decompressobj(_GZIP_FORMAT)
        try:
            packed = base64.b64decode(body, validate=True)
            data = unpacking.decompress(packed, self.limit + 1)
        except (ValueError, zlib.error):
            return None
        if len(data) > self.limit:
            raise CodecError(
                f"the payload has more than {self.limit:,} bytes when it is decompressed: refused "
                "(limit= of GzipCodec)"
            )
        return data if unpacking.eof and not unpacking.unused_data else None
