"""Which JSON objects an annotation takes: what tells an input that is one parameter's from one that
has the parameters as members."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from typing import Annotated, Any, Union

import msgspec

from . import models
from .classes import parts_of, shape_of

Objects = frozenset[str] | None
"""The members of the objects that are taken, none where none is taken; None: any object may be."""
NO_OBJECTS: frozenset[str] = frozenset()


def objects_of(annotation: Any, within: frozenset[int] = frozenset()) -> tuple[bool, Objects]:
    """Whether JSON objects are taken at all, and which members they have (None: any)."""
    if id(annotation) in within:
        return False, NO_OBJECTS
    within |= {id(annotation)}
    origin = typing.get_origin(annotation)
    kind = origin or annotation
    if kind in (Union, types.UnionType):
        return _together(objects_of(part, within) for part in typing.get_args(annotation))
    if kind is Annotated or isinstance(annotation, typing.NewType):
        return objects_of(parts_of(annotation)[0], within)
    if type(annotation).__name__ == "TypeAliasType":
        return objects_of(annotation.__value__, within)
    if kind is typing.Literal:
        return False, NO_OBJECTS
    if not isinstance(kind, type) or kind in (Any, object, msgspec.Raw):
        return True, None
    if models.owns(annotation):
        return True, models.open_or_members(annotation)
    shape = shape_of(annotation)
    if shape is not None:
        names = {member.name for member in shape.members}.union(shape.also_named)
        return (False, NO_OBJECTS) if shape.is_array else (True, frozenset(names))
    return (True, None) if issubclass(kind, Mapping) else (False, NO_OBJECTS)


def _together(several: typing.Iterable[tuple[bool, Objects]]) -> tuple[bool, Objects]:
    taken, names = False, NO_OBJECTS
    for takes, known in several:
        if takes and known is None:
            return True, None
        taken |= takes
        names |= known or NO_OBJECTS
    return taken, names
