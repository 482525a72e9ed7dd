"""The time that the worker lives by.

It is asked of the system itself, not of ``time.monotonic`` or ``time.time``: what freezes time in a
user's tests replaces those, and a frozen clock beside threads that wait in real time sends no
heartbeat.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

now: Callable[[], float] = partial(time.clock_gettime, time.CLOCK_MONOTONIC)
"""Seconds that only ever grow, since some point in the past. (A wall clock jumps.)"""

wall: Callable[[], float] = partial(time.clock_gettime, time.CLOCK_REALTIME)
"""Seconds since 1970."""
