"""The process of ``swf-worker run``, from its first moment to its last."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Mapping
from typing import Any

from ..clock import now
from ..exit_codes import ExitCode
from ..runtime.notify.service_manager import taken_from
from ..runtime.process.recorded import record_standard_streams, tell_uncaught_on_stderr
from ..runtime.process.streams import make_standard_streams_safe
from ..runtime.stopping.control_thread import ControlThread
from ..runtime.stopping.process_exit import LEFT, ExitPlan, ProcessExit
from ..runtime.stopping.signals import ControlRequest, Inbox, SignalInbox, StoppedEarly
from .channel import (
    SupervisedInbox,
    channel_to_supervisor,
    is_supervised,
    line_to_supervisor,
)

EARLY = 0.3
"""Seconds that threads have at the end of a process that was stopped before its first poll."""


class Process:
    """Hears signals at once, and ends in time, whatever users' code leaves behind."""

    def __init__(self, *, as_records: bool = False) -> None:
        make_standard_streams_safe()
        self.bound = {"pid": os.getpid()} if is_supervised() else {}
        """What each line says: among several processes, whose it is."""
        if as_records:
            record_standard_streams(_whose, self.bound)
            tell_uncaught_on_stderr(_whose)
        self.channel: socket.socket | None = channel_to_supervisor()
        self.manager = taken_from(os.environ)
        self.status_line = line_to_supervisor()
        self.process_exit = ProcessExit(_say)
        signals = SignalInbox(starting=True)
        inbox: Inbox = signals
        if self.channel is not None:
            inbox = SupervisedInbox(signals, self.channel)
        signals.take_signals()
        self.control = ControlThread(inbox, hung=self._end_early)
        self._exit_plan: ExitPlan | None = None

    def run(self, command: Callable[[], int]) -> int:
        """Run ``command``, and arrange for the end with its exit code."""
        code: int = ExitCode.FATAL  # where it raises what nobody expects
        try:
            code = command()
        except StoppedEarly:
            code = ExitCode.DONE
        except SystemExit as error:  # argparse's
            code = error.code if isinstance(error.code, int) else code
            raise
        finally:
            self.control.inbox.starting = False
            self.control.ended_by(self._hurry)
            self._depart(code)
        return code

    def ended(self, exit_plan: ExitPlan) -> int:
        """The workers have ended: what handlers left has what is left of their time."""
        self._exit_plan = exit_plan
        return exit_plan.code

    def _hurry(self, request: ControlRequest) -> None:
        if request is not ControlRequest.REPORT:
            self.process_exit.hurry()

    def _depart(self, code: int) -> None:
        if self.control.inbox.early:
            self.process_exit.begin(code, now() + EARLY, EARLY)
        elif self._exit_plan is None:
            self.process_exit.begin(code, now() + LEFT)
        else:
            self.process_exit.begin(code, self._exit_plan.until, self._exit_plan.atexit_limit)

    def _end_early(self) -> None:
        """No poll was opened yet, so nothing is lost."""
        self.process_exit.begin(0, now(), EARLY)


def _whose() -> Mapping[str, Any]:
    """Which task's handler this runs in, if any. (This module is imported before anything else.)"""
    module = sys.modules.get("swf_worker.context")
    return module.current_identity() if module is not None else {}


def _say(event: str, /, **fields: Any) -> None:
    from ..instrumentation.logs import say  # here: this module is imported before anything else

    say(event, **fields)
