"""(name, version) -> definition: the activity types one worker serves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from difflib import get_close_matches

from ..definition import ActivityDefinition
from ..errors import ConfigurationError
from ..task import ActivityType


class Registry:
    """The handlers of one worker. Filled at construction, read-only once it runs."""

    def __init__(self, definitions: Iterable[ActivityDefinition] = ()) -> None:
        self._definitions: dict[ActivityType, ActivityDefinition] = {}
        for definition in definitions:
            self.add(definition)

    def add(self, definition: ActivityDefinition) -> None:
        """Register one; two handlers for the same type are a ConfigurationError."""
        if definition.type in self._definitions:
            raise ConfigurationError(
                f"activity {definition.type} is registered twice: a type has one handler"
            )
        self._definitions[definition.type] = definition

    def get(self, wanted: ActivityType) -> ActivityDefinition | None:
        """The handler of a type, if it has one."""
        return self._definitions.get(wanted)

    def why_not(self, wanted: ActivityType) -> str:
        """What to say where a type has no handler: which ones have."""
        known = sorted(str(known) for known in self._definitions)
        if not known:
            return f"no handler for {wanted}: this worker has no handlers at all"
        close = get_close_matches(str(wanted), known, n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        listed = ", ".join(known[:50]) + (", …" if len(known) > 50 else "")
        return f"no handler for {wanted}: registered are {listed}{hint}"

    def __iter__(self) -> Iterator[ActivityDefinition]:
        return iter(self._definitions.values())

    def __len__(self) -> int:
        return len(self._definitions)

    @property
    def types(self) -> tuple[ActivityType, ...]:
        """The registered types, in the order of registration."""
        return tuple(self._definitions)
