"""What pydantic owns: its models, its dataclasses, and whatever its metadata stands on. It is built
by pydantic, in JSON mode, and only where its user has installed it."""

from __future__ import annotations

import datetime
import functools
import types
import typing
from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, Any, Union

import msgspec

from .classes import parts_of
from .words import NotJson, of_pydantic, refused_by

_METADATA = ("pydantic", "pydantic_core", "annotated_types")


def owns(annotation: Any) -> bool:
    """Whether pydantic has to build it."""
    kind = typing.get_origin(annotation) or annotation
    if kind is Annotated:
        return any(_is_metadata(each) for each in annotation.__metadata__)
    if kind in (Union, types.UnionType):
        parts = [part for part in typing.get_args(annotation) if part is not type(None)]
        return len(parts) > 1 and any(_reaches(part, set()) for part in parts)
    if isinstance(kind, type) and issubclass(kind, dict):
        arguments = typing.get_args(annotation)
        return bool(arguments) and owns(arguments[0])
    return isinstance(kind, type) and _is_model(kind)


def _is_model(kind: type) -> bool:
    return hasattr(kind, "__pydantic_validator__") or callable(
        getattr(kind, "model_validate", None)
    )


def _is_metadata(each: Any) -> bool:
    package = type(each).__module__.partition(".")[0]
    return package in _METADATA or hasattr(type(each), "__get_pydantic_core_schema__")


def _reaches(annotation: Any, seen: set[int]) -> bool:
    """Whether something in a member of a union is pydantic's; not what is in another's class."""
    if id(annotation) in seen:
        return False
    seen.add(id(annotation))
    if owns(annotation):
        return True
    if isinstance(annotation, type):
        return False
    return any(_reaches(part, seen) for part in parts_of(annotation))


class Model:
    """Builds values of an annotation that pydantic owns."""

    def __init__(self, annotation: Any) -> None:
        self._names = frozenset(names_of(annotation))
        self._adapter = _adapter(annotation)

    def read_text(self, text: str | bytes) -> Any:
        """The value of a JSON text. Mismatch where it doesn't fit."""
        import pydantic

        try:
            return self._adapter.validate_json(text)
        except pydantic.ValidationError as error:
            mismatch = of_pydantic(error, self._names, _kinds(), self._said)
        except UnicodeError:
            mismatch = NotJson("it is no text in UTF-8")
        except (Exception, BaseExceptionGroup) as error:
            mismatch = refused_by(error)
        raise mismatch

    @functools.cached_property
    def _said(self) -> frozenset[object]:
        """The numbers and texts that the type itself holds: its limits are among them."""
        return frozenset(_scalars(getattr(self._adapter, "core_schema", None), set()))

    def build(self, value: Any) -> Any:
        """The value of what JSON holds: still in JSON mode, in which a text may be a date."""
        return self.read_text(msgspec.json.encode(value))


def _scalars(schema: Any, seen: set[int]) -> Iterator[object]:
    if isinstance(schema, (str, int, float, Decimal, datetime.date, datetime.timedelta)):
        yield schema
    elif isinstance(schema, type):
        yield schema.__name__
    elif isinstance(schema, (dict, list, tuple)) and id(schema) not in seen:
        seen.add(id(schema))
        for each in schema.values() if isinstance(schema, dict) else schema:
            yield from _scalars(each, seen)


class LooksLikeModel:
    """A class with a ``model_validate`` of its own."""

    def __init__(self, kind: Any) -> None:
        self._kind = kind

    def read_text(self, text: str | bytes) -> Any:
        """As above."""
        return self.build(msgspec.json.decode(text))

    def build(self, value: Any) -> Any:
        """As above."""
        try:
            return self._kind.model_validate(value)
        except (Exception, BaseExceptionGroup) as error:
            mismatch = refused_by(error)
        raise mismatch


def model(annotation: Any) -> Model | LooksLikeModel:
    """What builds it; TypeError where pydantic can't, or isn't there."""
    if isinstance(annotation, type) and not hasattr(annotation, "__pydantic_validator__"):
        return LooksLikeModel(annotation)
    return Model(annotation)


def _adapter(annotation: Any) -> Any:
    try:
        from pydantic import ConfigDict, TypeAdapter
        from pydantic.errors import PydanticUserError
    except ImportError:
        raise TypeError(f"{annotation} needs pydantic, which isn't installed") from None
    try:
        if typing.get_origin(annotation) is Annotated:
            try:  # as strict as every other annotation is here
                return TypeAdapter(annotation, config=ConfigDict(strict=True))
            except PydanticUserError:
                pass  # a model says itself how strict it is
        return TypeAdapter(annotation)
    except Exception as error:
        raise TypeError(f"pydantic can't build it: {str(error).splitlines()[0]}") from None


@functools.cache
def _kinds() -> frozenset[str]:
    from pydantic_core.core_schema import ErrorType

    return frozenset(typing.get_args(ErrorType))


def names_of(annotation: Any) -> set[str]:
    """The members that its models know, by name and by alias."""
    names: set[str] = set()
    _collect(annotation, names, set())
    return names


def _collect(annotation: Any, names: set[str], seen: set[int]) -> None:
    if id(annotation) in seen:
        return
    seen.add(id(annotation))
    for name, info in _fields(annotation).items():
        names.add(name)
        for alias in (info.alias, info.validation_alias):
            names.update(_texts(alias))
        _collect(info.annotation, names, seen)
    for part in parts_of(annotation) if not _fields(annotation) else ():
        _collect(part, names, seen)


def _fields(annotation: Any) -> dict[str, Any]:
    kind = typing.get_origin(annotation) or annotation
    found = getattr(kind, "__pydantic_fields__", None)
    if found is None and hasattr(kind, "__pydantic_validator__"):
        found = getattr(kind, "model_fields", None)  # of models before pydantic 2.10
    return found if isinstance(found, dict) else {}


def _texts(alias: Any) -> list[str]:
    """The names in an alias, an AliasPath or AliasChoices."""
    if isinstance(alias, str):
        return [alias]
    within = getattr(alias, "choices", None) or getattr(alias, "path", None) or ()
    return [text for each in within for text in (_texts(each) if not isinstance(each, int) else ())]


def open_or_members(annotation: Any) -> frozenset[str] | None:
    """The members that a model takes; None where it takes any."""
    kind = typing.get_origin(annotation) or annotation
    config = getattr(kind, "model_config", None) or getattr(kind, "__pydantic_config__", None) or {}
    fields = _fields(annotation)
    if not fields or config.get("extra") == "allow" or "root" in fields:
        return None
    names = set(fields)
    for info in fields.values():
        names.update(_texts(info.alias), _texts(info.validation_alias))
    return frozenset(names)
