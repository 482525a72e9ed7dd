"""tenacity decides how long to wait; nobody sleeps here."""

from __future__ import annotations

from tenacity import RetryCallState, wait_random_exponential

from ..options import RetryPolicy

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
