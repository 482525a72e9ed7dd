"""AWS Flow for Java's payloads: Jackson's JSON with its default typing, ``["class", value]``."""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import PurePath
from typing import Any

from ..failure import Failure
from ..payloads.parameters import Parameter
from .base import Arguments, DeciderConverter, key, members, read_json, write_json
from .wording import fitted, frames, says, spoken_reason

_FINAL = r"java\.lang\.(?:String|Boolean|Byte|Character|Short|Integer|Long|Float|Double)"
_FINAL_TYPE = re.compile(rf"{_FINAL}|\[+(?:[ZBCSIJFD]|L{_FINAL};)|java\.util\.UUID")
"""What Jackson writes without its class, being final, and arrays of such."""
_FINAL_ARRAY = re.compile(rf"\[+(?:[ZBCSIJFD]|L{_FINAL};)")
_CLASS = re.compile(r"(?:[a-z_]\w*\.)+[A-Z]\w*(?:\$\w+)*|[A-Z]\w*(?:\$\w+)+|\[[BC]")
"""A class's name by Java's conventions, or an array that is written as text."""
_OBJECTS = "[Ljava.lang.Object;"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_INT64 = 1 << 63


class FlowJavaConverter(DeciderConverter):
    """For activities that deciders of the AWS Flow Framework for Java schedule, with its
    JsonDataConverter.

    Of ``["class", value]`` the value is read: lists, dicts, Decimal (BigDecimal), datetime in UTC
    (Date, Timestamp, Calendar), bytes (byte[]), and the members of any other class; no class is
    looked up by its name. An array of two strings within an object, whose first one reads as a
    class's name ("com.acme.Order"), can't be told from a typed string, and is read as that.

    Results are written so that Jackson reads them where the declared type is Object, a final
    class (String, Integer, Long, …), List, Map, BigDecimal or Date; a datetime without a zone is
    taken for UTC. ``returns`` is the name of another class of the result, as Jackson writes it:
    "com.acme.Order", "java.util.HashSet", "[Ljava.lang.String;".
    """

    format = 'JSON of AWS Flow for Java\'s form, ["[Ljava.lang.Object;", [...]]'

    def __init__(self, returns: str | None = None) -> None:
        self._returns = returns

    def encode_failure(self, failure: Failure) -> tuple[str, str | None]:
        """The reason is the error's message, as Java's workers have it; the details are a
        java.lang.RuntimeException with "Type: message", its causes, and Python's calls as the
        stack trace. ``retryable`` and ``details`` are further members, which Jackson leaves out."""
        return spoken_reason(failure), fitted(failure, _throwable)

    def _read(self, text: str) -> Any:
        return _value(read_json(text, parse_float=Decimal))

    def _arguments(self, text: str, parameters: Sequence[Parameter]) -> Arguments:
        name, content = read_json(text, parse_float=Decimal)
        if not name.startswith("[") or not isinstance(content, list):
            raise TypeError
        return _content(name, content), {}

    def _write(self, value: Any) -> str:
        name, content = _typed(value)
        if value is None:
            return "null"
        if self._returns is None:
            return write_json(content if name is None else [name, content])
        if _FINAL_TYPE.fullmatch(self._returns):
            return write_json(content)
        return write_json([self._returns, content])


# --- reading ------------------------------------------------------------------------------------


def _value(value: Any, certain: bool = False) -> Any:
    """A value where Jackson names the class of everything that isn't final. ``certain``: where
    every list is such a pair."""
    if isinstance(value, list):
        if _is_pair(value, certain):
            return _content(*value)
        return [_value(each) for each in value]
    if isinstance(value, dict):
        return {name: _value(each) for name, each in value.items()}
    return _scalar(value)


def _is_pair(value: list[Any], certain: bool) -> bool:
    """Elements of an array of a final type are all of one kind: only two strings are unclear."""
    if len(value) != 2 or not isinstance(value[0], str) or value[1] is None:
        return False
    return certain or not isinstance(value[1], str) or _CLASS.fullmatch(value[0]) is not None


def _content(name: str, value: Any) -> Any:
    read = _READERS.get(name)
    if read is not None and not isinstance(value, (list, dict)):
        return read(value)
    if isinstance(value, list):
        if _FINAL_ARRAY.fullmatch(name):
            return _untyped(value)
        return [_value(each, name == _OBJECTS) for each in value]
    return _value(value)


def _untyped(value: Any) -> Any:
    return [_untyped(each) for each in value] if isinstance(value, list) else _scalar(value)


def _scalar(value: Any) -> Any:
    return float(value) if isinstance(value, Decimal) else value


def _instant(value: Any) -> Any:
    return value if isinstance(value, str) else _EPOCH + timedelta(milliseconds=_integer(value))


def _integer(value: Any) -> int:
    # By its digits: 1E+999999999 would be an integer that no memory holds.
    return int(str(value))


def _decimal(value: Any) -> Decimal:
    return Decimal(str(value))


_READERS: dict[str, Callable[[Any], Any]] = {
    "java.math.BigDecimal": _decimal,
    "java.math.BigInteger": _integer,
    "java.lang.Double": float,
    "java.lang.Float": float,
    "java.util.Date": _instant,
    "java.sql.Timestamp": _instant,
    "java.util.Calendar": _instant,
    "java.util.GregorianCalendar": _instant,
    "[B": b64decode,
}


# --- writing ------------------------------------------------------------------------------------


def _wrapped(value: Any) -> Any:
    name, content = _typed(value)
    return content if name is None else [name, content]


def _typed(value: Any) -> tuple[str | None, Any]:
    """The class that Jackson writes before a value, if it does, and what it writes after."""
    if value is None or type(value) in (bool, float, str):
        return None, value
    if type(value) is int:
        return (None if -_INT64 <= value < _INT64 else "java.math.BigInteger"), value
    if isinstance(value, dict):
        return "java.util.LinkedHashMap", {key(n): _wrapped(each) for n, each in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return "java.util.ArrayList", [_wrapped(each) for each in value]
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise ValueError("BigDecimal has no NaN and no infinity")
        return "java.math.BigDecimal", str(value)
    if isinstance(value, datetime):
        aware = value if value.tzinfo else value.replace(tzinfo=UTC)
        return "java.util.Date", (aware - _EPOCH) // timedelta(milliseconds=1)
    if isinstance(value, bytes):
        return None, b64encode(value).decode()
    return _typed(members(value, (Decimal, datetime, bytes)))


def _throwable(failure: Failure) -> str:
    chain = [(failure.type, failure.message), *failure.causes]
    below: Any = None
    for kind, message in reversed(chain):
        told: dict[str, Any] = {"message": says(kind, message), "cause": below}
        below = ["java.lang.RuntimeException", told]
    told["stackTrace"] = [
        {
            "className": PurePath(frame.file).stem or "python",
            "methodName": frame.function,
            "fileName": frame.file,
            "lineNumber": frame.line,
        }
        for frame in reversed(frames(failure.traceback))
    ]
    told["retryable"] = failure.retryable
    if failure.details is not None:
        told["details"] = failure.details
    return write_json(below)
