"""Sends answers that lie in a journal, one after the other, as a worker would have sent them: the
same machine decides."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from ..clock import now
from ..core import execution, messages, verdicts
from ..core.kept_answers import kept
from ..core.messages import Disposition, Event
from ..errors import ServiceError
from ..log import Log
from ..options import RetryPolicy
from ..outcome import Outcome
from ..runtime.journal.entries import Attempted, Entry
from ..runtime.threads.clock import MonotonicClock, start_daemon
from ..runtime.threads.scheduler import Scheduler
from ..service.clients import build_client
from ..service.gateway import TokenCalls
from ..service.retries import TenacityBackoff
from ..text import safe_str

LONGEST = 60.0
"""Seconds for which one answer is tried; then it stays in the journal."""
Note = Callable[[Entry, Attempted], None]


@dataclass(frozen=True)
class _Reach:
    """How to reach the SWF that an answer belongs to."""

    region_name: str | None
    endpoint_url: str | None
    session: None = None
    client_config: None = None


class Delivery:
    """Has one client for each SWF."""

    def __init__(self, region: str | None, endpoint_url: str | None) -> None:
        self._given = (region, endpoint_url)
        self._timers = Scheduler(MonotonicClock(), start_daemon, lambda error: None)
        self._calls: dict[str, TokenCalls] = {}
        self._backoff = TenacityBackoff(RetryPolicy())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for calls in self._calls.values():
            calls.close()
        thread = self._timers.close()
        if thread is not None:
            thread.join()

    def send(self, entry: Entry, note: Note) -> Disposition:
        """Until SWF has decided, or its time is over. ``note`` is told what may have become of an
        attempt, before it and after it."""
        calls = self._of(entry.place.service)
        until, retries = now() + LONGEST, 0
        state = kept(execution.Policy(), entry.outcome, ambiguous=entry.may_be_accepted)
        event: Event = messages.Redelivered()
        while True:
            state, commands = execution.step(state, event)
            for command in commands:
                match command:
                    case messages.Send(outcome):
                        event = _attempt(calls, entry, outcome, note)
                    case messages.RetryLater():
                        retries += 1
                        event = self._wait(retries, until)
                    case messages.Finish(disposition):
                        return disposition

    def _wait(self, retries: int, until: float) -> Event:
        wait = self._backoff.wait(retries)
        if now() + wait > until:
            return messages.GivenUp()
        time.sleep(wait)
        return messages.RetryDue()

    def _of(self, service: str) -> TokenCalls:
        calls = self._calls.get(service)
        if calls is None:
            url, _, region = service.partition(" ")
            client, _ = build_client(
                _Reach(self._given[0] or region or None, self._given[1] or url or None)
            )
            calls = self._calls[service] = TokenCalls(client, client, self._timers)
        return calls


def _attempt(calls: TokenCalls, entry: Entry, outcome: Outcome, note: Note) -> Event:
    note(entry, Attempted.SENDING)
    try:
        calls.respond(entry.task.task_token, outcome)
    except ServiceError as error:
        if not error.ambiguous and not entry.may_be_accepted:
            note(entry, Attempted.WAITING)
        Log().write("warning", "not accepted yet", {"error": safe_str(error)})
        return verdicts.of_answer(error)
    return messages.AnswerAccepted()
