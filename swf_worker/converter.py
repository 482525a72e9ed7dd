"""Payloads to Python values and back, and how a handler's parameters take them."""

from __future__ import annotations

import inspect
import re
import types
import typing
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, Literal, Protocol

import msgspec

from .context import ActivityContext
from .errors import (
    ConfigurationError,
    InputDecodeError,
    PayloadTooLargeError,
    ResultEncodeError,
)
from .outcome import MAX_PAYLOAD
from .text import NOT_JSON, compact_json, printable, safe_str, utf16_units

# --- converters ---------------------------------------------------------------------------------


class Converter(Protocol):
    """Reads inputs and writes results. Implement it for payloads that aren't JSON."""

    def decode(self, text: str, wanted: Any) -> Any:
        """The value of an input, of the type ``wanted`` (Any where the handler says nothing; an
        ``msgspec.Struct`` of the parameters where the handler takes members). Raises
        InputDecodeError without quoting the value."""

    def encode(self, value: Any) -> str | None:
        """The text of a result, None for no result. Raises ResultEncodeError."""


class JsonConverter:
    """JSON: typed by the handler's annotations (dataclass, TypedDict, attrs, msgspec.Struct,
    enums, dates, pydantic models, …). Members that the type doesn't know are ignored."""

    def decode(self, text: str, wanted: Any) -> Any:
        """The JSON value as ``wanted``; InputDecodeError names the JSON path, not the value."""
        try:
            return msgspec.json.decode(text, type=wanted, dec_hook=_from_plain)
        except msgspec.ValidationError as error:
            raise InputDecodeError(_without_value(safe_str(error))) from None
        except NOT_JSON as error:
            raise InputDecodeError(
                f"the input is not JSON: {safe_str(error)}; for flows whose payloads are plain "
                "text there is converter=TextConverter()"
            ) from None

    def encode(self, value: Any) -> str | None:
        """Compact JSON; None is no result. NaN, infinities, cycles and lone surrogates raise."""
        if value is None:
            return None
        try:
            return compact_json(value)
        except (TypeError, ValueError, RecursionError) as error:
            raise ResultEncodeError(
                f"the result, a {type(value).__name__}, is not JSON: {safe_str(error)}"
            ) from None


class TextConverter:
    """Raw text in and out, for the flows that never used JSON."""

    def decode(self, text: str, wanted: Any) -> str:
        """The text itself, whatever the annotation says."""
        return text

    def encode(self, value: Any) -> str | None:
        """A str as it is, None for no result; anything else raises ResultEncodeError."""
        if value is None:
            return None
        if not isinstance(value, str):
            raise ResultEncodeError(
                f"the result is a {type(value).__name__}; with TextConverter it must be a str"
            )
        try:
            value.encode("utf-8")
        except UnicodeEncodeError as error:
            raise ResultEncodeError(f"the result is not text: {error.reason}") from None
        return value


def _from_plain(wanted: type, value: Any) -> Any:
    if issubclass(wanted, PurePath) and isinstance(value, str):
        return wanted(value)
    validate = getattr(wanted, "model_validate", None)  # pydantic, without importing it
    if validate is None:
        raise TypeError(f"Expected `{wanted.__name__}`, got `{type(value).__name__}`")
    try:
        return validate(value)
    except ValueError as error:
        listed = getattr(error, "errors", None)
        if listed is None:
            raise
        first = listed(include_url=False, include_context=False, include_input=False)[0]
        path = ".".join(str(step) for step in first["loc"])
        raise ValueError(f"{first['msg']} (`{path}`)") from None


def _foreign_types(info: Any, seen: set[int]) -> Iterator[type]:
    """The classes within a type that nothing here can build."""
    if isinstance(info, msgspec.inspect.CustomType):
        buildable = hasattr(info.cls, "model_validate") or issubclass(info.cls, PurePath)
        if not buildable:
            yield info.cls
    elif isinstance(info, (list, tuple)):
        for each in info:
            yield from _foreign_types(each, seen)
    elif isinstance(info, (msgspec.inspect.Type, msgspec.inspect.Field)) and id(info) not in seen:
        seen.add(id(info))
        for name in info.__struct_fields__:
            yield from _foreign_types(getattr(info, name), seen)


def _without_value(message: str) -> str:
    # msgspec quotes the value in two kinds of message, and inputs may be secret.
    said, at, path = message.rpartition(" - at `")
    if not at:
        said, at, path = message, " - at `", "$`"
    for quoting in ("Invalid enum value", "Invalid value"):
        if said.startswith(quoting):
            said = quoting
    return f"{said}{at}{path}"


