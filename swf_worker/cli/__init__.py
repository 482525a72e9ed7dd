"""The command line.

From here on a Ctrl-C before a command has begun ends the process without a traceback. (Commands
hear signals themselves; ``at_work`` gives Python's own handler back to them.)
"""

from __future__ import annotations

import os
import signal
import sys
from itertools import pairwise
from types import FrameType

from ..exit_codes import ExitCode

_SERVERS = ("run", "dev")
"""Commands that end well when they are told to."""


def _leave(number: int, frame: FrameType | None) -> None:
    serves = sys.argv[1:2] and sys.argv[1] in _SERVERS
    os._exit(ExitCode.DONE if serves else ExitCode.INTERRUPTED)


def at_work() -> None:
    """A command begins."""
    if signal.getsignal(signal.SIGINT) is _leave:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _is_the_command() -> bool:
    name = os.path.basename(sys.argv[0]) if sys.argv else ""
    return name == "swf-worker" or _run_as_module()


def _run_as_module() -> bool:
    """Whether it is ``python -m swf_worker``: another module's Ctrl-C is its own."""
    return ("-m", "swf_worker") in pairwise(sys.orig_argv)


if _is_the_command() and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, _leave)
