"""Activity and workflow types: what is registered of them, and until when it holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(slots=True, eq=False)
class RegisteredType:
    """A type. ``kind`` is activity or workflow; ``defaults`` are the members that registration and
    description share, as they are on the wire."""

    kind: str
    name: str
    version: str
    description: str | None
    defaults: dict[str, Any]
    created: float
    number: int
    """In the order of registrations."""
    deprecated: float | None = None

    def __str__(self) -> str:
        return in_words(self.kind, self.name, self.version)

    @property
    def key(self) -> dict[str, str]:
        """Its name and version, as they are on the wire."""
        return {"name": self.name, "version": self.version}

    @property
    def status(self) -> str:
        """REGISTERED or DEPRECATED."""
        return "REGISTERED" if self.deprecated is None else "DEPRECATED"

    def default(self, member: str) -> Any:
        """What holds where a call or a decision leaves this member out; None if nothing does."""
        name = f"{member[0].upper()}{member[1:]}"
        return self.defaults.get(f"default{name}") or self.defaults.get(f"defaultTask{name}")

    def info(self) -> dict[str, Any]:
        """Its TypeInfo. What it doesn't have is absent."""
        told = {
            f"{self.kind}Type": self.key,
            "status": self.status,
            "description": self.description,
            "creationDate": self.created,
            "deprecationDate": self.deprecated,
        }
        return {name: value for name, value in told.items() if value is not None}


def in_words(kind: str, name: str, version: str) -> str:
    """A type in the words of SWF's faults."""
    return f"{kind.capitalize()}Type=[name={name}, version={version}]"