# --- signatures ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a handler that takes input."""

    name: str
    type: Any
    default: Any
    positional: bool

    @property
    def required(self) -> bool:
        """Whether it has no default."""
        return self.default is inspect.Parameter.empty


Arguments = tuple[list[Any], dict[str, Any]]
_CONTEXTS = ("context", "ctx", "activity_context")
"""What people call the context: without an annotation, it would get the input."""
_NAMES_CONTEXT = re.compile(
    r"(?:[\w.]+\.)?ActivityContext(?:\s*\|\s*None)?"
    r"|None\s*\|\s*(?:[\w.]+\.)?ActivityContext"
    r"|(?:[\w.]+\.)?Optional\[\s*[\"']?(?:[\w.]+\.)?ActivityContext[\"']?\s*\]"
)


@dataclass(frozen=True, slots=True)
class HandlerSignature:
    """How a handler is called: where its context goes, and what its input becomes."""

    context: Parameter | None
    inputs: tuple[Parameter, ...]
    takes: Literal["nothing", "whole", "members"]
    wanted: Any
    ordered: tuple[Parameter, ...]
    """All of them, as they are declared."""

    @classmethod
    def of(
        cls, where: str, function: Callable[..., Any], takes: Literal["whole", "members"] | None
    ) -> HandlerSignature:
        """Read ``function``'s parameters; ConfigurationError names the one that is wrong."""
        parameters = [_parameter(where, function, p) for p in _parameters(where, function)]
        contexts = [p for p in parameters if _is_context(p.type)]
        if len(contexts) > 1:
            raise ConfigurationError(f"{where}: more than one parameter is an ActivityContext")
        inputs = tuple(p for p in parameters if p not in contexts)
        mode = _mode(where, inputs, takes)
        return cls(
            context=contexts[0] if contexts else None,
            inputs=inputs,
            takes=mode,
            wanted=_wanted(where, inputs, mode),
            ordered=tuple(parameters),
        )

    def check(self, where: str, converter: Converter) -> None:
        """Refuse what the converter can't build, at construction rather than at the first task."""
        if isinstance(converter, TextConverter) and self.takes == "members":
            raise ConfigurationError(f"{where}: TextConverter needs one parameter for the text")
        if not isinstance(converter, JsonConverter) or self.takes == "nothing":
            return
        for parameter in self.inputs:
            try:
                info = msgspec.inspect.type_info(parameter.type)
            except Exception as error:  # msgspec raises several types for what it can't build
                raise ConfigurationError(
                    f"{where}: parameter {parameter.name!r}: {safe_str(error)}"
                ) from None
            for foreign in _foreign_types(info, set()):
                raise ConfigurationError(
                    f"{where}: parameter {parameter.name!r}: a {foreign.__name__} can't be built "
                    "from JSON; use a dataclass, TypedDict, attrs or pydantic class, "
                    "msgspec.Struct, or give the activity a converter="
                )

    def arguments(
        self, text: str | None, converter: Converter, context: ActivityContext
    ) -> Arguments:
        """Decode the input into the call's arguments; raises InputDecodeError."""
        if self.takes == "whole" and text is not None:
            values = {self.inputs[0].name: converter.decode(text, self.wanted)}
        else:
            values = self._values(text, converter)
        if self.context is not None:
            values[self.context.name] = context
        positional: list[Any] = []
        keywords: dict[str, Any] = {}
        for index, parameter in enumerate(self.ordered):
            name = parameter.name
            if name not in values:
                continue
            if parameter.positional and len(positional) == index:
                positional.append(values[name])
            else:
                keywords[name] = values[name]
        return positional, keywords

    def _values(self, text: str | None, converter: Converter) -> dict[str, Any]:
        if self.takes == "nothing":
            return {}
        if text is None:
            return self._without_input()
        value = converter.decode(text, self.wanted)
        members = {p.name: getattr(value, p.name) for p in self.inputs}
        return {name: v for name, v in members.items() if v is not msgspec.UNSET}

    def _without_input(self) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for parameter in self.inputs:
            if not parameter.required:
                continue
            if self.takes == "whole" and _admits_none(parameter.type):
                values[parameter.name] = None
                continue
            raise InputDecodeError(
                f"the task has no input, and parameter {parameter.name!r} has no default"
            )
        return values


