"""What an operation is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..backend import REGION, LocalBackend
from ..executions.execution import LocalDomain


@dataclass(frozen=True, slots=True)
class Request:
    """The members of a request, checked against the model, and who asks whom."""

    backend: LocalBackend
    operation: str
    given: dict[str, Any]
    region: str = REGION
    """The region that signed it."""

    @property
    def domain(self) -> LocalDomain:
        """The domain that it names."""
        return self.backend.domain(self.given["domain"])


Operation = Callable[[Request], dict[str, Any] | None]
"""Performs a request; None is an answer without a body."""
