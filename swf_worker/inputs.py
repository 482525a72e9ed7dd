"""How an activity's input becomes the arguments of its handler.

What decides it is settled once, when the handler is registered. Deciders and handlers are deployed
apart from each other: an input of before still fits after a parameter was added or taken away,
wherever that can be told.
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, TypeVar

import msgspec

from .codecs.chain import Codec, unapply
from .converter import Converter, JsonConverter, TextConverter
from .errors import CodecError, ConfigurationError, InputDecodeError
from .payloads.kinds import objects_of
from .payloads.parameters import Parameter
from .payloads.reading import MembersReader, PlainReader, Reader
from .payloads.words import Mismatch, NotJson
from .signature import Arguments, HandlerSignature
from .text import safe_str

R = TypeVar("R")
Takes = Literal["whole", "members"] | None
_RAW_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_SPACE = " \t\r\n"


@dataclass(frozen=True, slots=True)
class Inputs:
    """Reads inputs for one handler."""

    read: Callable[[str | None], Arguments]
    """The arguments but for the context. Raises InputDecodeError, whatever is raised within."""
    unclear: tuple[str, str] | None = None
    """Where an object could be meant in two ways: the parameter it names, and how it is taken."""


def inputs_of(
    where: str,
    signature: HandlerSignature,
    converter: Converter,
    takes: Takes,
    *,
    codecs: Sequence[Codec] = (),
    with_messages: bool = False,
) -> Inputs:
    """Settle it; ConfigurationError says which parameter can't be filled, and why.

    ``with_messages`` lets out what user code says of an input that it refuses.
    """
    parameters = signature.inputs
    guarded = partial(_guarded, converter=converter, codecs=codecs, with_messages=with_messages)
    own = getattr(converter, "decode_arguments", None)
    if callable(own):
        for each in parameters:
            _made(where, each, PlainReader)
        return Inputs(guarded(lambda text: _by(own, text, parameters)))
    for each in parameters:
        if each.kind in ("args", "kwargs"):
            raise ConfigurationError(
                f"{where}: parameter {each.name!r}: *args and **kwargs can't be filled from an "
                "input, but by a converter with decode_arguments; name the parameters (if a "
                "decorator has them, functools.wraps in it shows the function's own)"
            )
    if not parameters:
        return Inputs(lambda text: ([], {}))
    target = _target(where, parameters, takes)
    missing = partial(_missing, signature, target)
    if getattr(type(converter), "decode", None) is JsonConverter.decode:
        json = _Json(where, signature, target, takes)
        return Inputs(guarded(json.read, missing), json.unclear)
    return Inputs(guarded(_Other(where, signature, target, takes, converter).read, missing))


def _by(own: Callable[..., Any], text: str | None, parameters: tuple[Parameter, ...]) -> Arguments:
    args, kwargs = own(text, parameters)
    return list(args), dict(kwargs)


def _target(where: str, parameters: tuple[Parameter, ...], takes: Takes) -> Parameter | None:
    """The parameter that a whole input goes to: the one without a default, or else the first."""
    required = [each for each in parameters if each.required]
    if takes == "whole" and len(required) > 1:
        raise ConfigurationError(
            f"{where}: input='whole' needs exactly one parameter without a default beside the "
            f"context, not {len(required)}"
        )
    if takes == "members" or len(required) > 1:
        return None
    return required[0] if required else parameters[0]


def _missing(signature: HandlerSignature, target: Parameter | None) -> Arguments:
    """What a task without an input gives: None to the one parameter that may be that."""
    required = [each for each in signature.inputs if each.required]
    if required == [target] and target is not None and _admits_none(target.type):
        return signature.placed({target.name: None})
    if required:
        raise InputDecodeError(
            f"the task has no input, and parameter {required[0].name!r} has no default"
        )
    return [], {}


def _admits_none(wanted: Any) -> bool:
    return wanted is not Any and type(None) in typing.get_args(wanted)


def _guarded(
    arguments: Callable[[Any], Arguments],
    missing: Callable[[], Arguments] | None = None,
    *,
    converter: Converter,
    codecs: Sequence[Codec],
    with_messages: bool,
) -> Callable[[str | None], Arguments]:
    """Nothing but InputDecodeError gets out, and nothing of the input with it; or a CodecError that
    may pass: it says nothing of the input itself."""

    def read(text: str | None) -> Arguments:
        try:
            if codecs:
                text = unapply(codecs, text)
            return arguments(text) if missing is None or text is not None else missing()
        except NotJson as error:
            said = (
                f"the input is not JSON: {error.expected}; for flows whose payloads are plain text "
                "there is converter=TextConverter()"
            )
        except Mismatch as error:
            said = error.told(with_messages=with_messages)
        except CodecError as error:
            if error.may_pass:
                raise
            said = str(error)
        except InputDecodeError as error:
            said = str(error)  # ours, or what a converter says in its own words
        except (Exception, BaseExceptionGroup) as error:
            said = f"{type(converter).__name__} raised {type(error).__name__}"
            if with_messages:
                said += f": {safe_str(error)}"
        raise InputDecodeError(said)  # here: with no context that holds the value

    return read


class _Json:
    """By msgspec and the types' own libraries, with readers that are made once."""

    def __init__(
        self,
        where: str,
        signature: HandlerSignature,
        target: Parameter | None,
        takes: Takes,
    ) -> None:
        parameters = signature.inputs
        self._placed = signature.placed
        self._target = target
        readers = {each.name: _made(where, each, Reader) for each in parameters}
        members = [(each.name, each.type, each.required) for each in parameters]
        self._members = MembersReader(members, readers)
        self.unclear: tuple[str, str] | None = None
        self.read: Callable[[str], Arguments] = self._as_members
        """The arguments of a text; raises Mismatch."""
        if target is None:
            return
        self._whole = readers[target.name].read
        self._is_first = target is parameters[0] and target.kind == "positional"
        self._names = frozenset(each.name for each in parameters)
        self._quoted = tuple(f'"{name}"' for name in self._names)
        objects, known = objects_of(target.type)
        self._known = known or frozenset()
        if takes == "whole":
            self.read = self._as_whole
        elif not objects:
            self.read = self._by_shape
        elif known is None or known & self._names:
            alone = len(parameters) == 1
            self.unclear = (target.name, "whole" if alone else "members")
            self.read = self._as_whole if alone else self._by_target
        else:
            self.read = self._by_names

    def _as_members(self, text: str) -> Arguments:
        return self._placed(self._members.read(text))

    def _as_whole(self, text: str) -> Arguments:
        assert self._target is not None
        if self._is_first:
            return [self._whole(text)], {}
        return self._placed({self._target.name: self._whole(text)})

    def _by_shape(self, text: str) -> Arguments:
        """The target takes no objects: an object has the parameters as members."""
        if text[:1] == "{" or (text[:1] in _SPACE and text.lstrip(_SPACE)[:1] == "{"):
            return self._as_members(text)
        return self._as_whole(text)

    def _by_names(self, text: str) -> Arguments:
        """The target takes objects with other members than the parameters' names."""
        named = self._named(text)
        if named:
            return self._as_members(text)
        assert self._target is not None
        if named is None or self._target.required or len(self._names) == 1:
            return self._as_whole(text)
        # All have defaults. An object with none of their names is the target, if it has one of its
        # members, and else nothing to anybody.
        found = _members_of(text)
        return self._as_whole(text) if found is None or found & self._known else ([], {})

    def _by_target(self, text: str) -> Arguments:
        """It can't be told for sure: an object that names the target has members."""
        named = self._named(text)
        assert self._target is not None
        if named is None or (self._target.required and self._target.name not in named):
            return self._as_whole(text)
        return self._as_members(text)

    def _named(self, text: str) -> frozenset[str] | None:
        """The parameters that an object names; None where the text is no object."""
        if text.lstrip(_SPACE)[:1] != "{":
            return None
        if not any(quoted in text for quoted in self._quoted):
            return frozenset()  # most inputs are told here, without a look into them
        return self._names & (_members_of(text) or frozenset())


