"""What a handler raised, as OpenTelemetry's conventions have an exception."""

from __future__ import annotations

import traceback

from ..runtime.runners.child_task import RemoteError
from ..text import safe_str, shorten

LONGEST_MESSAGE = 4_096
LONGEST_STACK = 16_384
_HIDDEN = "(task token)"


def exception_of(error: BaseException | None, reason: str, *, secret: str) -> dict[str, str]:
    """The attributes of an event ``exception``. Without an error, as where a process died, the
    failure's reason stands for its type. ``secret`` is left out wherever somebody wrote it."""
    if error is None:
        return {"exception.type": reason}
    if isinstance(error, RemoteError):
        told = (error.raised.type, error.raised.message, error.raised.traceback)
    else:
        told = (_name(type(error)), safe_str(error), _stack(error))
    name, message, stack = (each.replace(secret, _HIDDEN) for each in told)
    return {
        "exception.type": name,
        "exception.message": shorten(message, LONGEST_MESSAGE),
        "exception.stacktrace": stack[-LONGEST_STACK:],
    }


def _name(kind: type[BaseException]) -> str:
    return (
        kind.__qualname__
        if kind.__module__ == "builtins"
        else f"{kind.__module__}.{kind.__qualname__}"
    )


def _stack(error: BaseException) -> str:
    try:
        return safe_str("".join(traceback.format_exception(error)))
    except BaseException as broken:  # an exception of the user's can do anything
        return f"<no traceback: {type(broken).__name__}>"
