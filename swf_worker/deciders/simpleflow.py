"""simpleflow's payloads: ``{"args": [...], "kwargs": {...}}``, and its jumbo fields in S3."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import InputDecodeError
from ..failure import Failure
from ..outcome import MAX_PAYLOAD
from ..payloads.parameters import Parameter
from ..payloads.writing import compact_json
from ..text import utf16_units
from .base import Arguments, DeciderConverter, read_json
from .jumbo import LONGEST, PREFIX, JumboBucket
from .wording import as_json, bounded_reason, says

_MEMBERS = {"args", "kwargs", "meta"}


class SimpleflowConverter(DeciderConverter):
    """For activities that simpleflow's deciders schedule.

    ``jumbo_bucket`` is the bucket of the jumbo fields, or "bucket/folder": what simpleflow has as
    SIMPLEFLOW_JUMBO_FIELDS_BUCKET. With it, results longer than 32,768 UTF-16 units (and up to
    5,242,880 characters) are put there, and inputs that are there are read; a reference to any
    other place is an InputDecodeError. ``session`` is the boto3.Session for S3, the default one's
    settings if there is none. Errors of S3 itself pass as they are: the task may be tried again.
    """

    format = 'JSON of simpleflow\'s form, {"args": [...], "kwargs": {...}}'

    def __init__(self, jumbo_bucket: str | None = None, *, session: Any = None) -> None:
        self._jumbo = JumboBucket(jumbo_bucket, session) if jumbo_bucket else None

    @property
    def does_io(self) -> bool:
        """With jumbo fields."""
        return self._jumbo is not None

    def encode_failure(self, failure: Failure) -> tuple[str, str | None]:
        """The reason is "Type: message"; the details are an object with ``error``,
        ``error_type``, ``message`` and ``traceback`` (a list of lines). They are shortened to fit,
        not put into S3, which may be what failed."""
        if failure.reason != failure.type:
            return bounded_reason(failure.reason), as_json(failure)
        return bounded_reason(says(failure.type, failure.message)), as_json(failure)

    def encode(self, value: Any) -> str | None:
        """JSON, or the reference to it in S3. Raises ResultEncodeError, and CodecError
        for what goes wrong at S3."""
        text = super().encode(value)
        if text is None or self._jumbo is None:
            return text
        if utf16_units(text) <= MAX_PAYLOAD or len(text) > LONGEST:
            return text  # what is longer than any field is refused by its length
        return self._jumbo.put(text)

    def _resolved(self, text: str) -> str:
        if not text.startswith(PREFIX):
            return text
        if self._jumbo is None:
            raise InputDecodeError(
                "the input is a jumbo field, and SimpleflowConverter has no jumbo_bucket"
            )
        return self._jumbo.get(text)

    def _read(self, text: str) -> Any:
        return read_json(text)

    def _arguments(self, text: str, parameters: Sequence[Parameter]) -> Arguments:
        value = self._read(text)
        if isinstance(value, list):  # of a NonPythonicActivityTask, as the next case
            return value, {}
        if not isinstance(value, dict):
            raise TypeError
        if not value.keys() <= _MEMBERS:
            return [], value
        args, kwargs = value.get("args", []), value.get("kwargs", {})
        if not isinstance(args, list) or not isinstance(kwargs, dict):
            raise TypeError
        return args, kwargs

    def _write(self, value: Any) -> str:
        return compact_json(value)
