"""Encrypted payloads."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..errors import CodecError, ConfigurationError
from ..extras import missing
from .marks import FERNET, from_utf8, utf8

if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet


class EncryptionCodec:
    """Fernet (AES-128-CBC, authenticated with HMAC-SHA256) of the package cryptography.

    It needs the extra ``[crypto]``. A text that isn't encrypted is read as it is, so that a
    worker can begin to encrypt while other programs don't yet: it keeps payloads secret, and
    doesn't prove who wrote them.
    """

    def __init__(self, keys: Iterable[str | bytes]) -> None:
        """``keys`` as ``Fernet.generate_key()`` makes them: the first encrypts, all decrypt. To
        rotate, put the new one last everywhere, then first, and take the old one off when no
        open workflow has a payload of it. ConfigurationError for what is no key, and where
        cryptography isn't installed."""
        self._keys = _checked(keys)
        self._fernet = _fernet(self._keys)

    def __repr__(self) -> str:
        return f"EncryptionCodec(<keys: {len(self._keys)}>)"

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self._keys,)  # handler processes get a copy

    def encode(self, text: str) -> str:
        """``text`` encrypted with the first key, marked. CodecError where it has a lone
        surrogate."""
        return FERNET.put_on(self._fernet.encrypt(utf8(text)).decode("ascii"))

    def decode(self, text: str) -> str:
        """What ``encode`` was given; a text without its mark as it is. CodecError where none of
        the keys opens it, or where it was changed: nobody can tell these apart."""
        body = FERNET.taken_off(text)
        if body is None:
            return text
        data = self._opened(body)
        found = None if data is None else from_utf8(data)
        if found is None:
            raise CodecError(
                f"the payload can't be decrypted: no key of EncryptionCodec's {len(self._keys)} is "
                "the one that it was encrypted with, or it was changed or cut"
            )
        return found

    def _opened(self, body: str) -> bytes | None:
        from cryptography.fernet import InvalidToken

        try:
            return self._fernet.decrypt(body.encode("ascii"))
        except (InvalidToken, UnicodeEncodeError):
            return None


def _checked(keys: object) -> tuple[str | bytes, ...]:
    # A string is a list of strings, too. Nothing of what is given here may be quoted.
    if isinstance(keys, (str, bytes)) or not isinstance(keys, Iterable):
        raise ConfigurationError("EncryptionCodec: keys must be a list of keys")
    found = tuple(keys)
    if not found:
        raise ConfigurationError("EncryptionCodec: keys is empty: one key at least is needed")
    return found


def _fernet(keys: tuple[str | bytes, ...]) -> MultiFernet:
    try:
        from cryptography.fernet import Fernet, MultiFernet
    except ImportError:
        raise ConfigurationError(missing("EncryptionCodec", "crypto")) from None
    each = []
    for key in keys:
        try:
            each.append(Fernet(key))
        except Exception:  # what Python says of a text that isn't base64 may quote it
            break
    if len(each) < len(keys):
        raise ConfigurationError(
            f"EncryptionCodec: keys[{len(each)}] is no key: it must be 32 bytes in URL-safe "
            "base64, as cryptography.fernet.Fernet.generate_key() makes them"
        )
    return MultiFernet(each)
