"""``ActivityTaskHandle``: heartbeats and the answer of a task by whoever holds its token."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from .checks import check_converter, check_reach, check_text
from .codecs.chain import Codec, checked
from .coded import coded_result, heartbeat_text
from .converter import Converter, JsonConverter, encoded_result
from .core import verdicts
from .core.messages import AnswerMissed, AnswerUnknown
from .errors import ActivityFailed, CancelNotRequestedError, ConfigurationError, ServiceError
from .failure import FailureWording
from .log import Log
from .options import RetryPolicy
from .outcome import MAX_TOKEN, Canceled, Completed, Outcome
from .runtime.threads.clock import MonotonicClock, start_daemon
from .runtime.threads.scheduler import Scheduler

if TYPE_CHECKING:
    import boto3
    from botocore.config import Config

    from .service.clients import Calls, Where
    from .service.gateway import TokenCalls

BEAT_LIMIT = 5.0
BEAT_RETRIES = 30.0
"""Seconds that a heartbeat is tried again for."""
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class _Reach:
    session: boto3.Session | None
    region_name: str | None
    endpoint_url: str | None
    client_config: Config | None


class ActivityTaskHandle:
    """A task whose token was handed over: by a ``manual_completion`` handler to another process, a
    person's approval, a callback of a service. Give it the task's ``task_token``; the rest says
    how to reach SWF, as for a worker. Construction does no I/O.

    Each call blocks until SWF has accepted it. What may pass (the network, throttling, 5xx) is
    tried again with backoff: an answer for as long as it takes, a heartbeat for 30 s. Permissions
    and credentials that are refused before any call was accepted are raised at once.
    UnknownResourceFault says that the task is closed. In an event loop call it through
    ``asyncio.to_thread``. A handle may be used from several threads; the calls take turns.

    No beats go out by themselves: call ``heartbeat`` more often than the task's heartbeat
    timeout, or let its activity have none.
    """

    def __init__(
        self,
        task_token: str,
        *,
        session: boto3.Session | None = None,
        region_name: str | None = None,
        endpoint_url: str | None = None,
        client_config: Config | None = None,
        converter: Converter | None = None,
        codecs: Sequence[Codec] = (),
        retry_policy: RetryPolicy | None = None,
    ) -> None:
        check_text("task_token", task_token, MAX_TOKEN)
        self.task_token = task_token
        self._reach = _Reach(session, region_name, endpoint_url, client_config)
        check_reach(self._reach)
        self._converter = converter or JsonConverter()
        check_converter("converter", self._converter)
        self._codecs = checked(codecs)
        self._policy = retry_policy or RetryPolicy()
        if not isinstance(self._policy, RetryPolicy):
            raise ConfigurationError(f"retry_policy is {retry_policy!r}: a RetryPolicy is needed")
        self._beats = _Calls(self._reach)
        self._answers = _Calls(self._reach)
        self._accepted = False
        self._requested = False
        self._answer: Outcome | None = None
        """The answer that SWF has, or may have. Guarded by the answers' turn."""

    def heartbeat(self, details: Any = None) -> bool:
        """Keep the task alive (RecordActivityTaskHeartbeat): whether its cancellation is
        requested. ``details`` as in ``ActivityContext.heartbeat``.

        UnknownResourceFault: the task is closed. ServiceUnavailableError, ThrottledError, or a
        CredentialsError that ``may_pass``: not accepted within 30 s; the task may still be open,
        so go on and beat again.
        """
        text, why = heartbeat_text(details, self._codecs)
        if why is not None:
            _log("warning", "heartbeat details shortened", why=why)
        with self._beats.turn() as (calls, where):
            requested = self._persist(
                lambda: calls.heartbeat(self.task_token, text, BEAT_LIMIT), where, BEAT_RETRIES
            )
        self._requested = self._requested or requested
        return self._requested

    def complete(self, result: Any = None) -> None:
        """Answer Completed (RespondActivityTaskCompleted) with a Python value, encoded by the
        converter; None is no result. ResultEncodeError, PayloadTooLargeError: nothing was sent.
        """
        text = encoded_result(self._converter, result, limited=not self._codecs)
        self._respond(Completed(coded_result(self._codecs, text)))

    def cancel(self, details: Any = None) -> None:
        """Answer Canceled (RespondActivityTaskCanceled), once a ``heartbeat`` of this handle has
        reported the request; CancelNotRequestedError before."""
        if not self._requested:
            raise CancelNotRequestedError(
                "no heartbeat of this handle has reported a cancel request, and SWF takes Canceled "
                "only after one: call heartbeat() first, or answer with fail()"
            )
        self._respond(Canceled(self._wording.canceled(details)))

    def fail(self, reason: str, details: Any = None) -> None:
        """Answer Failed (RespondActivityTaskFailed). ``reason`` and ``details`` as in
        ``ActivityFailed``."""
        self._respond(self._wording.of_exception(ActivityFailed(reason, details)))

    @property
    def _wording(self) -> FailureWording:
        return FailureWording().of(self._converter, self._codecs)

    # --- calls ----------------------------------------------------------------------------------

    def _respond(self, outcome: Outcome) -> None:
        with self._answers.turn() as (calls, where):
            if self._answer not in (None, outcome):
                raise RuntimeError(
                    f"this task's answer is {type(self._answer).__name__} already, or may be: no "
                    "different one can follow"
                )
            may_be_there = self._answer is not None

            def attempt() -> None:
                nonlocal may_be_there
                # Before it leaves: whatever interrupts us now, it may have arrived.
                self._answer = outcome
                try:
                    calls.respond(self.task_token, outcome)
                except ServiceError as error:
                    may_be_there = may_be_there or error.ambiguous
                    if not may_be_there:
                        self._answer = None
                    raise

            try:
                self._persist(attempt, where, None)
            except ServiceError as error:
                if not may_be_there or not isinstance(verdicts.of_answer(error), AnswerUnknown):
                    raise
                # It was lost on its way back, and now the task is closed.
                _log("warning", "the answer is presumed accepted", error=str(error))

    def _persist(
        self, attempt: Callable[[], Result], where: Where, seconds: float | None
    ) -> Result:
        from .service.refusals import refusal  # here: boto3 takes long to import
        from .service.retries import persistently

        def passes(error: ServiceError) -> bool:
            if not self._accepted and refusal(error, where) is not None:
                return False
            return isinstance(verdicts.of_answer(error), AnswerMissed)

        def waiting(error: ServiceError, wait: float) -> None:
            _log("warning", "not accepted yet: tried again", error=str(error), in_seconds=wait)

        try:
            result = persistently(
                attempt, self._policy, passes=passes, before_wait=waiting, seconds=seconds
            )
        except ServiceError as error:
            raise refusal(error, where) or error from error.__cause__
        self._accepted = True
        return result


class _Calls:
    """Calls of one kind, one at a time. A timer cuts attempts that outlast their limit; between two
    calls nothing stays behind, neither its thread nor a connection."""

    def __init__(self, reach: _Reach) -> None:
        self._reach = reach
        self._turn = threading.Lock()
        self._client: tuple[Calls, Where] | None = None

    @contextmanager
    def turn(self) -> Iterator[tuple[TokenCalls, Where]]:
        """One call's turn."""
        from .service.clients import build_client
        from .service.gateway import TokenCalls

        with self._turn:
            if self._client is None:
                self._client = build_client(self._reach)
            client, where = self._client
            timers = Scheduler(MonotonicClock(), start_daemon, lambda error: None)
            calls = TokenCalls(client, client, timers)
            try:
                yield calls, where
            finally:
                calls.close()
                thread = timers.close()
                if thread is not None:
                    thread.join()


def _log(level: str, event: str, **fields: Any) -> None:
    Log().write(level, event, fields)
