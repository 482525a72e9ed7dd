"""What classes of the standard library, attrs and msgspec hold, and how instances are made."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec

from .writing import attrs_member


@dataclass(frozen=True, slots=True)
class Member:
    """One member of an object: its name on the wire, its argument, its type."""

    name: str
    argument: str
    type: Any
    required: bool


@dataclass(frozen=True, slots=True)
class Shape:
    """A class as members, and what builds one of them (``build``, given arguments by name)."""

    members: tuple[Member, ...]
    build: Callable[[dict[str, Any]], Any]
    is_special: bool = False
    """Its constructor does what msgspec leaves out: it must be called."""
    is_array: bool = False
    forbids_others: bool = False
    tag: Any = None
    tag_field: str | None = None
    also_named: dict[str, str] = field(default_factory=dict)
    """Further names of members, and the names above that they stand for."""


def shape_of(annotation: Any) -> Shape | None:
    """The shape of a class of these kinds, also of a generic one; None of anything else."""
    kind = typing.get_origin(annotation) or annotation
    if not isinstance(kind, type):
        return None
    if typing.is_typeddict(kind):
        return _of_typed_dict(kind, annotation)
    if issubclass(kind, tuple) and hasattr(kind, "_fields"):
        return _of_named_tuple(kind, annotation)
    if issubclass(kind, msgspec.Struct):
        return _of_struct(kind, annotation)
    if hasattr(kind, "__attrs_attrs__"):
        return _of_attrs(kind, annotation)
    if dataclasses.is_dataclass(kind):
        return _of_dataclass(kind, annotation)
    return None


def _of_dataclass(kind: Any, annotation: Any) -> Shape:
    hints = hints_of(annotation)
    stored = dataclasses.fields(kind)
    passed_on = [
        each
        for each in kind.__dataclass_fields__.values()
        if isinstance(hints.get(each.name), dataclasses.InitVar)
    ]
    taken = [each for each in (*stored, *passed_on) if each.init]
    members = []
    for each in taken:
        wanted = hints[each.name]
        if isinstance(wanted, dataclasses.InitVar):
            wanted = wanted.type
        missing = dataclasses.MISSING
        required = each.default is missing and each.default_factory is missing
        members.append(Member(each.name, each.name, wanted, required))
    computed = any(not each.init for each in stored)
    return Shape(
        tuple(members),
        lambda given: kind(**given),
        is_special=computed or bool(passed_on) or not _is_generated(kind, "<string>"),
    )


def _of_attrs(kind: Any, annotation: Any) -> Shape:
    hints = hints_of(annotation)
    taken = [each for each in kind.__attrs_attrs__ if each.init]
    members = []
    others = {}
    special = len(taken) < len(kind.__attrs_attrs__)
    for each in taken:
        name = attrs_member(each)
        required = each.default is not None and type(each.default).__name__ == "_Nothing"
        members.append(Member(name, name, hints.get(each.name, Any), required))
        if name != each.name:
            others[each.name] = name
        special |= name != each.name or bool(each.converter or each.validator)
    return Shape(
        tuple(members),
        lambda given: kind(**given),
        is_special=special
        or not _is_generated(kind, "<attrs generated")
        or hasattr(kind, "__attrs_post_init__")
        or hasattr(kind, "__attrs_pre_init__"),
        also_named=others,
    )


def _is_generated(kind: Any, place: str) -> bool:
    """Whether the class's ``__init__`` is the one that its library made."""
    code = getattr(kind.__init__, "__code__", None)
    return code is not None and code.co_filename.startswith(place)


def _of_typed_dict(kind: Any, annotation: Any) -> Shape:
    members = []
    for name, wanted in hints_of(annotation).items():
        kept, said = _unqualified(wanted)
        # Where annotations are texts, the class itself didn't see what they say.
        required = name in kind.__required_keys__ if said is None else said
        members.append(Member(name, name, kept, required))
    return Shape(tuple(members), lambda given: given)


def _unqualified(wanted: Any) -> tuple[Any, bool | None]:
    """Without Required, NotRequired and ReadOnly, and what those say of its being there."""
    said = None
    while (name := getattr(typing.get_origin(wanted), "_name", "")) in _QUALIFIERS:
        said = {"Required": True, "NotRequired": False}.get(name, said)
        (wanted,) = typing.get_args(wanted)
    return wanted, said


_QUALIFIERS = ("Required", "NotRequired", "ReadOnly")


def _of_named_tuple(kind: Any, annotation: Any) -> Shape:
    hints = hints_of(annotation)
    members = tuple(
        Member(name, name, hints.get(name, Any), name not in kind._field_defaults)
        for name in kind._fields
    )
    return Shape(members, lambda given: kind(**given), is_array=True)


def _of_struct(kind: Any, annotation: Any) -> Shape:
    hints, config = hints_of(annotation), kind.__struct_config__
    told = {each.name: each for each in msgspec.structs.fields(kind)}
    members = tuple(
        Member(each.encode_name, name, hints[name], each.required) for name, each in told.items()
    )

    return Shape(
        members,
        lambda given: kind(**given),
        is_array=config.array_like,
        forbids_others=config.forbid_unknown_fields,
        tag=config.tag,
        tag_field=config.tag_field,
    )


def hints_of(annotation: Any) -> dict[str, Any]:
    """A class's annotations, resolved, with the arguments of a generic one in their places."""
    kind = typing.get_origin(annotation) or annotation
    hints = typing.get_type_hints(kind, include_extras=True)
    given = _variables(kind, typing.get_args(annotation))
    return {name: substituted(wanted, given) for name, wanted in hints.items()}


def _variables(kind: Any, arguments: tuple[Any, ...]) -> dict[Any, Any]:
    given: dict[Any, Any] = dict(zip(getattr(kind, "__parameters__", ()), arguments, strict=False))
    for base in getattr(kind, "__orig_bases__", ()):
        origin = typing.get_origin(base)
        if isinstance(origin, type) and origin is not typing.Generic:
            told = tuple(substituted(each, given) for each in typing.get_args(base))
            given = _variables(origin, told) | given
    return given


def substituted(wanted: Any, given: Mapping[Any, Any]) -> Any:
    """An annotation with its type variables replaced by what is given for them."""
    if isinstance(wanted, TypeVar):
        return given.get(wanted, wanted)
    variables = getattr(wanted, "__parameters__", ())
    if isinstance(wanted, type) or not any(each in given for each in variables):
        return wanted
    return wanted[tuple(given.get(each, each) for each in variables)]


def parts_of(annotation: Any) -> tuple[Any, ...]:
    """The annotations that one is made of."""
    shape = shape_of(annotation)
    if shape is not None:
        return tuple(member.type for member in shape.members)
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return typing.get_args(annotation)[:1]
    if origin is typing.Literal:
        return ()
    if isinstance(annotation, typing.NewType):
        return (annotation.__supertype__,)
    if type(annotation).__name__ == "TypeAliasType":  # from Python 3.12 on
        return (annotation.__value__,)
    return tuple(part for part in typing.get_args(annotation) if part is not ...)
