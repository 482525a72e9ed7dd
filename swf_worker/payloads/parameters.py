"""A handler's parameters, as a converter sees them."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any, Literal

REQUIRED: Any = inspect.Parameter.empty


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a handler that takes input; the context is none of them.

    ``type`` is its annotation, Any where there is none. ``default`` is ``REQUIRED`` where it has
    none. ``kind`` says how it is passed: "positional" (by place or by name), "keyword" (by name
    alone), "args" (``*args``: each further value, of ``type``) or "kwargs" (``**kwargs``).
    """

    name: str
    type: Any = Any
    default: Any = REQUIRED
    kind: Literal["positional", "keyword", "args", "kwargs"] = "positional"

    @property
    def required(self) -> bool:
        """Whether a call must give it."""
        return self.default is REQUIRED and self.kind in ("positional", "keyword")
