"""What is said of an input that doesn't fit: where, and what was expected. Inputs may be secret, so
nothing that came with one is passed through: not a value, not a key, not the text of somebody's
exception, which may quote either. What may go out is listed here."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Any

from ..errors import InputDecodeError
from ..text import safe_str

_STEPS = r"\.\w+|\[\d+\]|\[\.\.\.\]"
_PATH = re.compile(rf" - at (?P<key>`key` in )?`(?P<path>\$(?:{_STEPS})*)`$")
_SAFE = re.compile(
    r"Expected `[^`]*`.*"  # the kind and the constraint are the type's; what was got is a kind
    r"|Invalid (?:UUID|RFC3339 encoded \w+|ISO8601 duration|base64 encoded string|epoch timestamp"
    r"|decimal string)"
    r"|(?:Duration|Timestamp|Integer value|Number|Offset) (?:is )?out of range"
)
_MISSING = re.compile(r"Object missing required field `(\w+)`")


class Mismatch(InputDecodeError, ValueError):
    """A value that doesn't fit: what was expected, the path to it, and, where code of the user's
    refused it, what that raised (its text is the user's to let out)."""

    def __init__(self, expected: str, path: str = "$", raised: BaseException | None = None) -> None:
        super().__init__(f"{expected} - at `{path}`")
        self.expected, self.path, self.raised = expected, path, raised

    def beneath(self, outer: str) -> Mismatch:
        """The same, seen from further up: its own path begins at ``outer``."""
        return Mismatch(self.expected, outer + self.path[1:], self.raised)

    def told(self, *, with_messages: bool = False) -> str:
        """The line about it. ``with_messages`` lets out the text of what user code raised."""
        said = str(self)
        if with_messages and self.raised is not None:
            said += f": {type(self.raised).__name__}: {safe_str(self.raised)}"
        return said


class NotJson(Mismatch):
    """The text is no JSON at all."""


def refused_by(error: BaseException, path: str = "$") -> Mismatch:
    """User code raised while a value was built."""
    return Mismatch("Refused by a check of the type's own", path, error)


def of_msgspec(error: BaseException, names: Collection[str]) -> Mismatch:
    """What msgspec says, by the list. ``names`` are the members that the types know."""
    said = safe_str(error)
    cause = error.__cause__
    if isinstance(cause, Mismatch):
        outer, _ = _path_of(said.removeprefix(str(cause)), names)
        return cause.beneath(outer)
    path, said = _path_of(said, names)
    if cause is not None:
        return refused_by(cause, path)  # a __post_init__ of the user's
    if error.__traceback__ is not None and error.__traceback__.tb_next is not None:
        return refused_by(error)  # raised in Python, not by msgspec: the same, in its clothes
    missing = _MISSING.fullmatch(said)
    if missing is not None and missing[1] in names:
        return Mismatch(said, path)
    if said.startswith("Object contains unknown field"):
        return Mismatch("Object contains an unknown field", path)
    if said.startswith("Invalid enum value"):
        return Mismatch("Invalid enum value", path)
    return Mismatch(said if _SAFE.fullmatch(said) else "Invalid value", path)


def _path_of(said: str, names: Collection[str]) -> tuple[str, str]:
    """The path that msgspec put behind its words, and the words."""
    match = _PATH.search(said)
    if match is None:
        return "$", said
    steps = re.findall(_STEPS, match["path"])
    known = (step if step[0] == "[" or step[1:] in names else "[...]" for step in steps)
    key = " (a key)" if match["key"] else ""
    return "$" + "".join(known) + key, said[: match.start()]


# --- pydantic -----------------------------------------------------------------------------------

_OF_VALIDATORS = ("value_error", "assertion_error")
_LIMITS: tuple[str, ...] = (
    "gt",
    "ge",
    "lt",
    "le",
    "multiple_of",
    "min_length",
    "max_length",
    "pattern",
)
_LIMITS += ("max_digits", "decimal_places", "class_name")
"""What pydantic says of the type beside an error. (The rest may be of the value.)"""


def of_pydantic(
    error: Any, names: Collection[str], known_kinds: Collection[str], said: Collection[object]
) -> Mismatch:
    """The first of what a pydantic ValidationError lists, by its kind: its text may quote a value.
    ``said`` is what the type itself says: its limits are told, and nothing that only looks so."""
    first = error.errors(include_url=False)[0]  # (of its members, only these are looked at)
    path = path_to(first["loc"], names)
    kind, context = first["type"], first.get("ctx") or {}
    if kind == "json_invalid":
        return NotJson("it is malformed")
    raised = context.get("error")
    if kind in _OF_VALIDATORS or kind not in known_kinds:
        # A validator of the user's, or a kind of error that is the user's.
        return refused_by(raised if isinstance(raised, BaseException) else error, path)
    found = ((name, context[name]) for name in _LIMITS if name in context)
    limits = ", ".join(f"{name} {limit}" for name, limit in found if limit in said)
    return Mismatch(f"Refused by pydantic: {kind}{limits and f' ({limits})'}", path)


def path_to(steps: Iterable[object], names: Collection[str]) -> str:
    """A path of members that the types know; a dictionary's key is none of them."""
    parts = []
    for step in steps:
        if isinstance(step, int):
            parts.append(f"[{step}]")
        else:
            parts.append(f".{step}" if step in names else "[...]")
    return "$" + "".join(parts)
