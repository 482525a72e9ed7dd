"""JSON as the value that an annotation says. What msgspec builds just as the class's own library
would, it builds; everything else is built by that library, from its part of the JSON:

- pydantic's models, dataclasses and metadata by a TypeAdapter, in JSON mode;
- attrs classes and dataclasses whose constructor does more than msgspec knows (converters, aliases,
  private names, ``init=False``, InitVar, an ``__init__`` of their own) by that constructor, and so
  all that hold one of the others.

A ``Reader`` is made once, for one annotation; an annotation that can't be served is a TypeError.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import PurePath
from typing import Annotated, Any, Union

import msgspec

from . import classes, models
from .words import Mismatch, NotJson, of_msgspec, refused_by

_NOT_JSON = (msgspec.DecodeError, UnicodeError)


class _Anything(type):
    def __instancecheck__(cls, instance: object) -> bool:
        return True


class StandIn(metaclass=_Anything):
    """What msgspec is told where another builds: a subclass for each, with its ``build``. (msgspec
    asks whether what was built is one.)"""

    build: Callable[[Any], Any]


class Reader:
    """Reads JSON as one annotation.

    ``read`` gives the value of a text. Mismatch where it doesn't fit or is no JSON; nothing else.
    """

    def __init__(self, annotation: Any) -> None:
        names = frozenset(_names_in(annotation))
        decode: Callable[[Any], Any]
        if models.owns(annotation):
            decode = models.model(annotation).read_text
        else:
            wanted = _Plan(names).of(annotation)
            _refuse_foreign(wanted)
            decode = msgspec.json.Decoder(wanted, dec_hook=_hook).decode
        self.read = _guarded(decode, names)


class PlainReader:
    """Reads what JSON holds, read already, as one annotation. ``read`` as of a Reader."""

    def __init__(self, annotation: Any) -> None:
        names = frozenset(_names_in(annotation))
        if models.owns(annotation):
            self.read = _guarded(models.model(annotation).build, names)
            return
        wanted = _Plan(names).of(annotation)
        _refuse_foreign(wanted)
        convert = partial(msgspec.convert, type=wanted, dec_hook=_hook, str_keys=True)
        self.read = _guarded(convert, names)


class MembersReader:
    """Reads a JSON object as several values: of each a name, its annotation, and whether it must be
    there. ``readers`` are theirs, by name. Members that it doesn't know are ignored."""

    def __init__(
        self, members: Sequence[tuple[str, Any, bool]], readers: Mapping[str, Reader]
    ) -> None:
        self._owned = {name: readers[name] for name, wanted, _ in members if models.owns(wanted)}
        known = {name for name, _, _ in members}
        known.update(*(_names_in(wanted) for _, wanted, _ in members))
        names = frozenset(known)
        self._fields = {f"f{at}": name for at, (name, _, _) in enumerate(members)}
        plan, fields = _Plan(names), []
        for field, (name, wanted, required) in zip(self._fields, members, strict=True):
            told = msgspec.Raw if name in self._owned else plan.of(wanted)
            _refuse_foreign(told)
            fields.append(_field(field, told, required))
        within = msgspec.defstruct("Input", fields, rename=self._fields, kw_only=True)
        self._decode = _guarded(msgspec.json.Decoder(within, dec_hook=_hook).decode, names)

    def read(self, text: str | bytes) -> dict[str, Any]:
        """The values of the members that are there. Mismatch as of a Reader."""
        read = self._decode(text)
        found = {}
        for field, name in self._fields.items():
            each = getattr(read, field)
            if each is not msgspec.UNSET:
                found[name] = self._read_owned(name, each) if name in self._owned else each
        return found

    def _read_owned(self, name: str, raw: msgspec.Raw) -> Any:
        try:
            return self._owned[name].read(bytes(raw))
        except Mismatch as error:
            mismatch = error.beneath(f"$.{name}")
        raise mismatch


def _field(name: str, wanted: Any, required: bool) -> tuple[Any, ...]:
    """One of a struct: UNSET where it may be missing, and is."""
    if required:
        return (name, wanted)
    return (name, Union[wanted, msgspec.UnsetType], msgspec.UNSET)


def _guarded(decode: Callable[[Any], Any], names: frozenset[str]) -> Callable[[str | bytes], Any]:
    """``decode``, and nothing but Mismatch of it."""

    def read(text: str | bytes) -> Any:
        try:
            return decode(text)
        except Mismatch as error:
            mismatch = error
        except msgspec.ValidationError as error:
            mismatch = of_msgspec(error, names)
        except _NOT_JSON as error:
            mismatch = not_json(error)
        except (Exception, BaseExceptionGroup) as error:
            mismatch = refused_by(error)
        mismatch.__traceback__ = None
        raise mismatch  # here: with nothing of the value in what it came of

    return read


def not_json(error: Exception) -> Mismatch:
    """What is wrong with a text that is no JSON: msgspec says the place, and not what is there."""
    said = str(error) if isinstance(error, msgspec.DecodeError) else "it is no text in UTF-8"
    return NotJson(said)


def _hook(wanted: type, value: Any) -> Any:
    if issubclass(wanted, StandIn):
        return wanted.build(value)
    if issubclass(wanted, PurePath) and isinstance(value, str):
        return wanted(value)
    raise Mismatch(f"Expected `{wanted.__name__}`, got `{type(value).__name__}`")


