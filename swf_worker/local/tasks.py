"""moto's tasks, completed: they know the local clock, and an activity can be canceled."""

from __future__ import annotations

from typing import Any

from moto.swf.models import ActivityTask, DecisionTask

NONE = "NONE"


class LocalActivityTask(ActivityTask):
    """An activity task that can be canceled and times out in all four ways."""

    def __init__(self, *, task_list: str, priority: int, now: float, **given: Any) -> None:
        super().__init__(**given)
        self.task_list = task_list
        self.priority = priority
        self.scheduled_timestamp = now
        self.last_heartbeat_timestamp = now
        self.heartbeats = 0
        self.cancel_requested_event_id: int | None = None

    def seconds(self, timeout: str) -> float | None:
        """One of its timeouts, None for NONE."""
        value = self.timeouts[timeout]
        return None if value == NONE else float(value)


class LocalDecisionTask(DecisionTask):
    """A decision task, on the local clock."""
