"""Every constraint of the botocore model, checked by one walk over a request: required members,
types, lengths (in UTF-16 units), enums. Over-long values reach SWF: botocore checks minimums only.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from botocore.loaders import Loader
from botocore.model import OperationModel, ServiceModel, Shape

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
    if operation.input_shape is None:
        return
    problems = list(_problems(operation.input_shape, params, ""))
    if problems:
        raise faults.validation(problems)


def _problems(shape: Shape, value: Any, path: str) -> Iterator[str]:
    _check_type(shape, value, path)
    if shape.type_name == "structure":
        yield from _structure_problems(shape, value, path)
    elif shape.type_name == "list":
        for number, item in enumerate(value, 1):
            yield from _problems(shape.member, item, f"{path}.{number}.member")  # type: ignore[attr-defined]
    elif shape.type_name == "string":
        yield from _string_problems(shape, value, path)


def _check_type(shape: Shape, value: Any, path: str) -> None:
    allowed = _JSON_TYPES[shape.type_name]
    wrong = not isinstance(value, allowed)
    if wrong or (isinstance(value, bool) and bool not in allowed):
        raise faults.serialization(
            f"{path or 'the request'}: a {type(value).__name__} is no {shape.type_name}"
        )


def _structure_problems(shape: Any, value: dict[str, Any], path: str) -> Iterator[str]:
    for name, member in shape.members.items():
        where = f"{path}.{name}" if path else name
        given = value.get(name)
        if given is not None:
            yield from _problems(member, given, where)
        elif name in shape.required_members:
            yield f"Value null at '{where}' failed to satisfy constraint: Member must not be null"


def _string_problems(shape: Any, value: str, path: str) -> Iterator[str]:
    limits, length = shape.metadata, utf16_units(value)
    shown = f"Value '{value[:64]}' at '{path}' failed to satisfy constraint: Member must "
    if length > limits.get("max", length):
        yield f"{shown}have length less than or equal to {limits['max']}"
    if length < limits.get("min", 0):
        yield f"{shown}have length greater than or equal to {limits['min']}"
    if shape.enum and value not in shape.enum:
        yield f"{shown}satisfy enum value set: [{', '.join(shape.enum)}]"
