"""A process that user code forks must die of its own signals, not pass them on to us: it inherits
our handlers, and its parent's threads are not there."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterable


def at_fork(numbers: Iterable[signal.Signals], in_child: Callable[[], None]) -> None:
    """Call ``in_child`` in each process that is forked from now on, and hold these signals until
    that is done: one that comes in between would meet our handlers."""
    held = tuple(numbers)
    masks = threading.local()

    def hold() -> None:
        masks.before = signal.pthread_sigmask(signal.SIG_BLOCK, held)

    def let_go() -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, masks.before)

    def forked() -> None:
        in_child()
        let_go()

    os.register_at_fork(before=hold, after_in_parent=let_go, after_in_child=forked)
