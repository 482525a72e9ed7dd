"""How a task can end, the SDK's reasons for failing one, and SWF's limits of text."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Completed:
    """RespondActivityTaskCompleted. ``result`` is the encoded text, None for no result."""

    result: str | None = None


@dataclass(frozen=True, slots=True)
class Canceled:
    """RespondActivityTaskCanceled: only ever after a heartbeat reported ``cancelRequested``."""

    details: str | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """RespondActivityTaskFailed."""

    reason: str
    details: str | None = None


Outcome = Completed | Canceled | Failed


class FailureReason(StrEnum):
    """The reasons that the SDK itself gives a failure. Each has the envelope as its details."""

    INPUT_DECODE_ERROR = "InputDecodeError"
    """The input doesn't fit the handler's signature. Not retryable."""
    RESULT_ENCODE_ERROR = "ResultEncodeError"
    """The result can't be encoded. Not retryable."""
    PAYLOAD_TOO_LARGE = "PayloadTooLarge"
    """The result is longer than 32,768 UTF-16 units. Not retryable."""
    RESULT_REFUSED = "ResultRefused"
    """SWF refused the result as invalid. Not retryable."""
    ACTIVITY_NOT_REGISTERED = "ActivityNotRegistered"
    """This worker has no handler for the activity type. Not retryable."""
    CANCEL_NOT_REQUESTED = "CancelNotRequested"
    """The handler raised ActivityCanceled, and nothing had asked it to stop. Not retryable."""
    CANCELLED_ERROR = "CancelledError"
    """An async handler let out a CancelledError of its own making. Retryable."""
    WORKER_SHUTDOWN = "WorkerShutdown"
    """The worker stopped before the work was done. Retryable."""
    HANDLER_TIMED_OUT = "HandlerTimedOut"
    """The activity's own ``deadline`` passed. Retryable."""
    LEASE_LOST = "LeaseLost"
    """No heartbeat was accepted for ``heartbeat_deadline`` seconds. Retryable."""
    HANDLER_DIED = "HandlerDied"
    """The handler's process died by itself. Retryable."""
    HANDLER_NOT_STARTED = "HandlerNotStarted"
    """No process could be started for the handler, several times in a row. Retryable."""
    MALFORMED_TASK = "MalformedTask"
    """The poll's answer had a task token, and other members were missing. Retryable."""

    @property
    def retryable(self) -> bool:
        """Whether running the same task again may end better."""
        return self not in _NOT_RETRYABLE


_NOT_RETRYABLE = frozenset(
    {
        FailureReason.INPUT_DECODE_ERROR,
        FailureReason.RESULT_ENCODE_ERROR,
        FailureReason.PAYLOAD_TOO_LARGE,
        FailureReason.RESULT_REFUSED,
        FailureReason.ACTIVITY_NOT_REGISTERED,
        FailureReason.CANCEL_NOT_REQUESTED,
    }
)

# --- limits (the botocore model's maximum lengths; UTF-16 units, as AWS's Java library counts) --

MAX_PAYLOAD = 32_768
"""Input, result, and the details of Failed and Canceled."""
MAX_HEARTBEAT_DETAILS = 2_048
MAX_REASON = 256
MAX_TOKEN = 1_024
MAX_NAME = 256
"""Identity, domain, task list, activity type name."""
MAX_VERSION = 64
