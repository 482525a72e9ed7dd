"""What values may be. Each check raises a ConfigurationError that says what is allowed."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

from .errors import ConfigurationError
from .outcome import MAX_NAME, MAX_VERSION
from .text import utf16_units

_FORBIDDEN = re.compile(r"[:/|\x00-\x1f\x7f-\x9f]")


def check_name(what: str, value: object, limit: int = MAX_NAME) -> None:
    """A name by SWF's rules for domains, task lists and types."""
    check_text(what, value, limit)
    assert isinstance(value, str)
    if _FORBIDDEN.search(value) or value != value.strip() or value == "arn":
        raise ConfigurationError(
            f"{what} is {value!r}: it must not contain ':', '/', '|' or control characters, "
            "nor start or end with a space, nor be the word 'arn'"
        )


def check_version(what: str, value: object) -> None:
    """An activity version by SWF's rules."""
    check_name(what, value, MAX_VERSION)


def check_text(what: str, value: object, limit: int) -> None:
    """Text of 1 to ``limit`` UTF-16 units."""
    if not isinstance(value, str):
        raise ConfigurationError(f"{what} is {value!r}: it must be text")
    if not 1 <= utf16_units(value) <= limit:
        raise ConfigurationError(
            f"{what} has {utf16_units(value)} characters: 1 to {limit} are allowed"
        )


def check_whole(what: str, value: object, low: int, high: int) -> None:
    """A whole number in a range."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ConfigurationError(
            f"{what} is {value!r}: a whole number from {low:,} to {high:,} is allowed"
        )


def check_number(what: str, value: object, low: float, high: float) -> None:
    """A finite number (of seconds, mostly) in a range."""
    number = value if isinstance(value, (int, float)) and not isinstance(value, bool) else math.nan
    if not (math.isfinite(number) and low <= number <= high):
        raise ConfigurationError(
            f"{what} is {value!r}: a number from {low:g} to {high:,.10g} is allowed"
        )


def check_path(what: str, value: object) -> None:
    """The path of a file."""
    text = os.fspath(value) if isinstance(value, (str, os.PathLike)) else None
    if not isinstance(text, str) or not text:
        raise ConfigurationError(f"{what} is {value!r}: the path of a file is needed")


def check_duration(what: str, value: object) -> None:
    """A timeout as SWF registers it: whole seconds or "NONE"."""
    if value == "NONE":
        return
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 99_999_999:
        raise ConfigurationError(
            f"{what} is {value!r}: whole seconds from 0 to 99,999,999, or 'NONE', are allowed"
        )


def check_converter(what: str, value: object) -> None:
    """Something with the two methods of a Converter."""
    for method in ("decode", "encode"):
        if not callable(getattr(value, method, None)):
            raise ConfigurationError(f"{what}: {value!r} has no method {method}()")


def check_reach(reach: Any) -> None:
    """The options that say how to reach SWF: of a worker, or of a handle."""
    if reach.region_name is not None:
        check_text("region_name", reach.region_name, 64)
    if reach.session is not None and not callable(getattr(reach.session, "client", None)):
        raise ConfigurationError(f"session is {reach.session!r}: a boto3.Session is needed")
    if reach.client_config is not None and not hasattr(reach.client_config, "merge"):
        raise ConfigurationError(
            f"client_config is {reach.client_config!r}: a botocore.config.Config is needed"
        )
    if reach.endpoint_url is not None and not re.match(
        r"https?://[^/\s]+", str(reach.endpoint_url)
    ):
        raise ConfigurationError(
            f"endpoint_url is {reach.endpoint_url!r}: it must be an http:// or https:// address"
        )


def check_keywords(call: str, given: Iterable[str], known: Iterable[str]) -> None:
    """The TypeError that Python raises for an unknown keyword, with the one that is meant."""
    for name in given:
        if name not in known:
            close = get_close_matches(name, known, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise TypeError(f"{call} got an unexpected keyword argument {name!r}{hint}")
