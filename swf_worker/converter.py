"""Converters: what texts mean as Python values, and how those are written."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from .errors import InputDecodeError, PayloadTooLargeError, ResultEncodeError
from .outcome import MAX_PAYLOAD
from .payloads.parameters import Parameter
from .payloads.reading import Reader
from .payloads.words import Mismatch, NotJson
from .payloads.writing import compact_json
from .text import printable, safe_str, utf16_units

if TYPE_CHECKING:
    from .failure import Failure


class Converter(Protocol):
    """Reads inputs and writes results. Implement it for payloads that aren't JSON.

    Further methods are optional, and make the whole wire its own: ``decode_arguments`` of a
    ``PositionalConverter``, ``encode_failure`` and ``encode_canceled`` of a ``FailureConverter``.
    One that may block, because it fetches payloads from somewhere, says ``does_io = True``: for
    async handlers it is called beside the event loop, and a CodecError of it that ``may_pass`` is
    retryable, and a result tried again.
    """

    def decode(self, text: str, wanted: Any) -> Any:
        """The value of an input, of the type ``wanted`` (Any where the handler says nothing; an
        ``msgspec.Struct`` of the parameters where the handler takes members). Raises
        InputDecodeError without quoting the value; of anything else that it raises, only the class
        is told, unless the activity has ``failure_messages=True``."""

    def encode(self, value: Any) -> str | None:
        """The text of a result, None for no result. Raises ResultEncodeError."""


class PositionalConverter(Converter, Protocol):
    """One that decides how positional and named arguments come in. Its handlers may have ``*args``
    and ``**kwargs``."""

    def decode_arguments(
        self, text: str | None, parameters: Sequence[Parameter]
    ) -> tuple[Sequence[Any], Mapping[str, Any]]:
        """The call's arguments, by place and by name. ``parameters`` are the handler's, in their
        order, without the context; ``text`` is None where the task has no input. Raises as
        ``decode``."""


class FailureConverter(Converter, Protocol):
    """One that writes failures, and the details of cancellations, as its deciders read them. Either
    of the two may be missing."""

    def encode_canceled(self, details: Any) -> str | None:
        """The details of RespondActivityTaskCanceled, of what ActivityCanceled carries. Shortened
        as those of a failure; where it raises, there are none."""

    def encode_failure(self, failure: Failure) -> tuple[str, str | None]:
        """The reason (256 UTF-16 units at most) and details (32,768) of
        RespondActivityTaskFailed. Called for each failure, also for those that the SDK words
        itself (InputDecodeError, HandlerTimedOut, WorkerShutdown, HandlerDied …). What is longer
        is shortened afterwards; where it raises, the failure goes out with the envelope."""


class JsonConverter:
    """JSON: typed by the handler's annotations (dataclass, TypedDict, attrs, msgspec.Struct,
    enums, dates, pydantic models, …). Members that the type doesn't know are ignored."""

    def decode(self, text: str, wanted: Any) -> Any:
        """The JSON value as ``wanted``; InputDecodeError names the JSON path, not the value."""
        try:
            return _reader(wanted).read(text)
        except NotJson as error:
            said = f"the input is not JSON: {error.expected}"
        except Mismatch as error:
            said = error.told()
        raise InputDecodeError(said)

    def encode(self, value: Any) -> str | None:
        """Compact JSON; None is no result. NaN, infinities, cycles and lone surrogates raise."""
        if value is None:
            return None
        try:
            return compact_json(value)
        except (ValueError, RecursionError) as error:
            said = safe_str(error)
        raise ResultEncodeError(f"the result, a {type(value).__name__}, is not JSON: {said}")


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


def _reader(wanted: Any) -> Reader:
    try:
        return _kept_reader(wanted)
    except TypeError:  # it can't be hashed (or can't be built, which is told again)
        return Reader(wanted)


@functools.lru_cache(maxsize=256)
def _kept_reader(wanted: Any) -> Reader:
    return Reader(wanted)


def encoded_result(converter: Converter, value: Any, *, limited: bool = True) -> str | None:
    """A result's text; ResultEncodeError or, where it is ``limited`` here and not after codecs,
    PayloadTooLargeError. Results are never cut."""
    text = converter.encode(value)
    if text is None:
        return None
    if not isinstance(text, str):
        raise ResultEncodeError(f"the converter made a {type(text).__name__}, not text")
    if text.isascii() and len(text) <= MAX_PAYLOAD:
        return text
    if printable(text) != text:
        raise ResultEncodeError("the result has a lone surrogate, which no JSON in UTF-8 can carry")
    if limited and (units := utf16_units(text)) > MAX_PAYLOAD:
        raise PayloadTooLargeError(
            f"the result has {units:,} characters (UTF-16 units); SWF takes {MAX_PAYLOAD:,}"
        )
    return text
