"""botoflow's payloads: JSON in which objects with one marker stand for what JSON doesn't have."""

from __future__ import annotations

import sys
from base64 import b64decode, b64encode
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from ..failure import Failure
from ..payloads.parameters import Parameter
from ..payloads.writing import compact_json
from .base import Arguments, DeciderConverter, key, members, read_json, write_json
from .wording import bounded_reason, fitted, frames, says

_DATETIME = "%Y-%m-%dT%H:%M:%S.%f"
_KEPT = (bytes, datetime, timedelta, Decimal)


class BotoflowConverter(DeciderConverter):
    """For activities that botoflow's deciders schedule, with its JSONDataConverter.

    Tuples, sets, bytes, Decimal, datetime and timedelta go both ways as such; a datetime that
    has a zone is written as UTC without one, which is all the format has. An object of a class
    arrives as its attributes, and a class as its name: nothing is ever imported. Results of
    classes (dataclasses and the like) are written as dicts, so deciders needn't import them.
    botoflow's PickleDataConverter is not read.
    """

    format = "JSON of botoflow's form, [[positional], {keywords}]"

    def encode_failure(self, failure: Failure) -> tuple[str, str | None]:
        """The details are the exception and its traceback, as botoflow's deciders expect them.

        They import the exception's class by its name. So only that of a class which can be found
        by it here is written, and Exception with the name in its text for any other; a decider
        that doesn't have the module gets an ImportError that carries name and message."""
        return bounded_reason(failure.reason), fitted(failure, _details)

    def _read(self, text: str) -> Any:
        return read_json(text, object_hook=_unmarked)

    def _arguments(self, text: str, parameters: Sequence[Parameter]) -> Arguments:
        args, kwargs = self._read(text)
        if not isinstance(args, (list, tuple)) or not isinstance(kwargs, dict):
            raise TypeError
        return list(args), kwargs

    def _write(self, value: Any) -> str:
        return write_json(_marked(value))

    def encode_canceled(self, details: Any) -> str | None:
        """As a failure's, because the decider reads both in the same way: an Exception whose
        ``details`` are these."""
        if details is None:
            return None
        return compact_json([_error("builtins:Exception", "canceled", {"details": details}), []])


# --- reading ------------------------------------------------------------------------------------


def _unmarked(value: dict[str, Any]) -> Any:
    for marker, read in _READERS.items():
        if marker in value:
            return read(value)
    return value


def _attributes(value: dict[str, Any]) -> Any:
    _, state = value["__obj"]
    if "__exc" in value:
        return dict(state or {}) | {"args": value["__exc"][0]}
    return state


_READERS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "__tuple": lambda value: tuple(value["__tuple"]),
    "__set": lambda value: set(value["__set"]),
    "__frozenset": lambda value: frozenset(value["__frozenset"]),
    "__ordereddict": lambda value: dict(value["__ordereddict"]),
    "__base64str": lambda value: b64decode(value["__base64str"]),
    "__bin": lambda value: b64decode(value["__bin"]),
    "__decimal": lambda value: Decimal(tuple(value["__decimal"])),
    "__datetime": lambda value: datetime.strptime(value["__datetime"], _DATETIME),
    "__timedelta": lambda value: timedelta(*value["__timedelta"]),
    "__obj": _attributes,
    "__class": lambda value: value["__class"],
    "__listclass": lambda value: value["__listclass"][1],
    "__dictclass": lambda value: value["__dictclass"][1],
    "__namedtuple": lambda value: tuple(value["__namedtuple"][1]),
}


# --- writing ------------------------------------------------------------------------------------


def _marked(value: Any) -> Any:
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, dict):
        return {key(name): _marked(each) for name, each in value.items()}
    if isinstance(value, list) or hasattr(value, "_fields"):  # as tuple, but a namedtuple
        return [_marked(each) for each in value]
    for kind, marker in ((tuple, "__tuple"), (set, "__set"), (frozenset, "__frozenset")):
        if isinstance(value, kind):
            return {marker: [_marked(each) for each in value]}
    if isinstance(value, bytes):
        return {"__bin": b64encode(value).decode()}
    if isinstance(value, Decimal):
        sign, digits, exponent = value.as_tuple()
        return {"__decimal": [sign, {"__tuple": list(digits)}, exponent]}
    if isinstance(value, datetime):
        plain = value.astimezone(UTC) if value.tzinfo else value
        # strftime doesn't fill the year up to four digits, which strptime wants.
        return {"__datetime": f"{plain.year:04}{plain.strftime(_DATETIME.removeprefix('%Y'))}"}
    if isinstance(value, timedelta):
        return {"__timedelta": [value.days, value.seconds, value.microseconds]}
    return _marked(members(value, _KEPT))


def _error(name: str, text: str, attributes: dict[str, Any]) -> dict[str, Any]:
    if name.startswith("builtins:"):  # that module has another name in Python 2
        name = f"six.moves.{name}"
    return {"__obj": [name, attributes], "__exc": [[text], text]}


def _details(failure: Failure) -> str:
    attributes: dict[str, Any] = {"retryable": failure.retryable}
    if failure.details is not None:
        attributes["details"] = failure.details
    if failure.causes:
        attributes["causes"] = [says(*cause) for cause in failure.causes]
    name, text = f"{failure.module}:{failure.type}", failure.message
    if not _found_by_name(failure):
        name, text = "builtins:Exception", says(failure.type, failure.message)
    calls = [{"__tuple": list(frame)} for frame in frames(failure.traceback)]
    return compact_json([_error(name, text, attributes), calls])


def _found_by_name(failure: Failure) -> bool:
    """Whether a decider that has the same module makes an exception of the name: what its
    module doesn't have at the top, and what can't be made without arguments, breaks deciders."""
    if failure.module in ("", "__main__"):
        return False
    named = getattr(sys.modules.get(failure.module), failure.type, None)
    return (
        isinstance(named, type)
        and issubclass(named, Exception)
        and not issubclass(named, BaseExceptionGroup)
    )
