"""The activity worker for Amazon SWF: the public names.

They are imported when they are first asked for: a process that only begins hears signals sooner,
and a test run that doesn't use them doesn't pay for them.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .context import ActivityContext, current_context
    from .converter import Converter, JsonConverter, TextConverter
    from .definition import activity
    from .errors import (
        ActivityCanceled,
        ActivityFailed,
        ActivityNotRegisteredError,
        CancelNotRequestedError,
        CodecError,
        ConfigurationError,
        CredentialsError,
        InputDecodeError,
        LimitExceededFault,
        MalformedResponseError,
        OperationNotPermittedFault,
        PayloadError,
        PayloadTooLargeError,
        ResultEncodeError,
        ServiceError,
        ServiceUnavailableError,
        SwfWorkerError,
        ThrottledError,
        UnknownResourceFault,
    )
    from .handle import ActivityTaskHandle
    from .observer import Observation, Observer
    from .options import RetryPolicy, Wrapper
    from .outcome import Canceled, Completed, Failed, FailureReason, Outcome
    from .task import ActivityTask, ActivityType, CancelReason, WorkflowExecution
    from .together import run_workers
    from .worker import ActivityWorker

__version__ = "0.1.0"

__all__ = [
    "ActivityCanceled",
    "ActivityContext",
    "ActivityFailed",
    "ActivityNotRegisteredError",
    "ActivityTask",
    "ActivityTaskHandle",
    "ActivityType",
    "ActivityWorker",
    "CancelNotRequestedError",
    "CancelReason",
    "Canceled",
    "CodecError",
    "Completed",
    "ConfigurationError",
    "Converter",
    "CredentialsError",
    "Failed",
    "FailureReason",
    "InputDecodeError",
    "JsonConverter",
    "LimitExceededFault",
    "MalformedResponseError",
    "Observation",
    "Observer",
    "OperationNotPermittedFault",
    "Outcome",
    "PayloadError",
    "PayloadTooLargeError",
    "ResultEncodeError",
    "RetryPolicy",
    "ServiceError",
    "ServiceUnavailableError",
    "SwfWorkerError",
    "TextConverter",
    "ThrottledError",
    "UnknownResourceFault",
    "WorkflowExecution",
    "Wrapper",
    "activity",
    "current_context",
    "run_workers",
]

_HOMES = (
    *("errors", "outcome", "task", "options", "observations", "definition"),
    *("context", "converter", "handle", "worker", "together"),
)


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return import_module(f".{name}", __name__)
    if name in __all__:
        for home in _HOMES:
            found = vars(import_module(f".{home}", __name__)).get(name)
            if found is not None:
                globals()[name] = found
                return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *__all__]
