"""Whether this process is a handler's. A main module that starts a worker without asking for
``__name__`` would otherwise start one in each child."""

from __future__ import annotations

MAIN = "__swf_worker_main__"
is_child = False
