"""Failures in the words of deciders, within SWF's limits."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

from ..failure import Failure
from ..outcome import MAX_PAYLOAD, MAX_REASON
from ..text import bounded_text, printable, shorten, utf16_units
from .base import write_json

_LENGTHS = (MAX_PAYLOAD, 8192, 4096, 2048, 1024, 512, 256, 128, 64)
_FRAME = re.compile(
    r'^  File "(?P<file>.*)", line (?P<line>\d{1,9}), in (?P<function>.*)\n'
    r"(?:    (?P<source>.*)\n?)?",
    re.MULTILINE,
)


class Frame(NamedTuple):
    """One call of a traceback."""

    file: str
    line: int
    function: str
    source: str


def frames(traceback: str) -> list[Frame]:
    """The calls of a traceback's text, the outermost first."""
    return [
        Frame(found["file"], int(found["line"]), found["function"], found["source"] or "")
        for found in _FRAME.finditer(traceback)
    ]


def says(kind: str, message: str) -> str:
    """ "KeyError: 'size'", and the class's name alone where there is no message."""
    return f"{kind}: {message}" if message else kind


def spoken_reason(failure: Failure) -> str:
    """The reason of deciders that take an exception's message for it. A failure that says its
    own reason keeps it; one of the SDK's has its name before the message."""
    if failure.reason != failure.type:
        return bounded_reason(failure.reason)
    if not failure.module:
        return bounded_reason(says(failure.reason, failure.message))
    return bounded_reason(failure.message or failure.type)


def bounded_reason(reason: str) -> str:
    """A reason that SWF takes."""
    return shorten(printable(reason), MAX_REASON)


def fitted(failure: Failure, render: Callable[[Failure], str]) -> str:
    """The details that ``render`` writes, within SWF's limit: where they are too long, it writes
    them again of shorter texts, fewer causes and fewer calls."""
    text = ""
    for longest in _LENGTHS:
        shorter = _shortened(failure, longest)
        if _units(shorter) > MAX_PAYLOAD:  # before any time is spent on writing it
            continue
        text = render(shorter)
        if utf16_units(text) <= MAX_PAYLOAD:
            return text
    return text


def as_json(failure: Failure) -> str:
    """The JSON object that simpleflow's worker writes, and what it doesn't say in further
    members: ``retryable``, and where there are any ``details`` and ``causes``."""
    return fitted(failure, _json)


def _json(failure: Failure) -> str:
    document: dict[str, Any] = {
        "error": failure.type,
        "error_type": _dotted(failure),
        "message": failure.message,
        "traceback": _lines(failure),
        "retryable": failure.retryable,
    }
    if failure.details is not None:
        document["details"] = failure.details
    if failure.causes:
        document["causes"] = failure.causes
    return write_json(document)


def _dotted(failure: Failure) -> str:
    own = failure.module not in ("", "__main__", "builtins")
    return f"{failure.module}.{failure.type}" if own else failure.type


def _lines(failure: Failure) -> list[str]:
    if not failure.traceback:
        return []
    calls = [call for call in re.split(r'(?m)^(?=  File ")', failure.traceback) if call]
    last = says(failure.type, failure.message)
    return ["Traceback (most recent call last):\n", *calls, f"{last}\n"]


def _shortened(failure: Failure, longest: int) -> Failure:
    deepest = max(1, longest // 32)
    return replace(
        failure,
        message=shorten(printable(failure.message), longest),
        type=_name(failure.type),
        module=_name(failure.module),
        details=_short_value(failure.details, longest),
        traceback=shorten(printable(failure.traceback), longest),
        causes=tuple(
            (_name(kind), shorten(printable(message), longest))
            for kind, message in failure.causes[:deepest]
        ),
    )


def _units(failure: Failure) -> int:
    causes = (message for _, message in failure.causes)
    texts = [failure.message, failure.traceback, bounded_text(failure.details) or "", *causes]
    return sum(map(utf16_units, texts))


def _name(name: str) -> str:
    return shorten(printable(name), 256)


def _short_value(value: Any, longest: int) -> Any:
    text = bounded_text(value, longest)
    if text is None or isinstance(value, str):
        return text
    try:
        return json.loads(text)
    except ValueError:  # it has no JSON form, and these are its words
        return text
