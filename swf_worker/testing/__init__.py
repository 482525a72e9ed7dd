"""For the tests of people who write activities."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .environment import ActivityEnvironment

__all__ = ["ActivityEnvironment"]


def __getattr__(name: str) -> Any:
    # The plugin is in this package, and pytest imports it in every run.
    if name == "ActivityEnvironment":
        from .environment import ActivityEnvironment

        return ActivityEnvironment
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