class _Plan:
    """An annotation in which stand-ins take the places of what msgspec wouldn't build right."""

    def __init__(self, names: frozenset[str]) -> None:
        self._names = names
        self._special: dict[Any, bool] = {}
        self._stand_ins: dict[Any, type[StandIn]] = {}

    def of(self, annotation: Any) -> Any:
        """``annotation`` as msgspec is to be told it."""
        if not self._reaches(annotation):
            return annotation
        if models.owns(annotation):
            return self._stand_in(annotation, lambda: models.model(annotation).build)
        shape = classes.shape_of(annotation)
        if shape is not None:
            return self._stand_in(annotation, lambda: self._built(shape))
        return self._with_parts(annotation)

    def _with_parts(self, annotation: Any) -> Any:
        """A container, a union, or what is annotated, of what its parts become."""
        parts = typing.get_args(annotation)
        origin = typing.get_origin(annotation)
        if origin is Annotated:
            return Annotated[self.of(parts[0]), *annotation.__metadata__]
        if isinstance(annotation, typing.NewType):
            return self.of(annotation.__supertype__)
        if _is_alias(annotation):
            return self.of(annotation.__value__)
        told = tuple(part if part is ... else self.of(part) for part in parts)
        if origin in (Union, types.UnionType):
            return Union[told]
        if isinstance(origin, type) and issubclass(origin, Mapping) and _is_stand_in(told[0]):
            raise TypeError(f"the keys of {annotation} can't be built: use plain ones")
        return origin[told] if len(told) != 1 else origin[told[0]]

    def _stand_in(self, annotation: Any, builder: Callable[[], Callable[[Any], Any]]) -> Any:
        key = _key(annotation)
        if key not in self._stand_ins:
            kind: Any = _Anything("StandIn", (StandIn,), {})
            self._stand_ins[key] = kind  # first: a class may hold itself
            kind.build = staticmethod(builder())
        return self._stand_ins[key]

    def _built(self, shape: classes.Shape) -> Callable[[Any], Any]:
        """Read the members, each as it is annotated; then call what builds."""
        members = [(f"f{at}", member) for at, member in enumerate(shape.members)]
        within = msgspec.defstruct(
            "Members",
            [_field(name, self.of(member.type), member.required) for name, member in members],
            rename={name: member.name for name, member in members},
            array_like=shape.is_array,
            forbid_unknown_fields=shape.forbids_others,
            tag=shape.tag,
            tag_field=shape.tag_field,
            kw_only=not shape.is_array,
        )
        names, others = self._names, shape.also_named

        def build(value: Any) -> Any:
            if others and isinstance(value, dict):
                value = {others.get(key, key): each for key, each in value.items()}
            try:
                read = msgspec.convert(value, within, dec_hook=_hook, str_keys=True)
            except msgspec.ValidationError as error:
                mismatch = of_msgspec(error, names)
            else:
                given = {
                    member.argument: each
                    for name, member in members
                    if (each := getattr(read, name)) is not msgspec.UNSET
                }
                try:
                    return shape.build(given)
                except (Exception, BaseExceptionGroup) as error:
                    mismatch = refused_by(error)
            raise mismatch

        return build

    def _reaches(self, annotation: Any) -> bool:
        """Whether anything in it must be built by another than msgspec."""
        key = _key(annotation)
        if key not in self._special:
            self._special[key] = any(map(_is_special, _all_in(annotation, set())))
        return self._special[key]


def _is_special(annotation: Any) -> bool:
    if models.owns(annotation):
        return True
    shape = classes.shape_of(annotation)
    return shape is not None and shape.is_special


def _all_in(annotation: Any, seen: set[Any]) -> Iterator[Any]:
    """An annotation and all that it is made of, but for what pydantic owns: that is one."""
    key = _key(annotation)
    if key in seen:
        return
    seen.add(key)
    yield annotation
    if not models.owns(annotation):
        for part in classes.parts_of(annotation):
            yield from _all_in(part, seen)


def _names_in(annotation: Any) -> Iterator[str]:
    """The members that the classes in it know."""
    for each in _all_in(annotation, set()):
        if models.owns(each):
            yield from models.names_of(each)
        elif shape := classes.shape_of(each):
            yield from (member.name for member in shape.members)


def _key(annotation: Any) -> Any:
    try:
        hash(annotation)
    except TypeError:
        return id(annotation)
    return (annotation, str(annotation))  # Literal[1] and Literal[True] are equal, and differ


def _is_stand_in(told: Any) -> bool:
    return isinstance(told, type) and issubclass(told, StandIn)


def _is_alias(annotation: Any) -> bool:
    return type(annotation).__name__ == "TypeAliasType"


def _refuse_foreign(wanted: Any) -> None:
    """TypeError where a class is in it that nothing here can build."""
    try:
        root = msgspec.inspect.type_info(wanted)
    except TypeError:
        msgspec.json.Decoder(wanted)  # says what it can't build; some that it can, older ones
        return  # of its inspections can't describe (a Literal of texts and numbers)
    for info in _infos(root, set()):
        is_custom = isinstance(info, msgspec.inspect.CustomType)
        if is_custom and not issubclass(info.cls, (StandIn, PurePath)):
            raise TypeError(
                f"a {info.cls.__name__} can't be built from JSON; use a dataclass, TypedDict, "
                "attrs or pydantic class, msgspec.Struct, or give the activity a converter="
            )


def _infos(info: Any, seen: set[int]) -> Iterable[Any]:
    if isinstance(info, (list, tuple)):
        for each in info:
            yield from _infos(each, seen)
    elif isinstance(info, (msgspec.inspect.Type, msgspec.inspect.Field)) and id(info) not in seen:
        seen.add(id(info))
        yield info
        for name in info.__struct_fields__:
            yield from _infos(getattr(info, name), seen)
