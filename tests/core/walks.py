"""What the walks through the machines share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def where(walk: list[Any], matches: Callable[..., object]) -> list[Any]:
    """The transitions that a rule is about. Where there are none, it would prove nothing."""
    found = [transition for transition in walk if matches(*transition)]
    assert found, "no transition matches: the rule proves nothing"
    return found
