"""Python values as plain JSON ones: what a result, details, and a heartbeat's details are written
from.

Each class has its writer, found once. Another library's class is written by that library, and by
the names that it reads: pydantic's by alias, attrs' by what its constructor takes.
"""

from __future__ import annotations

import datetime
import decimal
import enum
import json
import math
import uuid
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from pathlib import PurePath
from typing import Any

import msgspec

Writer = Callable[[Any], Any]
_ATOMS = frozenset((type(None), bool, int, str))
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def compact_json(value: Any) -> str:
    """``value`` as compact JSON, non-ASCII unescaped; ValueError if it can't be, and RecursionError
    for a cycle. Nothing of the value is in what is raised."""
    try:
        written = value if type(value) in _ATOMS else plain(value)
    except (Unwritable, RecursionError):
        raise
    except Exception as error:  # an object of the user's can raise anything when it is read
        said = f"what reads it raised {type(error).__name__}"
    else:
        try:
            return msgspec.json.encode(written).decode()
        except OverflowError:  # a number of more than 64 bits
            return _ENCODER.encode(written).encode().decode()
    raise Unwritable(said)


class Unwritable(ValueError):
    """A value that has no form in JSON. Its text says what is wrong, and quotes nothing."""


def plain(value: Any) -> Any:
    """``value`` as None, bool, int, float, str, list and dict with keys of str."""
    kind = type(value)
    write = _WRITERS.get(kind)
    if write is None:
        write = _writer_of(kind)
        if len(_WRITERS) > _KEPT:  # classes that are made anew for each task, say
            _WRITERS.clear()
            _WRITERS.update(_SCALARS)
        _WRITERS[kind] = write
    return write(value)


def _same(value: Any) -> Any:
    return value


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise Unwritable("a number is not finite")
    return value


def _list(value: Any) -> list[Any]:
    return [each if type(each) in _ATOMS else plain(each) for each in value]


def _members(value: Any) -> dict[str, Any]:
    written: dict[str, Any] = {}
    for key, each in value.items():
        name = key if type(key) is str else _member_name(key)
        if name in written:
            raise Unwritable("two keys would become the same member of a JSON object")
        written[name] = each if type(each) in _ATOMS else plain(each)
    return written


def _member_name(key: Any) -> str:
    if isinstance(key, str) and not isinstance(key, enum.Enum):
        return str(key)
    written = plain(key)
    if isinstance(written, str):
        return written
    if written is None or isinstance(written, (bool, int, float)):
        return _ENCODER.encode(written)
    raise Unwritable(f"a {type(key).__name__} can't be a key in JSON")


def _decimal(value: decimal.Decimal) -> str:
    if not value.is_finite():
        raise Unwritable("a Decimal is no finite number")
    return str(value)


_BY_MSGSPEC = (
    *(datetime.datetime, datetime.date, datetime.time, datetime.timedelta),
    *(uuid.UUID, bytes, bytearray, memoryview),
)
_SCALARS: dict[type, Writer] = {
    **dict.fromkeys((type(None), bool, int, str), _same),
    float: _finite,
    **dict.fromkeys((list, tuple, set, frozenset), _list),
    dict: _members,
    decimal.Decimal: _decimal,
    **dict.fromkeys(_BY_MSGSPEC, msgspec.to_builtins),
}
_WRITERS: dict[type, Writer] = dict(_SCALARS)
_KEPT = 10_000


def _writer_of(kind: type) -> Writer:
    """How the values of a class are written that has no writer yet."""
    if issubclass(kind, enum.Enum):
        return lambda value: plain(value.value)
    if issubclass(kind, PurePath):
        return str
    if hasattr(kind, "__pydantic_serializer__"):
        if hasattr(kind, "model_dump"):
            return lambda value: plain(value.model_dump(mode="json", by_alias=True))
        serializer: Any = kind.__pydantic_serializer__  # a dataclass of pydantic's
        return lambda value: plain(serializer.to_python(value, mode="json", by_alias=True))
    if issubclass(kind, msgspec.Struct):
        return _struct_writer(kind)
    if hasattr(kind, "__attrs_attrs__"):
        return _attrs_writer(kind)
    if is_dataclass(kind):
        names = [field.name for field in fields(kind)]
        return lambda value: _object(value, names, names)
    for base, write in _SCALARS.items():  # a subclass of what JSON has, or of a date
        if issubclass(kind, base):
            return _as_base(base, write)
    if callable(getattr(kind, "model_dump", None)):  # what looks like pydantic's
        return lambda value: plain(value.model_dump(mode="json"))
    raise Unwritable(f"a {kind.__name__} has no JSON form")


def _as_base(base: Any, write: Writer) -> Writer:
    if base in (str, int, float, bytes, bytearray):
        return lambda value: write(base(value))
    return write


def _object(value: Any, names: list[str], members: list[str]) -> dict[str, Any]:
    """Those of its attributes that are there."""
    written = {}
    for name, member in zip(names, members, strict=True):
        each = getattr(value, name, msgspec.UNSET)
        if each is not msgspec.UNSET:
            written[member] = each if type(each) in _ATOMS else plain(each)
    return written


def _attrs_writer(kind: Any) -> Writer:
    names = [each.name for each in kind.__attrs_attrs__]
    members = [attrs_member(each) for each in kind.__attrs_attrs__]
    return lambda value: _object(value, names, members)


def attrs_member(attribute: Any) -> str:
    """What an attribute of an attrs class is called on the wire: as its constructor calls it."""
    alias = getattr(attribute, "alias", None)
    return str(alias or attribute.name.lstrip("_"))


def _struct_writer(kind: Any) -> Writer:
    names, members = list(kind.__struct_fields__), list(kind.__struct_encode_fields__)
    config = kind.__struct_config__
    tag = {config.tag_field: config.tag} if config.tag is not None else {}

    def as_array(value: Any) -> list[Any]:
        return [*tag.values(), *(plain(getattr(value, name)) for name in names)]

    def as_object(value: Any) -> dict[str, Any]:
        if config.omit_defaults:
            left = [n for n in names if not _is_default(kind, names, n, getattr(value, n))]
            return tag | _object(value, left, [members[names.index(name)] for name in left])
        return tag | _object(value, names, members)

    return as_array if config.array_like else as_object


def _is_default(kind: Any, names: list[str], name: str, value: Any) -> bool:
    """As msgspec sees it: the default itself, or an empty collection where the default is one."""
    defaults = kind.__struct_defaults__
    at = names.index(name) - (len(names) - len(defaults))
    if at < 0:
        return False
    default = defaults[at]
    factory = getattr(default, "factory", None)
    if factory in (list, dict, set):
        return type(value) is factory and not value
    return value is default or (type(value) is type(default) and bool(value == default))
