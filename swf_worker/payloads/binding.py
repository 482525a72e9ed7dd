"""Arguments that a decider gave by place and by name, as a handler's parameters take them."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import InputDecodeError
from .parameters import Parameter
from .reading import PlainReader
from .words import Mismatch


def bind(
    parameters: Sequence[Parameter], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> tuple[list[Any], dict[str, Any]]:
    """The call's arguments: each of the parameter's type, built from what JSON holds. Named
    arguments that no parameter takes are ignored, because deciders evolve. InputDecodeError names
    the parameter that has no value, or one that doesn't fit, and never the value."""
    places = [each for each in parameters if each.kind == "positional"]
    rest = next((each for each in parameters if each.kind == "args"), None)
    others = next((each for each in parameters if each.kind == "kwargs"), None)
    if len(args) > len(places) and rest is None:
        raise InputDecodeError(
            f"the input has {len(args)} positional arguments, and the handler takes {len(places)}"
        )
    given = [_built(each, value) for each, value in zip(places, args, strict=False)]
    if rest is not None:
        given += [_built(rest, value) for value in args[len(places) :]]
    taken = {each.name for each in places[: len(args)]}
    named: dict[str, Any] = {}
    by_name = {each.name: each for each in parameters if each.kind in ("positional", "keyword")}
    for name, value in kwargs.items():
        if name in taken:
            raise InputDecodeError(f"the input gives parameter {name!r} by place and by name")
        parameter = by_name.get(name, others)
        if parameter is not None:
            named[name] = _built(parameter, value)
    for each in by_name.values():
        if each.required and each.name not in taken and each.name not in named:
            raise InputDecodeError(f"the input has no value for parameter {each.name!r}")
    return given, named


def _built(parameter: Parameter, value: Any) -> Any:
    if parameter.type is Any:
        return value
    try:
        return _reader_of(parameter).read(value)
    except Mismatch as error:
        mismatch = error.beneath(f"$.{parameter.name}")
    raise mismatch


def _reader_of(parameter: Parameter) -> PlainReader:
    try:
        return _kept_reader(parameter.type)
    except TypeError:  # it can't be hashed
        return PlainReader(parameter.type)


@functools.lru_cache(maxsize=1024)
def _kept_reader(annotation: Any) -> PlainReader:
    return PlainReader(annotation)
