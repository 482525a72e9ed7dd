"""How a text says which codec wrote it: ``swf-worker:KIND:VERSION:`` and what that codec makes of
the rest.

Other programs write payloads too, older workers among them: what has no mark is nobody's, and is
left as it is. A version that this one doesn't know is refused: handed on, it would be taken for the
payload itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..errors import CodecError

_OURS = "swf-worker:"
PLAIN = "="
"""After a mark: the text follows as it is. (No base64 and no JSON begins with it.)"""


@dataclass(frozen=True, slots=True)
class Mark:
    """The mark of one codec."""

    kind: str
    version: int = 1

    def put_on(self, body: str) -> str:
        """``body`` with the mark before it."""
        return f"{_OURS}{self.kind}:{self.version}:{body}"

    def may_be_on(self, text: str) -> bool:
        """Whether ``text`` begins with this mark, of whatever version, or with something like
        it: written as it is, it might be taken for ours."""
        return text.startswith(f"{_OURS}{self.kind}:")

    def is_on(self, text: str) -> bool:
        """Whether the codec wrote ``text``, in a version that may not be known here."""
        return self.may_be_on(text) and self._version(text) is not None

    def taken_off(self, text: str) -> str | None:
        """What follows the mark, None where there is none; CodecError for a version that isn't
        known here."""
        version = self._version(text) if self.may_be_on(text) else None
        if version is None:
            return None
        if version != str(self.version):
            raise CodecError(
                f"the payload was written by another version of the {self.kind} codec; this one "
                f"reads version {self.version}: update swf_worker here"
            )
        return text[len(self.put_on("")) :]

    def _version(self, text: str) -> str | None:
        found = re.compile(r"([1-9][0-9]{0,5}):").match(text, len(f"{_OURS}{self.kind}:"))
        return found and found[1]


GZIP = Mark("gzip")
FERNET = Mark("fernet")
S3 = Mark("s3")


def utf8(text: str) -> bytes:
    """``text`` as codecs work on it; CodecError where it has a lone surrogate, which no UTF-8 can
    carry."""
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:  # it holds the text: it must not be the context of what is raised
        pass
    raise CodecError("the payload has a lone surrogate, which no UTF-8 can carry")


def from_utf8(data: bytes) -> str | None:
    """The text again, None where ``data`` is no UTF-8."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:  # it holds the data
        return None
