"""The time that the worker lives by."""

from __future__ import annotations

import time


def now() -> float:
    """Seconds that only ever grow, since some point in the past. (A wall clock jumps.)

    Asked of the system itself, not of ``time.monotonic``: what freezes time in a user's tests
    replaces that, and a frozen clock beside threads that wait in real time sends no heartbeat.
    """
    return time.clock_gettime(time.CLOCK_MONOTONIC)


def wall() -> float:
    """Seconds since 1970, for the same reason."""
    return time.clock_gettime(time.CLOCK_REALTIME)
