"""A handler's parameters: where its context goes, and which of them its input fills."""

from __future__ import annotations

import importlib
import inspect
import re
import sys
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .context import ActivityContext
from .errors import ConfigurationError
from .payloads.parameters import Parameter
from .text import safe_str

Arguments = tuple[list[Any], dict[str, Any]]
_CONTEXTS = ("context", "ctx", "activity_context")
"""What people call the context: without an annotation, it would get the input."""
_NAMES_CONTEXT = re.compile(
    r"(?:[\w.]+\.)?ActivityContext(?:\s*\|\s*None)?"
    r"|None\s*\|\s*(?:[\w.]+\.)?ActivityContext"
    r"|(?:[\w.]+\.)?Optional\[\s*[\"']?(?:[\w.]+\.)?ActivityContext[\"']?\s*\]"
)
_KINDS: dict[Any, Any] = {
    inspect.Parameter.POSITIONAL_ONLY: "positional",
    inspect.Parameter.POSITIONAL_OR_KEYWORD: "positional",
    inspect.Parameter.KEYWORD_ONLY: "keyword",
    inspect.Parameter.VAR_POSITIONAL: "args",
    inspect.Parameter.VAR_KEYWORD: "kwargs",
}


@dataclass(frozen=True, slots=True)
class HandlerSignature:
    """How a handler is called."""

    context: str | None
    """The parameter that gets the context."""
    inputs: tuple[Parameter, ...]
    before_context: int
    """How many of the inputs stand before it."""
    by_name: bool
    """Whether the context is passed by its name."""

    @classmethod
    def of(cls, where: str, function: Callable[..., Any]) -> HandlerSignature:
        """Read ``function``'s parameters; ConfigurationError names the one that is wrong."""
        parameters = [_parameter(where, function, raw) for raw in _parameters(where, function)]
        contexts = [at for at, each in enumerate(parameters) if _is_context(each.type)]
        if len(contexts) > 1:
            raise ConfigurationError(f"{where}: more than one parameter is an ActivityContext")
        inputs = tuple(each for at, each in enumerate(parameters) if at not in contexts)
        if not contexts:
            return cls(None, inputs, 0, by_name=False)
        (at,) = contexts
        return cls(parameters[at].name, inputs, at, by_name=parameters[at].kind == "keyword")

    def call(self, args: list[Any], kwargs: dict[str, Any], context: ActivityContext) -> Arguments:
        """The arguments of the call: those of the input, and the context in its place."""
        if self.context is None:
            return args, kwargs
        if self.by_name or len(args) < self.before_context:
            return args, kwargs | {self.context: context}
        return [*args[: self.before_context], context, *args[self.before_context :]], kwargs

    def placed(self, values: dict[str, Any]) -> Arguments:
        """Values by name as arguments: by place as far as none is left out, then by name."""
        args: list[Any] = []
        for each in self.inputs:
            if each.kind != "positional" or each.name not in values:
                break
            args.append(values.pop(each.name))
        return args, values


def _parameters(where: str, function: Callable[..., Any]) -> list[inspect.Parameter]:
    try:
        parameters = list(_signature(function).parameters.values())
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"{where}: its parameters can't be read: {error}") from None
    for parameter in parameters:
        if parameter.name in _CONTEXTS and parameter.annotation is parameter.empty:
            raise ConfigurationError(
                f"{where}: parameter {parameter.name!r} has no annotation; write "
                f"`{parameter.name}: ActivityContext`, or annotate or rename it if it is an input"
            )
    return parameters


def _signature(function: Callable[..., Any]) -> inspect.Signature:
    how: dict[str, Any] = {}
    if sys.version_info >= (3, 14):
        # Annotations are evaluated when they are asked for: what is imported under TYPE_CHECKING
        # only would raise here.
        annotationlib: Any = importlib.import_module("annotationlib")
        how["annotation_format"] = annotationlib.Format.FORWARDREF
    return inspect.signature(function, **how)


def _parameter(where: str, function: Callable[..., Any], raw: inspect.Parameter) -> Parameter:
    return Parameter(
        name=raw.name,
        type=Any if raw.annotation is raw.empty else _resolved(where, function, raw),
        default=raw.default,
        kind=_KINDS[raw.kind],
    )


def _resolved(where: str, function: Callable[..., Any], raw: inspect.Parameter) -> Any:
    annotation = raw.annotation
    text = getattr(annotation, "__forward_arg__", annotation)
    if isinstance(text, str) and _NAMES_CONTEXT.fullmatch(text.strip("\"' ")):
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
            f"{where}: parameter {raw.name!r}: its annotation {text!r} can't be resolved "
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
