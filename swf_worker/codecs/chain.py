"""What a codec is, and how several of them work one after the other."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from ..errors import CodecError, ConfigurationError


class Codec(Protocol):
    """Changes the text of payloads after the converter wrote it, and back before it reads it.

    Called from several threads at once, also in handler processes, to which it is pickled.
    CodecError is passed on as it is: its message must not quote the payload, and its ``may_pass``
    says whether trying again may work. Of anything else that is raised, the type alone is told.
    """

    def encode(self, text: str) -> str:
        """``text`` as it goes on the wire. It must be marked in some way that ``decode``
        knows again."""

    def decode(self, text: str) -> str:
        """What ``encode`` was given; a text that ``encode`` didn't write as it is."""


def checked(codecs: object, where: str = "codecs") -> tuple[Codec, ...]:
    """The codecs, as they were given; ConfigurationError for what can't be one."""
    if isinstance(codecs, (str, bytes)) or not isinstance(codecs, Iterable):
        raise ConfigurationError(f"{where} must be a list of codecs, not a {_name(codecs)}")
    found = tuple(codecs)
    for index, codec in enumerate(found):
        if inspect.isclass(codec):
            raise ConfigurationError(
                f"{where}[{index}] is the class {codec.__name__}: make one of it, "
                f"{codec.__name__}(...)"
            )
        for name in ("encode", "decode"):
            method = getattr(codec, name, None)
            if not callable(method):
                raise ConfigurationError(f"{where}[{index}], a {_name(codec)}, has no {name}(text)")
            if inspect.iscoroutinefunction(method):
                raise ConfigurationError(
                    f"{where}[{index}], a {_name(codec)}: {name} is async, and must be a plain "
                    "method"
                )
    return found


def apply(codecs: Sequence[Codec], text: str | None) -> str | None:
    """``text`` after each codec's ``encode``, in order; None stays None. Raises CodecError, and
    nothing else, for whatever goes wrong in one."""
    if text is None:
        return None
    for codec in codecs:
        text = _step(codec, "encode", codec.encode, text)
    return text


def unapply(codecs: Sequence[Codec], text: str | None) -> str | None:
    """``text`` after each codec's ``decode``, backwards; None stays None. Raises CodecError, and
    nothing else, for whatever goes wrong in one."""
    if text is None:
        return None
    for codec in reversed(codecs):
        text = _step(codec, "decode", codec.decode, text)
    return text


def _step(codec: Codec, verb: str, call: Callable[[str], object], text: str) -> str:
    try:
        made = call(text)
    except CodecError:
        raise
    except Exception as error:  # the user's codec can raise anything, with the payload in it
        said = f"raised {type(error).__name__}{_place(error)}"
    else:
        if isinstance(made, str):
            return made
        said = f"returned a {_name(made)}, not a str"
        if inspect.iscoroutine(made):
            made.close()
    # Outside of the handler: as its context, the error would bring its own text along.
    raise CodecError(f"{_name(codec)}.{verb} {said}")


def _name(value: object) -> str:
    return type(value).__name__


def _place(error: BaseException) -> str:
    """Where it was raised: of its message nothing may be told, so this must do."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return ""
    file = os.path.basename(trace.tb_frame.f_code.co_filename)
    return f" ({file}, line {trace.tb_lineno})"
