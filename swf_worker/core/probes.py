"""When a worker counts as wedged, and when as ready."""

from __future__ import annotations

from .lifecycle import STOPPING, Phase

WEDGED_AFTER = 30.0
"""Seconds that a part of the worker may stand still: none ever waits so long for anything."""
BEATS_WEDGED_AFTER = 60.0
"""Seconds that a beat may be due with no attempt's end: one lasts 30 at most."""
NOT_READY_AFTER = 30.0
"""Seconds of SWF's silence or refusal after which no task can be expected."""


def wedged(timers: float, polls: float, beats: float) -> tuple[str, ...]:
    """What stands still, a line each; all in seconds. What SWF or a handler does is none of it: a
    restart would mend neither, and would end good work."""
    found = []
    if timers > WEDGED_AFTER:
        found.append(f"the scheduler is {timers:.0f} s behind")
    if polls > WEDGED_AFTER:
        found.append(f"the poll loop has stood still for {polls:.0f} s")
    if beats > BEATS_WEDGED_AFTER:
        found.append(f"a heartbeat is {beats:.0f} s late, and none goes out")
    return tuple(found)


def not_ready(phase: Phase, refused: float) -> str | None:
    """Why the worker takes no tasks; None where it does."""
    if phase in STOPPING:
        return "stopping"
    if phase is not Phase.RUNNING:
        return "starting: SWF has not accepted a poll yet"
    if refused >= NOT_READY_AFTER:
        return f"SWF has refused, or not answered, for {refused:.0f} s"
    return None