def _members_of(text: str) -> frozenset[str] | None:
    """The names in an object; None where the text is no JSON: who reads it says so."""
    try:
        return frozenset(_RAW_MEMBERS.decode(text))
    except (msgspec.DecodeError, UnicodeError):
        return None


class _Other:
    """By a converter of the user's: the input whole, or a struct of the parameters."""

    def __init__(
        self,
        where: str,
        signature: HandlerSignature,
        target: Parameter | None,
        takes: Takes,
        converter: Converter,
    ) -> None:
        parameters = signature.inputs
        self._placed = signature.placed
        text_alone = isinstance(converter, TextConverter)
        if text_alone and target is None:
            raise ConfigurationError(f"{where}: TextConverter needs one parameter for the text")
        self._decode = converter.decode
        self._names = [each.name for each in parameters]
        self._target = target if len(parameters) == 1 or takes == "whole" or text_alone else None
        if self._target is None:
            fields = [
                (each.name, each.type)
                if each.required
                else (each.name, typing.Union[each.type, msgspec.UnsetType], msgspec.UNSET)
                for each in parameters
            ]
            try:
                self._wanted: Any = msgspec.defstruct("Input", fields, kw_only=True)
            except Exception as error:  # msgspec raises several types for what it can't build
                raise ConfigurationError(f"{where}: {safe_str(error)}") from None
        else:
            self._wanted = self._target.type

    def read(self, text: str) -> Arguments:
        """The arguments of a text; raises whatever the converter does."""
        value = self._decode(text, self._wanted)
        if self._target is not None:
            return self._placed({self._target.name: value})
        found = {name: getattr(value, name) for name in self._names}
        return self._placed({n: each for n, each in found.items() if each is not msgspec.UNSET})


def _made(where: str, parameter: Parameter, reader: Callable[[Any], R]) -> R:
    """A parameter's reader. What can't be built is refused here, and not at the first task."""
    try:
        return reader(parameter.type)
    except Exception as error:  # msgspec and pydantic raise several types for what they can't build
        raise ConfigurationError(
            f"{where}: parameter {parameter.name!r}: {safe_str(error)}"
        ) from None
