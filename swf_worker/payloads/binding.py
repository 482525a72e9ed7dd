"""Plain values become the arguments of a handler's call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from ..errors import InputDecodeError
from .parameters import Parameter


def bind(
    parameters: Sequence[Parameter], args: Sequence[Any], kwargs: dict[str, Any]
) -> tuple[list[Any], dict[str, Any]]:
    """The arguments as their parameters' types. Keyword arguments that no parameter takes are
    ignored; InputDecodeError names the parameter that is missing or wrong, never the value."""
    places = [p for p in parameters if p.kind == "positional"]
    more = next((p for p in parameters if p.kind == "args"), None)
    others = next((p for p in parameters if p.kind == "kwargs"), None)
    if len(args) > len(places) and more is None:
        raise InputDecodeError(
            f"the task has {len(args)} positional arguments; at most {len(places)} are taken"
        )
    positional = [_typed(p, value) for p, value in zip(places, args, strict=False)]
    if more is not None:
        positional += [_typed(more, value) for value in args[len(places) :]]
    byname = {p.name: p for p in parameters if p.kind in ("positional", "keyword")}
    given = {p.name for p, _ in zip(places, args, strict=False)}
    named: dict[str, Any] = {}
    for name, value in kwargs.items():
        if name in given:
            raise InputDecodeError(f"parameter {name!r} is given by place and by name")
        if name in byname:
            named[name] = _typed(byname[name], value)
        elif others is not None:
            named[name] = _typed(others, value)
    for name, parameter in byname.items():
        if parameter.required and name not in given and name not in named:
            raise InputDecodeError(f"the task gives no value for the parameter {name!r}")
    return positional, named


def _typed(parameter: Parameter, value: Any) -> Any:
    try:
        return msgspec.convert(value, parameter.type, strict=False)
    except (msgspec.MsgspecError, ValueError, TypeError, RecursionError):
        raise InputDecodeError(
            f"the parameter {parameter.name!r} can't be made of its value"
        ) from None
