"""The wording of failures: text rules, and the envelope that is every SDK failure's details.

The envelope is JSON within SWF's limit, always parseable: ``version``, ``type``, ``message``,
``retryable``, ``details``, ``cause`` (nested), ``exceptions`` (of a group) and ``traceback``.
When it is too long its texts are shortened first, then its deepest causes dropped.
``failure_envelope.schema.json``, beside this file, says it for machines.
"""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib import resources
from typing import Any

from .codecs.chain import Codec
from .coded import within
from .errors import ActivityFailed, CodecError
from .outcome import MAX_PAYLOAD, MAX_REASON, Failed, FailureReason
from .payloads.writing import compact_json
from .text import (
    bounded_text,
    printable,
    safe_str,
    shorten,
    shorten_pair,
    utf16_units,
)

ENVELOPE_VERSION = 1
_DEEPEST_CAUSE = 100
_FRAMES = 60
_MEMBERS = 20


def envelope_schema() -> dict[str, Any]:
    """The JSON Schema of the envelope, version 1."""
    file = resources.files("swf_worker").joinpath("failure_envelope.schema.json")
    schema: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return schema


@dataclass(frozen=True, slots=True)
class Failure:
    """A failure before it is written, as a converter's ``encode_failure`` gets it."""

    reason: str
    """What the reason would be: the error's class, an ActivityFailed's reason, a FailureReason."""
    message: str
    type: str
    """The error's class, or the FailureReason."""
    module: str
    """The module of that class; "" where the SDK words the failure itself."""
    retryable: bool
    details: Any = None
    """An ActivityFailed's, as it was raised; what the SDK adds to its own."""
    traceback: str = ""
    """The innermost 60 frames at most; "" where there are none, or none are sent."""
    causes: tuple[tuple[str, str], ...] = ()
    """Class and message of what it came of, from the nearest to the deepest."""


EncodeFailure = Callable[[Failure], tuple[str, str | None]]


@dataclass(frozen=True, slots=True)
class FailureWording:
    """Words failures. ``tracebacks`` says whether envelopes carry them, ``encode`` is the
    converter's ``encode_failure``, where it has one, and ``encode_canceled`` so; ``codecs`` is what
    all details go through."""

    tracebacks: bool = True
    encode: EncodeFailure | None = None
    encode_canceled: Callable[[Any], str | None] | None = None
    codecs: tuple[Codec, ...] = ()

    def of(self, converter: object, codecs: tuple[Codec, ...] = ()) -> FailureWording:
        """The same, as this converter writes failures; with the envelope, where it doesn't."""
        encode = getattr(converter, "encode_failure", None)
        canceled = getattr(converter, "encode_canceled", None)
        if (encode, canceled, codecs) == (self.encode, self.encode_canceled, self.codecs):
            return self
        return replace(self, encode=encode, encode_canceled=canceled, codecs=codecs)

    def canceled(self, value: Any) -> str | None:
        """The details of a cancellation: as the converter writes them, or as any."""
        if self.encode_canceled is not None:
            try:
                return self.details(_text_or_none(self.encode_canceled(value)))
            except Exception:  # what breaks their decider is worse than nothing
                return None
        return self.details(value)

    def details(self, value: Any) -> str | None:
        """The text of details: a str as it is, anything else as JSON, None for none."""
        try:
            return within(self.codecs, lambda room: bounded_text(value, room), MAX_PAYLOAD)[0]
        except CodecError as error:  # the answer goes out all the same, with nothing uncoded
            return f"the details can't be written: {error}"

    def of_exception(self, error: BaseException) -> Failed:
        """A handler's exception as Failed: by its own words, or the class's name and envelope."""
        if isinstance(error, ActivityFailed):
            return self._as_it_says(error)
        name = type(error).__name__
        return self._written(
            shorten(printable(name), MAX_REASON), name, _message(error), retryable=True, error=error
        )

    def _as_it_says(self, error: ActivityFailed) -> Failed:
        name = type(error).__name__
        reason = bounded_text(error.reason, MAX_REASON) or shorten(printable(name), MAX_REASON)
        if error.retryable is None and self.encode is None:
            return Failed(reason, self.details(error.details))
        return self._written(
            reason,
            name,
            reason,
            retryable=error.retryable is None or bool(error.retryable),
            details=error.details,
            error=error,
        )

    def of_sdk(
        self,
        reason: FailureReason,
        message: str,
        *,
        details: Any = None,
        error: BaseException | None = None,
    ) -> Failed:
        """A failure that the SDK words itself."""
        return self._written(
            reason.value,
            reason.value,
            message,
            retryable=reason.retryable,
            details=details,
            error=error,
            by_sdk=True,
        )

    def _written(
        self,
        reason: str,
        kind: str,
        message: str,
        *,
        retryable: bool,
        details: Any = None,
        error: BaseException | None = None,
        by_sdk: bool = False,
    ) -> Failed:
        if self.encode is not None:
            module = "" if by_sdk or error is None else type(error).__module__
            causes = [] if error is None else _causes(error)
            failure = Failure(
                reason=reason,
                message=printable(message),
                type=printable(kind),
                module=module,
                retryable=retryable,
                details=details,
                traceback="" if error is None or not self.tracebacks else _frames(error),
                causes=tuple((each["type"], each["message"]) for each in causes),
            )
            with suppress(Exception):  # the failure goes out all the same
                said, text = self.encode(failure)
                given = self.details(_text_or_none(text))
                return Failed(bounded_text(said, MAX_REASON) or reason, given)

        def envelope(limit: int) -> str:
            return self.envelope(
                kind, message, retryable=retryable, details=details, error=error, limit=limit
            )

        try:
            return Failed(reason, within(self.codecs, envelope, MAX_PAYLOAD)[0])
        except CodecError as failed:
            kept = f"the details can't be written: {failed}"
            return Failed(reason, self.envelope(kind, kept, retryable=retryable))

    def envelope(
        self,
        kind: str,
        message: str,
        *,
        retryable: bool,
        details: Any = None,
        error: BaseException | None = None,
        limit: int = MAX_PAYLOAD,
    ) -> str:
        """The envelope's JSON text, within ``limit`` UTF-16 units (SWF's own is 32,768)."""
        document: dict[str, Any] = {
            "version": ENVELOPE_VERSION,
            "type": printable(kind),
            "message": printable(message),
            "retryable": retryable,
        }
        if details is not None:
            document["details"] = _plain(details)
        causes = _causes(error) if error is not None else []
        if isinstance(error, BaseExceptionGroup):
            document["exceptions"] = [
                {"type": printable(type(each).__name__), "message": _message(each)}
                for each in error.exceptions[:_MEMBERS]
            ]
        if self.tracebacks and error is not None:
            document["traceback"] = _frames(error)
        return _fit(document, causes, limit)


