"""The activity worker for Amazon SWF: the public names."""

from .activity import activity
from .context import ActivityContext, current_context
from .converter import Converter, JsonConverter, TextConverter
from .errors import (
    ActivityCanceled,
    ActivityFailed,
    ActivityNotRegisteredError,
    CancelNotRequestedError,
    ConfigurationError,
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
from .observations import Observation, Observer
from .options import RetryPolicy, Wrapper
from .outcome import Canceled, Completed, Failed, FailureReason
from .task import ActivityTask, ActivityType, CancelReason, WorkflowExecution
from .worker import ActivityWorker, run_workers

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
    "Completed",
    "ConfigurationError",
    "Converter",
    "Failed",
    "FailureReason",
    "InputDecodeError",
    "JsonConverter",
    "LimitExceededFault",
    "MalformedResponseError",
    "Observation",
    "Observer",
    "OperationNotPermittedFault",
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
