"""Flowy's payloads: ``[[1, 2], {"name": 3}]``, results as JSON, a reason that is the message."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from ..failure import Failure
from ..payloads.parameters import Parameter
from .base import Arguments, DeciderConverter, key, members, read_json, write_json
from .wording import as_json, spoken_reason

_UUID, _BYTES = " u", " b"
"""The keys of the objects with one member that stand for what JSON doesn't have."""


class FlowyConverter(DeciderConverter):
    """For activities that flowy's deciders schedule.

    UUIDs and bytes go both ways as such. Flowy tells its workflows the reason of a failure and
    nothing else, so that is the error's message; the details are for people.
    """

    format = "JSON of flowy's form, [[positional], {keywords}]"

    def encode_failure(self, failure: Failure) -> tuple[str, str | None]:
        """The message as the reason, a JSON object as the details."""
        return spoken_reason(failure), as_json(failure)

    def _read(self, text: str) -> Any:
        return read_json(text, object_hook=_untagged)

    def _arguments(self, text: str, parameters: Sequence[Parameter]) -> Arguments:
        args, kwargs = self._read(text)
        if not isinstance(args, list) or not isinstance(kwargs, dict):
            raise TypeError
        return args, kwargs

    def _write(self, value: Any) -> str:
        return write_json(_tagged(value))


def _untagged(value: dict[str, Any]) -> Any:
    if len(value) == 1:
        ((tag, content),) = value.items()
        if tag == _UUID:
            return UUID(content)
        if tag == _BYTES:
            return b64decode(content)
    return value


def _tagged(value: Any) -> Any:
    if isinstance(value, UUID):
        return {_UUID: value.hex}
    if isinstance(value, bytes):
        return {_BYTES: b64encode(value).decode()}
    if isinstance(value, dict):
        return {key(name): _tagged(each) for name, each in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_tagged(each) for each in value]
    if value is None or type(value) in (bool, int, float, str):
        return value
    return _tagged(members(value, (bytes, UUID)))
