"""What the converters share: errors that quote nothing, plain values, binding."""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec

from ..errors import InputDecodeError, ResultEncodeError
from ..failure import Failure
from ..payloads.binding import bind
from ..payloads.parameters import Parameter
from ..payloads.writing import compact_json
from ..text import safe_str

Arguments = tuple[list[Any], dict[str, Any]]

MALFORMED = (
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)
"""What reading hostile text may raise, whatever the format."""
_ESCAPED_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


class DeciderConverter(ABC):
    """A converter for the payloads of one kind of decider.

    ``format`` names what an input should have been, for the errors. A subclass reads a text to
    plain values, says which of them are the arguments, and writes results and failures.
    """

    format: str

    def decode(self, text: str, wanted: Any) -> Any:
        """The value of a text, as ``wanted``; InputDecodeError where it is another format or
        doesn't fit, quoting nothing of it."""
        text = self._resolved(text)
        with self._reading():
            value = self._read(text)
        (value,), _ = bind([Parameter("input", wanted)], [value], {})
        return value

    def decode_arguments(self, text: str | None, parameters: Sequence[Parameter]) -> Arguments:
        """The arguments that the decider gave, as the parameters' types; none without a text.
        Raises InputDecodeError as ``decode`` does."""
        args: list[Any] = []
        kwargs: dict[str, Any] = {}
        if text is not None:
            text = self._resolved(text)
            with self._reading():
                args, kwargs = self._arguments(text, parameters)
        return bind(parameters, args, kwargs)

    def encode(self, value: Any) -> str | None:
        """The text of a result. None is written, too: these deciders read a result's text and
        fail where there is none. Raises ResultEncodeError."""
        try:
            text = self._write(value)
            text.encode("utf-8")  # a lone surrogate is a UnicodeEncodeError, a ValueError
        except (TypeError, ValueError, ArithmeticError, RecursionError) as error:
            raise ResultEncodeError(
                f"the result, a {type(value).__name__}, has no form here: {safe_str(error)}"
            ) from None
        return text

    @abstractmethod
    def encode_failure(self, failure: Failure) -> tuple[str, str | None]:
        """The reason (at most 256 UTF-16 units) and the details (at most 32,768, which the
        decider can parse)."""

    @abstractmethod
    def _read(self, text: str) -> Any:
        """The plain value of a text; raises InputDecodeError or one of MALFORMED."""

    @abstractmethod
    def _arguments(self, text: str, parameters: Sequence[Parameter]) -> Arguments:
        """The arguments that an input's text has for these parameters; the same errors."""

    @abstractmethod
    def _write(self, value: Any) -> str:
        """The text of a value; ValueError, TypeError or RecursionError where it has none."""

    def _resolved(self, text: str) -> str:
        """The text itself, where an input can be a reference to it. What is raised passes."""
        return text

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except MALFORMED as error:
            # The error's own words may quote the input, which may be secret.
            raise InputDecodeError(
                f"the input is not {self.format} ({type(error).__name__})"
            ) from None


def read_json(text: str, **hooks: Any) -> Any:
    """The value of a JSON text, with the NaN and Infinity that Python's deciders write;
    ValueError or RecursionError, also for lone surrogates, raw or escaped."""
    text.encode("utf-8")
    value = json.loads(text, **hooks)
    if _ESCAPED_SURROGATE.search(text):
        json.dumps(value, ensure_ascii=False, default=str).encode("utf-8")
    return value


def write_json(value: Any) -> str:
    """Compact JSON of plain values; ValueError for NaN and infinities."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def plain(value: Any) -> Any:
    """The JSON form of any value: of a dataclass, its members."""
    return json.loads(compact_json(value))


def members(value: Any, kept: tuple[type, ...]) -> Any:
    """One value as dicts, lists and scalars, where those of the types ``kept`` stay as they are
    (any that msgspec knows: datetime, Decimal, …)."""
    return msgspec.to_builtins(value, str_keys=True, builtin_types=kept, enc_hook=plain)


def key(name: Any) -> str:
    """A mapping's key as JSON has it."""
    return name if type(name) is str else next(iter(plain({name: None})))
