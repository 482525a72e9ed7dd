"""Whether this process is a handler's. A main module that starts a worker without asking for
``__name__`` would otherwise start one in each child."""

from __future__ import annotations

is_child = False
