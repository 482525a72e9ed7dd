"""Events of a history, as moto's, completed."""

from __future__ import annotations

from typing import Any

from moto.core.utils import underscores_to_camelcase
from moto.swf.models import HistoryEvent


class LocalHistoryEvent(HistoryEvent):
    """Any event type, with the members that are 0 or "" kept (moto's drops them)."""

    def __init__(self, event_id: int, event_type: str, at: float, **members: Any) -> None:
        self.event_id = event_id
        self.event_type = event_type
        self.event_timestamp = at
        self.event_attributes = {
            underscores_to_camelcase(name): _wire(name, value)
            for name, value in members.items()
            if value is not None
        }


def _wire(name: str, value: Any) -> Any:
    if name == "task_list":
        return {"name": value}
    if name in ("workflow_type", "activity_type"):
        return {"name": value.name, "version": value.version}
    return value
