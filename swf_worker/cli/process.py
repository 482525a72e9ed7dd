"""The process of ``swf-worker run``, from its first moment to its last."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from ..clock import now
from ..runtime.departure import LEFT, Departure, Ending
from ..runtime.signals import Inbox, Order, SignalInbox, StoppedEarly
from ..runtime.streams import make_standard_streams_safe
from ..runtime.watch import Watch
from .channel import SupervisedInbox, channel_to_supervisor

EARLY = 0.3
"""Seconds that threads have at the end of a process that was stopped before its first poll."""


class Process:
    """Hears signals at once, and ends in time, whatever users' code leaves behind."""

    def __init__(self) -> None:
        make_standard_streams_safe()
        self.channel: socket.socket | None = channel_to_supervisor()
        self.departure = Departure(_say)
        signals = SignalInbox(starting=True)
        inbox: Inbox = signals
        if self.channel is not None:
            inbox = SupervisedInbox(signals, self.channel)
        signals.settle()
        self.watch = Watch(inbox, hung=self._end_early)
        self._ending: Ending | None = None

    def run(self, command: Callable[[], int]) -> int:
        """Run ``command``, and arrange for the end with its exit code."""
        code = 1  # where it raises what nobody expects
        try:
            code = command()
        except StoppedEarly:
            code = 0
        except SystemExit as error:  # argparse's
            code = error.code if isinstance(error.code, int) else code
            raise
        finally:
            self.watch.inbox.starting = False
            self.watch.ended_by(self._hurry)
            self._depart(code)
        return code

    def ended(self, ending: Ending) -> int:
        """The workers have ended: what handlers left has what is left of their time."""
        self._ending = ending
        return ending.code

    def _hurry(self, order: Order) -> None:
        if order is not Order.REPORT:
            self.departure.hurry()

    def _depart(self, code: int) -> None:
        if self.watch.inbox.early:
            self.departure.begin(code, now() + EARLY, EARLY)
        elif self._ending is None:
            self.departure.begin(code, now() + LEFT)
        else:
            self.departure.begin(code, self._ending.until, self._ending.last_words)

    def _end_early(self) -> None:
        """No poll was opened yet, so nothing is lost."""
        self.departure.begin(0, now(), EARLY)


def _say(event: str, /, **fields: Any) -> None:
    from ..instrumentation.logs import say  # here: this module is imported before anything else

    say(event, **fields)
