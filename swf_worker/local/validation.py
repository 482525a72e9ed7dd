"""Every constraint of the botocore model, checked by one piece of code that reads the model:
required members, types, lengths (in UTF-16 units), enums, and the rules for names and durations
that its documentation states. Over-long values reach SWF: botocore checks minimums only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from botocore.loaders import Loader
from botocore.model import OperationModel, ServiceModel

from ..text import utf16_units
from . import faults

_JSON_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "long": (int,),
    "boolean": (bool,),
    "timestamp": (int, float),
    "structure": (dict,),
    "list": (list,),
}
# What the model says in words only, and where it says it.
_NAME_RULE = "must not contain a"
_STRIP_RULE = "must not start or end with whitespace"
_DURATION_RULE = "an integer greater than or equal to"
_FORBIDDEN = re.compile(r"[:/|\x00-\x1f\x7f-\x9f]")

Check = Callable[[Any, str], Iterator[str]]
"""Yields what breaks a constraint; raises SerializationException for a wrong type."""


@cache
def swf_model() -> ServiceModel:
    """The model of SWF's API that botocore ships."""
    return ServiceModel(Loader().load_service_model("swf", "service-2"), "swf")


@cache
def operation_model(name: str) -> OperationModel | None:
    """One operation of it, or None."""
    model = swf_model()
    return model.operation_model(name) if name in model.operation_names else None


def check(operation: OperationModel, params: dict[str, Any]) -> None:
    """Raise SerializationException for wrong types, ValidationException for broken constraints."""
    problems = list(_request_check(operation.name)(params, ""))
    if problems:
        raise faults.validation(problems)


@cache
def _request_check(operation: str) -> Check:
    shape = swf_model().operation_model(operation).input_shape
    return _compiled(shape, "") if shape is not None else _nothing


def _nothing(value: Any, path: str) -> Iterator[str]:
    return iter(())


def _compiled(shape: Any, documentation: str) -> Check:
    kind = shape.type_name
    allowed = _JSON_TYPES[kind]
    compile_inner = _INNER.get(kind)
    inner = compile_inner(shape, documentation) if compile_inner else _nothing

    def checked(value: Any, path: str) -> Iterator[str]:
        if not isinstance(value, allowed) or (isinstance(value, bool) and bool not in allowed):
            raise faults.serialization(
                f"{path or 'the request'}: a {type(value).__name__} is no {kind}"
            )
        return inner(value, path)

    return checked


def _structure(shape: Any, documentation: str) -> Check:
    # A rule that is stated for a task list is a rule for its name.
    passed_on = documentation if set(shape.members) == {"name"} else ""
    members = {
        name: (_compiled(member, passed_on or member.documentation), name in shape.required_members)
        for name, member in shape.members.items()
    }

    def inner(value: dict[str, Any], path: str) -> Iterator[str]:
        for name, (member, required) in members.items():
            where = f"{path}.{name}" if path else name
            given = value.get(name)
            if given is not None:
                yield from member(given, where)
            elif required:
                yield (
                    f"Value null at '{where}' failed to satisfy constraint: Member must not be null"
                )

    return inner


def _list(shape: Any, documentation: str) -> Check:
    member = _compiled(shape.member, "")
    most = shape.metadata.get("max")

    def inner(value: list[Any], path: str) -> Iterator[str]:
        if most is not None and len(value) > most:
            yield (
                f"Value at '{path}' failed to satisfy constraint: Member must have length less "
                f"than or equal to {most}"
            )
        for number, item in enumerate(value, 1):
            yield from member(item, f"{path}.{number}.member")

    return inner


def _string(shape: Any, documentation: str) -> Check:
    least, most = shape.metadata.get("min", 0), shape.metadata.get("max")
    is_name, is_stripped = _NAME_RULE in documentation, _STRIP_RULE in documentation
    is_duration, enum = _DURATION_RULE in documentation, shape.enum
    may_be_none = "NONE" in documentation

    def inner(value: str, path: str) -> Iterator[str]:
        length = utf16_units(value)
        shown = f"Value '{value[:64]}' at '{path}' failed to satisfy constraint: Member must "
        if most is not None and length > most:
            yield f"{shown}have length less than or equal to {most}"
        if length < least:
            yield f"{shown}have length greater than or equal to {least}"
        if enum and value not in enum:
            yield f"{shown}satisfy enum value set: [{', '.join(enum)}]"
        if is_name and (_FORBIDDEN.search(value) or value == "arn"):
            yield f"{shown}not contain ':', '/', '|' or control characters, nor be 'arn'"
        if is_stripped and value != value.strip():
            yield f"{shown}not start or end with whitespace"
        if is_duration and value and not value.isdigit() and not (value == "NONE" and may_be_none):
            yield f"{shown}be an integer >= 0{' or NONE' if may_be_none else ''}"

    return inner


def _integer(shape: Any, documentation: str) -> Check:
    least, most = shape.metadata.get("min"), shape.metadata.get("max")

    def inner(value: int, path: str) -> Iterator[str]:
        shown = f"Value '{value}' at '{path}' failed to satisfy constraint: Member must "
        if most is not None and value > most:
            yield f"{shown}have value less than or equal to {most}"
        if least is not None and value < least:
            yield f"{shown}have value greater than or equal to {least}"

    return inner


_INNER: dict[str, Callable[[Any, str], Check]] = {
    "structure": _structure,
    "list": _list,
    "string": _string,
    "integer": _integer,
}
