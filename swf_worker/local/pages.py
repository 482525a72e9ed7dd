"""Pages: the tokens that continue a listing. They carry what they continue, signed, so that nothing
has to be remembered; one that was made up, or made for something else, is no token."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from base64 import b64decode, b64encode
from collections.abc import Callable
from typing import Any

from . import faults

LIFETIME = 86_400.0
_LENGTH = 675  # makes 900 characters, as on SWF
_SIGNATURE = 32


class PageTokens:
    """Makes and reads tokens."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._key = os.urandom(32)

    def make(self, subject: str, *position: Any) -> str:
        """A token for what comes next in a listing. The subject is all that a later call has to
        repeat."""
        content = json.dumps([self._now(), *position]).encode().ljust(_LENGTH - _SIGNATURE)
        return b64encode(self._sign(subject, content) + content).decode()

    def read(self, token: str, subject: str) -> list[Any]:
        """The position. SWF's faults for what is no token of this subject, and for an old one."""
        try:
            whole = b64decode(token, validate=True)
        except ValueError:
            raise faults.invalid_token() from None
        signature, content = whole[:_SIGNATURE], whole[_SIGNATURE:]
        if not hmac.compare_digest(signature, self._sign(subject, content)):
            raise faults.invalid_token()
        made, *position = json.loads(content)
        if self._now() >= made + LIFETIME:
            raise faults.page_token_expired()
        return position

    def _sign(self, subject: str, content: bytes) -> bytes:
        told = hashlib.sha256(subject.encode("utf-8", "surrogatepass")).digest()
        return hmac.digest(self._key, told + content, hashlib.sha256)
