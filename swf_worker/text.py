"""Text on SWF's wire: compact JSON, lengths in UTF-16 units, shortening that keeps both ends."""

from __future__ import annotations

import signal
from typing import Any

import msgspec

from .outcome import MAX_PAYLOAD
from .payloads.writing import compact_json

NOT_JSON = (ValueError, RecursionError, msgspec.MsgspecError)
"""What decoding may raise. (Before msgspec 0.21 its own errors are no ValueErrors.)"""
_MARKER = "…[{} cut]…"
_LONGEST_TEXT = 4 * MAX_PAYLOAD  # what is kept of an endless message before it is fitted


def utf16_units(text: str) -> int:
    """The length of ``text`` as SWF is taken to count it: characters beyond U+FFFF are two."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def shorten(text: str, limit: int) -> str:
    """``text`` within ``limit`` UTF-16 units: head and tail kept, a marker between them."""
    total = utf16_units(text)
    if total <= limit:
        return text
    marker = _MARKER.format(total - limit)
    room = limit - utf16_units(marker)
    if room < 8:
        return _cut(text, 0, limit)
    head = (room * 2) // 3
    return _cut(text, 0, head) + marker + _cut(text, total - (room - head), total)


def _cut(text: str, start: int, end: int) -> str:
    # Cutting by units can split a surrogate pair: its orphaned half is dropped.
    units = text.encode("utf-16-le", "surrogatepass")
    return units[2 * start : 2 * end].decode("utf-16-le", "ignore")


def printable(text: str) -> str:
    """``text`` without lone surrogates, which no JSON document in UTF-8 can carry."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def bounded_text(value: Any, limit: int = MAX_PAYLOAD) -> str | None:
    """A reason's or details' text by the rule: None is absent, a str goes as it is, anything
    else as JSON; too long, a str keeps head and tail, and JSON becomes a ``truncated`` object."""
    if value is None:
        return None
    if isinstance(value, str):
        return shorten(printable(value), limit)
    try:
        text = compact_json(value)
    except Exception:  # an object of the user's can raise anything when it is read
        return shorten(safe_str(value), limit)  # a failure's details must never lose the failure
    return text if utf16_units(text) <= limit else _truncated_json(text, limit)


def progress_text(details: Any) -> tuple[str | None, str | None]:
    """A heartbeat's details as text, of any length, and why they are not what was given (None: they
    are). Progress is no reason to lose hours of work: whatever is given becomes some text."""
    if details is None:
        return None, None
    if isinstance(details, str):
        return printable(details), None
    try:
        return compact_json(details), None
    except (ValueError, RecursionError) as error:
        return safe_str(details), f"no JSON: {safe_str(error)}"


def _truncated_json(text: str, limit: int) -> str:
    room = limit - 64
    while True:
        head, tail = shorten_pair(text, room)
        short = compact_json({"truncated": True, "head": head, "tail": tail})
        if utf16_units(short) <= limit:
            return short
        room = room * 3 // 4  # escaping made it longer than its pieces


def shorten_pair(text: str, room: int) -> tuple[str, str]:
    """The head and the tail of ``text`` that together fit ``room`` code units."""
    head = max(1, room * 2 // 3 // 2)
    tail = max(1, room // 3 // 2)
    return text[:head], text[-tail:]


def how_it_ended(code: int | None) -> str:
    """A process's exit code, or the signal that killed it (negative), in words."""
    if code is None or code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"


def safe_str(value: object) -> str:
    """``str(value)``, also where that raises or never ends."""
    try:
        text = str(value)
    except BaseException as error:  # a handler's exception can do anything here
        text = f"<{type(value).__name__}, whose str() raised {type(error).__name__}>"
    return printable(text[:_LONGEST_TEXT])