def _text_or_none(text: Any) -> str | None:
    if text is None or isinstance(text, str):
        return text
    raise TypeError("a converter's details must be text")


def _message(error: BaseException) -> str:
    """Its text; a group's with those of its members, as of every failing TaskGroup."""
    if not isinstance(error, BaseExceptionGroup):
        return safe_str(error)
    members = (f"{type(each).__name__}: {_message(each)}" for each in error.exceptions[:_MEMBERS])
    return f"{safe_str(error)}: {'; '.join(members)}"


def _plain(details: Any) -> Any:
    try:
        return json.loads(compact_json(details))
    except Exception:  # an object of the user's can raise anything when it is read
        return safe_str(details)


def _causes(error: BaseException) -> list[dict[str, Any]]:
    causes: list[dict[str, Any]] = []
    seen = {id(error)}
    while len(causes) < _DEEPEST_CAUSE:
        below = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        if below is None and isinstance(error, BaseExceptionGroup):
            below = error.exceptions[0]
        if below is None or id(below) in seen:
            break
        seen.add(id(below))
        causes.append({"type": printable(type(below).__name__), "message": safe_str(below)})
        error = below
    return causes


def _frames(error: BaseException) -> str:
    try:
        return printable("".join(traceback.format_tb(error.__traceback__, limit=-_FRAMES)))
    except BaseException as broken:  # never lose the failure over its traceback
        return f"<no traceback: {type(broken).__name__}>"


def _fit(document: dict[str, Any], causes: list[dict[str, Any]], limit: int) -> str:
    for longest in (limit, 8192, 4096, 2048, 1024, 512, 256, 128, 64):
        text = _render(document, causes, longest)
        if utf16_units(text) <= limit:
            return text
    while utf16_units(text) > limit and len(causes) > 1:
        causes = causes[: max(1, len(causes) * 3 // 4)]
        text = _render(document, causes, 64)
    return text


def _render(document: dict[str, Any], causes: list[dict[str, Any]], longest: int) -> str:
    fitted = {key: _shortened(value, longest) for key, value in document.items()}
    if members := document.get("exceptions"):
        each_longest = max(16, longest // len(members))
        fitted["exceptions"] = [
            {key: shorten(text, each_longest) for key, text in member.items()} for member in members
        ]
    nested: dict[str, Any] | None = None
    for cause in reversed(causes):
        below = nested
        nested = {key: _shortened(value, longest) for key, value in cause.items()}
        if below is not None:
            nested["cause"] = below
    if nested is not None:
        fitted["cause"] = nested
    return json.dumps(fitted, ensure_ascii=False, separators=(",", ":"))


def _shortened(value: Any, longest: int) -> Any:
    if isinstance(value, str):
        return shorten(value, longest)
    if isinstance(value, (dict, list)):
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        if utf16_units(text) > longest:
            head, tail = shorten_pair(text, longest)
            return {"truncated": True, "head": head, "tail": tail}
    return value
