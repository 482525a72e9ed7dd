"""AWS Flow for Ruby's payloads: YAML as Ruby's Psych writes it, read as plain data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import ConfigurationError
from ..extras import missing
from ..failure import Failure
from ..payloads.parameters import Parameter
from .base import Arguments, DeciderConverter, plain
from .wording import fitted, frames, says, spoken_reason


class FlowRubyConverter(DeciderConverter):
    """For activities that deciders of the AWS Flow Framework for Ruby schedule, with its
    YAMLDataConverter. Needs the extra ``ruby``: ConfigurationError without it.

    Symbols are read as str, Time and Date as datetime and date, BigDecimal as Decimal, objects of
    other Ruby classes as their members: no class is looked up, and tags of any other language
    are refused. A trailing Hash of symbols is the keyword arguments, as in Ruby, unless there is
    exactly one parameter left for it. Aliases are read as long as the whole stays below 32,768
    nodes.

    Results are the plain data that JSON has; ``symbols`` says whether keys of hashes are written
    as symbols (``result[:id]``) or as strings.
    """

    format = "YAML of AWS Flow for Ruby's form, a list of arguments"

    def __init__(self, *, symbols: bool = True) -> None:
        try:
            from . import ruby_yaml
        except ImportError:
            raise ConfigurationError(missing("FlowRubyConverter", "ruby")) from None
        self._yaml = ruby_yaml
        self._symbols = symbols

    def encode_failure(self, failure: Failure) -> tuple[str, str | None]:
        """The reason is the error's message, as Ruby's workers have it; the details are a
        RuntimeError with "Type: message" and Python's calls as its backtrace, as two documents."""
        return spoken_reason(failure), fitted(failure, self._exception)

    def _read(self, text: str) -> Any:
        return self._yaml.load(text).value

    def _arguments(self, text: str, parameters: Sequence[Parameter]) -> Arguments:
        value, ends_in_symbols = self._yaml.load(text)
        if not isinstance(value, list):
            raise TypeError
        if ends_in_symbols and _are_keywords(value[-1], parameters, len(value) - 1):
            return value[:-1], value[-1]
        return value, {}

    def _write(self, value: Any) -> str:
        return self._yaml.dump(plain(value), symbols=self._symbols)

    def _exception(self, failure: Failure) -> str:
        chain = [says(failure.type, failure.message)]
        chain += [f"caused by {says(*cause)}" for cause in failure.causes]
        members = {"message": "\n".join(chain), "retryable": failure.retryable}
        if failure.details is not None:
            members["details"] = failure.details
        calls = reversed(frames(failure.traceback))
        backtrace = [f"{call.file}:{call.line}:in `{call.function}'" for call in calls]
        return self._yaml.dump_exception("RuntimeError", members, backtrace)


def _are_keywords(last: dict[str, Any], parameters: Sequence[Parameter], before: int) -> bool:
    """Whether a trailing Hash of symbols is the keyword arguments, after ``before`` values."""
    left = [p for p in parameters if p.kind == "positional"][before:]
    left += [p for p in parameters if p.kind in ("keyword", "kwargs")]
    if [p.kind for p in left] == ["positional"]:
        return False
    known = any(p.kind == "kwargs" or p.name in last for p in left)
    return known and all(p.name in last for p in left if p.required)
