"""``swf-worker payload decode``: one payload of a history, as a person can read it."""

from __future__ import annotations

import argparse
import sys
from typing import Any

import msgspec

from ..codecs import Codec, EncryptionCodec, GzipCodec, S3Codec
from ..codecs.chain import checked, unapply
from ..codecs.marks import FERNET, GZIP, S3
from ..errors import CodecError
from ..exit_codes import ExitCode
from ..runtime.process.streams import make_standard_streams_safe
from ..runtime.until_stopped import loading
from ..text import NOT_JSON, utf16_units
from .imports import import_target
from .settings import UsageError

_LONGEST = 64 * 1024 * 1024
"""Bytes that are read from stdin."""
_NEEDS = {
    FERNET: (EncryptionCodec, "is encrypted"),
    S3: (S3Codec, "is in S3"),
}


def decode(given: argparse.Namespace) -> int:
    """Print it. CodecError where it can't be read, UsageError where --codecs names none."""
    make_standard_streams_safe()  # a payload may have characters that a terminal's encoding lacks
    codecs = () if given.codecs is None else _named(given.codecs)
    text = _undone(_stdin() if given.text == "-" else given.text, codecs)
    try:
        text = msgspec.json.format(text, indent=2)  # numbers stay as they are written
    except (*NOT_JSON, UnicodeEncodeError):
        pass
    print(text)
    return ExitCode.DONE


def _undone(text: str, codecs: tuple[Codec, ...]) -> str:
    if not any(isinstance(codec, GzipCodec) for codec in codecs):
        codecs = (GzipCodec(), *codecs)  # undone last: one compresses, and then encrypts
    undone = False
    for codec in reversed(codecs):
        before, text = text, _without(codec, text)
        if text != before:
            undone = True
            units = f"{utf16_units(before):,} characters became {utf16_units(text):,}"
            print(f"undone: {type(codec).__name__} ({units})", file=sys.stderr)
    for mark, (kind, what) in _NEEDS.items():
        if mark.is_on(text) and not any(isinstance(codec, kind) for codec in codecs):
            raise CodecError(
                f"the payload {what}: --codecs MODULE:ATTRIBUTE must name codecs with the "
                f"worker's {kind.__name__}"
            )
    if not undone:
        print("nothing to undo: no codec wrote it", file=sys.stderr)
    if any(mark.is_on(text) for mark in (GZIP, *_NEEDS)):
        print(
            "what is left looks like a codec's: are those of --codecs in the worker's order?",
            file=sys.stderr,
        )
    return text


def _without(codec: Codec, text: str) -> str:
    made = unapply((codec,), text)
    assert made is not None
    return made


def _named(target: str) -> tuple[Codec, ...]:
    module_name, colon, attribute = target.partition(":")
    if not colon or not module_name or not attribute:
        raise UsageError(f"{target!r} is not MODULE:ATTRIBUTE, as in myservice.workers:CODECS")
    with loading(target):
        found: Any = import_target(module_name)
    for name in attribute.split("."):
        try:
            found = getattr(found, name)
        except AttributeError:
            raise UsageError(f"module {module_name!r} has no {attribute!r}") from None
    listed = getattr(found, "codecs", found)
    if not isinstance(listed, (list, tuple)):
        raise UsageError(
            f"{target} is a {type(found).__name__}: a list of codecs, or a worker that has some, "
            "is needed"
        )
    return checked(listed, target)


def _stdin() -> str:
    data = sys.stdin.buffer.read(_LONGEST + 1)
    if len(data) > _LONGEST:
        raise CodecError(f"stdin has more than {_LONGEST:,} bytes: that is no payload")
    # What ends a line was put there by a shell, or by jq.
    return data.decode("utf-8", "surrogateescape").removesuffix("\n").removesuffix("\r")
