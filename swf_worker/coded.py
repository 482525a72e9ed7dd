"""Text that fits SWF's limits once the codecs are through with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .codecs.chain import Codec, apply
from .errors import CodecError, PayloadTooLargeError
from .outcome import MAX_HEARTBEAT_DETAILS, MAX_PAYLOAD
from .text import printable, progress_text, shorten, utf16_units

_LEAST = 64


def within(
    codecs: Sequence[Codec],
    write: Callable[[int], str | None],
    limit: int,
    at_first: int = 8 * MAX_PAYLOAD,
) -> tuple[str | None, bool]:
    """What ``write`` gives, coded, in ``limit`` UTF-16 units, and whether it had to be shortened
    for that: before the codecs, since what they wrote can't be cut. ``write(room)`` shortens its
    text to so many; ``at_first`` to many more, which codecs may compress, or put elsewhere. Raises
    CodecError."""
    if not codecs:
        return write(limit), False
    room, shortened = at_first, False
    while room >= _LEAST:
        coded = apply(codecs, write(room))
        if coded is None or utf16_units(coded) <= limit:
            return coded and printable(coded), shortened
        room = min(limit, room * 3 // 4)
        shortened = True
    raise CodecError("even a short text is longer than SWF takes, once the codecs are through")


def heartbeat_text(details: Any, codecs: Sequence[Codec] = ()) -> tuple[str | None, str | None]:
    """A heartbeat's details as they are sent, and why they are not what was given (None: they are).
    Whatever a codec says, the beat goes out; without details, where it says nothing good. Codecs
    get what SWF takes and no more: a handler's own call shouldn't wait for what they do with long
    texts, and nothing is put into a store for each beat."""
    text, why = progress_text(details)
    if text is None:
        return None, None
    try:
        limit = MAX_HEARTBEAT_DETAILS
        sent, cut = within(codecs, lambda room: shorten(text, room), limit, at_first=limit)
    except CodecError as error:
        return None, str(error)
    if cut or utf16_units(text) > MAX_HEARTBEAT_DETAILS:
        why = why or f"{utf16_units(text)} characters, {MAX_HEARTBEAT_DETAILS} are allowed"
    return sent, why


def coded_result(codecs: Sequence[Codec], text: str | None) -> str | None:
    """A result after the codecs; CodecError or PayloadTooLargeError. Results are never cut."""
    coded = apply(codecs, text)
    if coded is not None and (units := utf16_units(coded)) > MAX_PAYLOAD:
        raise PayloadTooLargeError(
            f"the result has {units:,} characters (UTF-16 units) after its codecs; SWF takes "
            f"{MAX_PAYLOAD:,}"
        )
    return coded
