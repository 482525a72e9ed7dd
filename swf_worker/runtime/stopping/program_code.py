"""The exit code that a program gives itself after ``run()``."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable
from typing import Any, NoReturn

_INTERRUPTED = 128 + signal.SIGINT


class ProgramCode:
    """Nothing tells it at the end; what can be seen is a call of ``sys.exit``, and an error that
    nobody has caught."""

    def __init__(self, code: int) -> None:
        self._code = code
        self._error = getattr(sys, "last_value", None)
        before: Any = getattr(sys.exit, "__self__", None)
        self._exit: Callable[[Any], NoReturn] = (
            before._exit if isinstance(before, ProgramCode) else sys.exit
        )
        sys.exit = self._hear

    def _hear(self, status: Any = None, /) -> NoReturn:
        if threading.current_thread() is threading.main_thread():
            self._code = status if isinstance(status, int) else int(status is not None)
        self._exit(status)

    def __call__(self) -> int:
        error = getattr(sys, "last_value", None)
        if error is self._error:
            return self._code
        return _INTERRUPTED if isinstance(error, KeyboardInterrupt) else 1