def _parameters(where: str, function: Callable[..., Any]) -> list[inspect.Parameter]:
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"{where}: its parameters can't be read: {error}") from None
    for parameter in parameters:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise ConfigurationError(
                f"{where}: parameter {parameter.name!r}: *args and **kwargs can't be filled from "
                "an input; name the parameters (if a decorator has them, functools.wraps in it "
                "shows the function's own)"
            )
        if parameter.name in _CONTEXTS and parameter.annotation is parameter.empty:
            raise ConfigurationError(
                f"{where}: parameter {parameter.name!r} has no annotation; write "
                f"`{parameter.name}: ActivityContext`, or annotate or rename it if it is an input"
            )
    return parameters


def _parameter(where: str, function: Callable[..., Any], raw: inspect.Parameter) -> Parameter:
    return Parameter(
        name=raw.name,
        type=Any if raw.annotation is raw.empty else _resolved(where, function, raw),
        default=raw.default,
        positional=raw.kind is not raw.KEYWORD_ONLY,
    )


def _resolved(where: str, function: Callable[..., Any], raw: inspect.Parameter) -> Any:
    annotation = raw.annotation
    if isinstance(annotation, str) and _NAMES_CONTEXT.fullmatch(annotation.strip("\"' ")):
        # It may be imported under TYPE_CHECKING only; the name is unmistakable.
        return ActivityContext
    plain = inspect.unwrap(function)
    plain = inspect.unwrap(getattr(plain, "func", plain))
    plain = getattr(plain, "__func__", plain)
    if not hasattr(plain, "__globals__"):
        plain = getattr(type(plain).__call__, "__wrapped__", type(plain).__call__)
    holder = type("Hints", (), {"__annotations__": {raw.name: annotation}})
    try:
        hints = typing.get_type_hints(
            holder, getattr(plain, "__globals__", {}), {}, include_extras=True
        )
    except Exception as error:  # evaluating an annotation can raise anything
        raise ConfigurationError(
            f"{where}: parameter {raw.name!r}: its annotation {annotation!r} can't be resolved "
            f"({safe_str(error)}); types of handlers must be importable at run time, not only "
            "under TYPE_CHECKING"
        ) from None
    return hints[raw.name]


def _is_context(wanted: Any) -> bool:
    """Also one that may be None: it never is."""
    kinds = [each for each in typing.get_args(wanted) if each is not type(None)]
    if len(kinds) == 1 and typing.get_origin(wanted) in (typing.Union, types.UnionType):
        wanted = kinds[0]
    return isinstance(wanted, type) and issubclass(wanted, ActivityContext)


def _admits_none(wanted: Any) -> bool:
    return wanted is not Any and type(None) in typing.get_args(wanted)


def _mode(
    where: str, inputs: tuple[Parameter, ...], takes: Literal["whole", "members"] | None
) -> Literal["nothing", "whole", "members"]:
    if takes == "whole" and len(inputs) != 1:
        raise ConfigurationError(
            f"{where}: input='whole' needs exactly one parameter beside the context, "
            f"not {len(inputs)}"
        )
    if not inputs:
        return "nothing"
    return takes or ("whole" if len(inputs) == 1 else "members")


def _wanted(where: str, inputs: tuple[Parameter, ...], mode: str) -> Any:
    if mode == "nothing":
        return None
    if mode == "whole":
        return inputs[0].type
    members = [
        (p.name, p.type)
        if p.required
        else (p.name, typing.Union[p.type, msgspec.UnsetType], msgspec.UNSET)
        for p in inputs
    ]
    try:
        return msgspec.defstruct("Input", members, kw_only=True)
    except Exception as error:  # msgspec raises several types for what it can't build
        raise ConfigurationError(f"{where}: {safe_str(error)}") from None


def encoded_result(converter: Converter, value: Any) -> str | None:
    """A result's text; ResultEncodeError or PayloadTooLargeError. Results are never cut."""
    text = converter.encode(value)
    if text is None:
        return None
    if not isinstance(text, str):
        raise ResultEncodeError(f"the converter made a {type(text).__name__}, not text")
    if text.isascii() and len(text) <= MAX_PAYLOAD:
        return text
    if printable(text) != text:
        raise ResultEncodeError("the result has a lone surrogate, which no JSON in UTF-8 can carry")
    if (units := utf16_units(text)) > MAX_PAYLOAD:
        raise PayloadTooLargeError(
            f"the result has {units:,} characters (UTF-16 units); SWF takes {MAX_PAYLOAD:,}"
        )
    return text
