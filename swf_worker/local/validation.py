"""Every constraint of the botocore model, checked by one piece of code that reads the model:
required members, types, lengths (in UTF-16 units), enums, and the rules for names and durations
that its documentation states. Over-long values reach SWF: botocore checks minimums only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from botocore.loaders import Loader, create_loader
from botocore.model import OperationModel, ServiceModel
from moto.swf.models import WorkflowExecution

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
_JSON_WORDS = {str: "text", dict: "an object", list: "a list", bool: "true or false"}
# What the model says in words only, and where it says it.
_NAME_RULE = "must not contain a"
_STRIP_RULE = "must not start or end with whitespace"
_NEVER_NONE = "cannot specify a value of"
# SWF accepts more in ids, whatever its documentation says: colons have been seen, and AWS's Flow
# framework calls a child by its parent's run id, a colon and a number: run ids have slashes.
_ALLOWED_IN = {"WorkflowId": ":/", "ActivityId": ":", "TimerId": ":"}
_DIGITS, _INTEGER = re.compile("[0-9]+"), re.compile("-?[0-9]{1,10}")
_OF_EXECUTIONS = "executionstarttoclosetimeout"
_UNBOUNDED = 99_999_999
"""Durations in seconds have 8 digits at most."""
MAX_EXECUTION = 31_536_000
"""Seconds: a year."""
MAX_RETENTION = 90
"""Days."""
# In the order in which SWF names them, as moto's tests have it; the model's is another.
KNOWN_DECISION_TYPES: list[str] = WorkflowExecution.KNOWN_DECISION_TYPES

Check = Callable[[Any, str], Iterator[str]]
"""Yields what breaks a constraint; raises SerializationException for a wrong type."""


@cache
def models() -> Loader:
    """The models that botocore ships, read once for all local SWFs and their clients."""
    return create_loader()


@cache
def swf_model() -> ServiceModel:
    """The model of SWF's API."""
    return ServiceModel(models().load_service_model("swf", "service-2"), "swf")


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


def _compiled(shape: Any, documentation: str, name: str = "") -> Check:
    kind = shape.type_name
    allowed = _JSON_TYPES[kind]
    compile_inner = _INNER.get(kind)
    inner = compile_inner(shape, documentation, name) if compile_inner else _nothing

    def checked(value: Any, path: str) -> Iterator[str]:
        if not isinstance(value, allowed) or (isinstance(value, bool) and bool not in allowed):
            word = _JSON_WORDS.get(type(value), "a number")
            raise faults.serialization(f"{path or 'the request'}: {word} is no {kind}")
        return inner(value, path)

    return checked


def _structure(shape: Any, documentation: str, name: str) -> Check:
    # A rule that is stated for a task list is a rule for its name.
    passed_on = documentation if set(shape.members) == {"name"} else ""
    members = {
        key: (
            _compiled(member, passed_on or member.documentation, key),
            key in shape.required_members,
        )
        for key, member in sorted(shape.members.items(), key=lambda item: item[0] == "decisionType")
    }

    def inner(value: dict[str, Any], path: str) -> Iterator[str]:
        for key, (member, required) in members.items():
            where = f"{path}.{key}" if path else key
            given = value.get(key)
            if given is not None:
                yield from member(given, where)
            elif required:
                yield _null_at(where)

    return inner


def _null_at(where: str) -> str:
    return f"Value null at '{where}' failed to satisfy constraint: Member must not be null"


def _list(shape: Any, documentation: str, name: str) -> Check:
    member = _compiled(shape.member, "")
    most = shape.metadata.get("max")

    def inner(value: list[Any], path: str) -> Iterator[str]:
        if most is not None and len(value) > most:
            yield (
                f"Value at '{path}' failed to satisfy constraint: Member must have length less "
                f"than or equal to {most}"
            )
        for number, item in enumerate(value, 1):
            where = f"{path}.{number}.member"
            yield from [_null_at(where)] if item is None else member(item, where)

    return inner


def _string(shape: Any, documentation: str, name: str) -> Check:
    least, most = shape.metadata.get("min", 0), shape.metadata.get("max")
    rules = list(_rules(shape, documentation, name))

    def inner(value: str, path: str) -> Iterator[str]:
        length = utf16_units(value)
        shown = f"Value '{value[:64]}' at '{path}' failed to satisfy constraint: Member must "
        if most is not None and length > most:
            yield f"{shown}have length less than or equal to {most}"
        if length < least:
            yield f"{shown}have length greater than or equal to {least}"
        for holds, must in rules:
            if not holds(value):
                yield f"{shown}{must}"

    return inner


def _rules(
    shape: Any, documentation: str, name: str
) -> Iterator[tuple[Callable[[str], bool], str]]:
    """What else the model says of a text: whether it holds, and what must."""
    if enum := KNOWN_DECISION_TYPES if shape.name == "DecisionType" else shape.enum:
        yield enum.__contains__, f"satisfy enum value set: [{', '.join(enum)}]"
    if _NAME_RULE in documentation:
        never = [each for each in ":/|" if each not in _ALLOWED_IN.get(shape.name, "")]
        found = re.compile(rf"[{''.join(never)}\x00-\x1f\x7f-\x9f]").search
        yield (
            lambda value: value != "arn" and not found(value),
            f"not contain {', '.join(never)} or control characters, nor be 'arn'",
        )
    if _STRIP_RULE in documentation:
        yield lambda value: value == value.strip(), "not start or end with whitespace"
    if shape.name == "TaskPriority":
        yield _is_java_integer, "be an integer from -2147483648 to 2147483647"
    if most := _longest(shape, name):
        may_be_none = shape.name != "DurationInSeconds" and _NEVER_NONE not in documentation
        must = "be an integer >= 0" if most == _UNBOUNDED else f"be an integer from 0 to {most}"
        yield (
            lambda value: (
                not value
                or (value == "NONE" and may_be_none)
                or (_DIGITS.fullmatch(value) is not None and int(value) <= most)
            ),
            f"{must}{' or NONE' if may_be_none else ''}",
        )


def _is_java_integer(value: str) -> bool:
    return _INTEGER.fullmatch(value) is not None and -(2**31) <= int(value) < 2**31


def _longest(shape: Any, name: str) -> int | None:
    """How long a duration may be; None where it isn't one."""
    if shape.name == "DurationInDays":
        return MAX_RETENTION
    if not shape.name.startswith("Duration"):
        return None
    return MAX_EXECUTION if name.lower().endswith(_OF_EXECUTIONS) else _UNBOUNDED


def _integer(shape: Any, documentation: str, name: str) -> Check:
    least, most = shape.metadata.get("min"), shape.metadata.get("max")

    def inner(value: int, path: str) -> Iterator[str]:
        shown = f"Value '{value}' at '{path}' failed to satisfy constraint: Member must "
        if most is not None and value > most:
            yield f"{shown}have value less than or equal to {most}"
        if least is not None and value < least:
            yield f"{shown}have value greater than or equal to {least}"

    return inner


_INNER: dict[str, Callable[[Any, str, str], Check]] = {
    "structure": _structure,
    "list": _list,
    "string": _string,
    "integer": _integer,
}
