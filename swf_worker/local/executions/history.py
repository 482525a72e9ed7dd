"""Events of a history, and what a page of it shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Event:
    """One event, with its attributes as they are on the wire."""

    id: int
    kind: str
    at: float
    attributes: dict[str, Any]

    def wire(self) -> dict[str, Any]:
        """As SWF's answers have it."""
        return {
            "eventId": self.id,
            "eventType": self.kind,
            "eventTimestamp": self.at,
            f"{self.kind[0].lower()}{self.kind[1:]}EventAttributes": self.attributes,
        }


@dataclass(frozen=True, slots=True)
class Window:
    """The part of a history that a listing shows, by event ids, in pages."""

    first: int
    last: int
    reverse: bool = False

    def start(self) -> int:
        """The id of the first event to show."""
        return self.last if self.reverse else self.first

    def page(
        self, events: list[Event], at: int, size: int
    ) -> tuple[list[dict[str, Any]], int | None]:
        """The events of the page that starts at an id, and the id at which the next one does."""
        if self.reverse:
            end = max(self.first, at - size + 1)
            shown, following = events[end - 1 : at][::-1], end - 1
        else:
            end = min(self.last, at + size - 1)
            shown, following = events[at - 1 : end], end + 1
        more = self.first <= following <= self.last
        return [event.wire() for event in shown], following if more else None
