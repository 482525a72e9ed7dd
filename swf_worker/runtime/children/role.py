"""Whether this process is a handler's. A main module that starts a worker without asking for
``__name__`` would otherwise start one in each child."""

from __future__ import annotations

MAIN = "__mp_main__"
"""multiprocessing's name for it, so that a handler may use multiprocessing itself."""
is_child = False
