"""Sends answers that lie in a journal, one after the other, as a worker would have sent them: the
same machine decides."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self

from ..clock import now
from ..core import execution, messages, verdicts
from ..core.kept_answers import kept
from ..core.messages import Disposition, Event
from ..errors import ServiceError
from ..log import Log
from ..options import RetryPolicy
from ..runtime.journal.entries import Attempted, Entry
from ..runtime.threads.clock import MonotonicClock, start_daemon
from ..runtime.threads.scheduler import Scheduler
from ..service.clients import build_client
from ..service.gateway import TokenCalls
from ..service.retries import TenacityBackoff
from ..text import safe_str

LONGEST = 60.0
"""Seconds for which one answer is tried; then it stays in the journal."""
Note = Callable[[Entry], None]
"""Told what is known of an answer, before an attempt and after it."""


@dataclass(frozen=True)
class _Reach:
    """How to reach the SWF that an answer belongs to."""

    region_name: str | None
    endpoint_url: str | None
    session: None = None
    client_config: None = None


class Delivery:
    """Has one client for each SWF: an answer goes to the one that it belongs to, and to no other,
    whatever else is set. ``region`` and ``endpoint_url`` only choose which answers are sent."""

    def __init__(self, region: str | None, endpoint_url: str | None) -> None:
        self._region, self._url = region, endpoint_url
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

    def sends(self, entry: Entry) -> bool:
        """Whether it is one of those that were chosen."""
        url, _, region = entry.place.service.partition(" ")
        here = self._url is None or self._url.rstrip("/") == url.rstrip("/")
        return here and self._region in (None, region)

    def send(self, entry: Entry, note: Note) -> Disposition:
        """Until SWF has decided, or its time is over."""
        calls = self._of(entry.place.service)
        until, retries = now() + LONGEST, 0
        state = kept(execution.Policy(), entry.outcome, ambiguous=entry.may_be_accepted)
        event: Event = messages.Redelivered()
        while True:
            state, commands = execution.step(state, event)
            for command in commands:
                match command:
                    case messages.Send(outcome):
                        sending = replace(entry, outcome=outcome)
                        event = _attempt(calls, sending, note, ambiguous=state.ambiguous)
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
            client, _ = build_client(_Reach(region or None, url or None))
            calls = self._calls[service] = TokenCalls(client, client, self._timers)
        return calls


def _attempt(calls: TokenCalls, entry: Entry, note: Note, *, ambiguous: bool) -> Event:
    note(replace(entry, attempted=Attempted.AMBIGUOUS if ambiguous else Attempted.SENDING))
    try:
        calls.respond(entry.task.task_token, entry.outcome)
    except ServiceError as error:
        may_be_there = ambiguous or error.ambiguous
        note(replace(entry, attempted=Attempted.AMBIGUOUS if may_be_there else Attempted.WAITING))
        Log().write("warning", "not accepted yet", {"error": safe_str(error)})
        return verdicts.of_answer(error)
    return messages.AnswerAccepted()
