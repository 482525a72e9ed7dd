"""tenacity decides how long to wait. In a worker nobody sleeps; ``persistently`` does, for a
caller who waits for one call."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeVar

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    wait_random_exponential,
)

from ..clock import now
from ..core import verdicts
from ..errors import ServiceError
from ..options import RetryPolicy

Result = TypeVar("Result")

_SHORTEST = 0.05


class TenacityBackoff:
    """Exponential waits with full jitter, from a RetryPolicy."""

    def __init__(self, policy: RetryPolicy) -> None:
        self._passing = wait_random_exponential(
            multiplier=policy.initial_wait, max=policy.max_wait, min=_SHORTEST
        )
        # What a person must mend is asked again slowly, and from the start.
        self._denied = wait_random_exponential(
            multiplier=max(1.0, policy.initial_wait), max=policy.denied_wait, min=_SHORTEST
        )

    def wait(self, failures: int, *, denied: bool = False) -> float:
        """Seconds to wait after ``failures`` in a row."""
        state = RetryCallState(retry_object=None, fn=None, args=(), kwargs={})  # type: ignore[arg-type]
        state.attempt_number = max(1, failures)
        return (self._denied if denied else self._passing)(state)


def persistently(
    call: Callable[[], Result],
    policy: RetryPolicy,
    *,
    passes: Callable[[ServiceError], bool],
    before_wait: Callable[[ServiceError, float], None],
    seconds: float | None = None,
) -> Result:
    """``call``, again and again while its ServiceErrors may pass, ``seconds`` long at most; then
    the last error is raised."""
    backoff = TenacityBackoff(policy)
    until = math.inf if seconds is None else now() + seconds

    def error_of(state: RetryCallState) -> ServiceError:
        assert state.outcome is not None
        error = state.outcome.exception()
        assert isinstance(error, ServiceError)
        return error

    def wait(state: RetryCallState) -> float:
        waits = backoff.wait(state.attempt_number, denied=verdicts.is_denied(error_of(state)))
        return max(0.0, min(waits, until - now()))

    retrying = Retrying(
        retry=retry_if_exception(lambda e: isinstance(e, ServiceError) and passes(e)),
        wait=wait,
        stop=lambda state: now() >= until,
        before_sleep=lambda state: before_wait(error_of(state), _sleep_of(state)),
        reraise=True,
    )
    return retrying(call)


def _sleep_of(state: RetryCallState) -> float:
    action = state.next_action  # upcoming_sleep came with tenacity 8.3
    return action.sleep if action is not None else 0.0
