"""Every exception of the SDK, grouped by whose fault it is.

Two are raised *by handlers* to say how a task ends (``ActivityFailed``,
``ActivityCanceled``). All others descend from ``SwfWorkerError`` and are raised *by the SDK*.

Names: a …Fault has SWF's own name of it; what SWF has no name for is an …Error. Text that is
missing is "", never None: ``code``, ``message`` and ``request_id`` can be compared as they are.
"""

from __future__ import annotations

from typing import Any

# --- raised by handlers -----------------------------------------------------------------------


class ActivityFailed(Exception):
    """Raise it in a handler to fail the task with a reason of your own (RespondActivityTaskFailed).

    ``reason`` is at most 256 UTF-16 units, what is longer keeps its head and tail. ``details``
    is text that goes out as it is, or any JSON-serialisable value, at most 32,768 units.
    With ``retryable`` set, the details are wrapped in the failure envelope, where a decider can
    read the flag; unset (None), they go out bare.
    """

    # For subclasses that don't call this __init__.
    reason: str = ""
    details: Any = None
    retryable: bool | None = None

    def __init__(self, reason: str, details: Any = None, retryable: bool | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.details = details
        self.retryable = retryable


class ActivityCanceled(Exception):
    """Raise it in a handler to say: the work was undone or given up because it was asked to stop.

    Answers Canceled (RespondActivityTaskCanceled) only if SWF asked for it; after any other
    stop cause the task fails with that cause's reason, and with no cause at all it fails with
    ``CancelNotRequested``. ``details`` as in ``ActivityFailed``.
    """

    details: Any = None

    def __init__(self, details: Any = None) -> None:
        super().__init__("the activity stopped because it was asked to")
        self.details = details


# --- raised by the SDK ------------------------------------------------------------------------


class SwfWorkerError(Exception):
    """The root of everything the SDK itself raises."""


class ConfigurationError(SwfWorkerError):
    """The worker cannot work as it was set up: an option, a handler's signature, credentials,
    the region. The message says what is allowed."""


class ActivityNotRegisteredError(SwfWorkerError):
    """A task came for an activity type that this worker has no handler for."""


class PayloadError(SwfWorkerError):
    """A payload can't cross the wire."""


class InputDecodeError(PayloadError):
    """The task's input is not what the handler's signature says. Names the JSON path, never the
    value (inputs may be secret)."""


class ResultEncodeError(PayloadError):
    """The handler's result can't be encoded."""


class PayloadTooLargeError(PayloadError):
    """A payload is longer than SWF takes. Results are never cut."""


class CodecError(PayloadError):
    """A codec can't write or read a payload. ``may_pass``: trying again may work, where S3
    throttles or can't be reached, say; not where the key is wrong, or the payload was changed or is
    gone. The message has nothing of the payload, of keys, or of what is in S3."""

    def __init__(self, message: str, *, may_pass: bool = False) -> None:
        super().__init__(message)
        self.may_pass = may_pass


class CancelNotRequestedError(SwfWorkerError):
    """``ActivityTaskHandle.cancel`` was called, and no heartbeat has reported a cancel request."""


class ServiceError(SwfWorkerError):
    """SWF, or something on the way to it, did not accept a call.

    ``operation`` is SWF's name of it, ``code`` the service's error code, ``request_id`` SWF's id of
    the request; each is "" where none came. ``ambiguous`` tells that the request may have been
    carried out all the same: it had left when its answer was lost. The botocore error, where there
    is one, is ``__cause__``.
    """

    def __init__(
        self,
        operation: str,
        code: str,
        message: str,
        request_id: str = "",
        *,
        ambiguous: bool = False,
    ) -> None:
        super().__init__(operation, code, message, request_id)
        self.operation = operation
        self.code = code
        self.message = message
        self.request_id = request_id
        self.ambiguous = ambiguous

    def __str__(self) -> str:
        code = f" {self.code}" if self.code else ""
        request = f" (request {self.request_id})" if self.request_id else ""
        return f"{self.operation}:{code} {self.message}{request}"


class UnknownResourceFault(ServiceError):
    """With a task token: the task is closed. Otherwise: no such domain, type or execution."""


class OperationNotPermittedFault(ServiceError):
    """IAM or the credentials refuse the call: OperationNotPermitted, AccessDenied, an expired
    token, a signature out of time."""


class LimitExceededFault(ServiceError):
    """A limit of the account: on a poll, more than 1,000 pollers on the task list."""


class ThrottledError(ServiceError):
    """The account's request rate is used up; the call was not carried out."""


class ServiceUnavailableError(ServiceError):
    """The network, a proxy or the service failed for now: refused or reset connections,
    timeouts, 5xx, answers that are not from AWS."""


class CredentialsError(ServiceError):
    """There are no usable credentials, so nothing was sent. ``may_pass``: waiting may mend it, a
    provider that was throttled or not reached, say."""

    def __init__(
        self,
        operation: str,
        code: str,
        message: str,
        request_id: str = "",
        *,
        ambiguous: bool = False,
        may_pass: bool = False,
    ) -> None:
        super().__init__(operation, code, message, request_id, ambiguous=ambiguous)
        self.may_pass = may_pass


class MalformedResponseError(ServiceError):
    """HTTP 200 with a body that is no answer of SWF's. Counts as not accepted."""
