"""A user's file, with each public name in its right use: type checkers have nothing to say, and
reveal what is written beside each line."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, reveal_type

import swf_worker
from swf_worker import (
    ActivityCanceled,
    ActivityContext,
    ActivityFailed,
    ActivityNotRegisteredError,
    ActivityTask,
    ActivityTaskHandle,
    ActivityType,
    ActivityWorker,
    Canceled,
    CancelNotRequestedError,
    CancelReason,
    CodecError,
    Completed,
    ConfigurationError,
    Converter,
    CredentialsError,
    Failed,
    FailureReason,
    InputDecodeError,
    JsonConverter,
    LimitExceededFault,
    MalformedResponseError,
    Observation,
    Observer,
    OperationNotPermittedFault,
    Outcome,
    PayloadError,
    PayloadTooLargeError,
    ResultEncodeError,
    RetryPolicy,
    ServiceError,
    ServiceUnavailableError,
    SwfWorkerError,
    TextConverter,
    ThrottledError,
    UnknownResourceFault,
    WorkflowExecution,
    Wrapper,
    activity,
    current_context,
    run_workers,
)
from swf_worker.codecs import Codec, EncryptionCodec, GzipCodec, S3Codec
from swf_worker.local import (
    Fault,
    FaultKind,
    LocalActivity,
    LocalSwf,
    ManualClock,
    QuotaUse,
    SystemClock,
    TimedOut,
)
from swf_worker.observations import TaskEnded
from swf_worker.testing import ActivityEnvironment


@dataclass
class Request:
    pages: int


@activity(name="Copy", version="1.0", heartbeat_timeout=30, start_to_close_timeout="NONE")
def copy(context: ActivityContext, request: Request) -> int:
    context.heartbeat({"page": 1})
    if context.should_stop and context.cancel_reason is CancelReason.REQUESTED:
        raise ActivityCanceled({"copied": 1})
    if request.pages > 1000:
        raise ActivityFailed("TooManyPages", retryable=False)
    context.logger.info("copied", remaining=context.time_remaining)
    return request.pages


@activity(version="1.0")
async def later(name: str) -> str:
    current_context().raise_if_canceled()
    return name


class Files(ActivityWorker):
    domain = "media"
    task_list = "files"
    max_concurrent_activities = 3
    retry_policy = RetryPolicy(initial_wait=0.5)

    @activity(version="1.0", isolation="thread", max_concurrent=2)
    def size(self, path: str) -> int:
        return len(path)

    async def on_start(self) -> None: ...

    def handle_unregistered(self, context: ActivityContext, input: str | None) -> Any:
        return input


class Prints:
    def observe(self, record: Observation, /) -> None:
        if isinstance(record, TaskEnded):
            print(record.task.activity_type)


class Upper:
    def decode(self, text: str, wanted: Any) -> Any:
        return text.lower()

    def encode(self, value: Any) -> str | None:
        return str(value).upper()


@contextmanager
def bound(context: ActivityContext) -> Generator[None]:
    yield


observers: list[Observer] = [Prints()]
wrappers: list[Wrapper] = [bound]
converters: list[Converter] = [JsonConverter(), TextConverter(), Upper()]


class Reversed:
    def encode(self, text: str) -> str:
        return f"reversed:{text[::-1]}"

    def decode(self, text: str) -> str:
        return text.removeprefix("reversed:")[::-1]


codecs: list[Codec] = [Reversed(), GzipCodec(), S3Codec("payloads", "in/", above=20_000)]
encryption: Codec = EncryptionCodec(["key", b"key"])

worker = ActivityWorker(
    domain="media",
    task_list="files",
    activities=[copy, later],
    observers=observers,
    wrappers=wrappers,
    converter=converters[0],
    on_fatal_error=print,
    calls="boto3",
)


@worker.activity(version="2.0", converter=TextConverter())
def text(page: int, path: str) -> str:
    return path * page


reveal_type(copy)  # (context: ActivityContext, request: Request) -> int
reveal_type(later)  # (name: str) -> Coroutine[Any, Any, str]
reveal_type(text)  # (page: int, path: str) -> str
reveal_type(Files().size)  # (path: str) -> int
reveal_type(worker.stop())  # list[ActivityTask]
reveal_type(worker.error)  # SwfWorkerError | None


def use() -> int:
    faults = [Fault("PollForActivityTask", FaultKind.UNAVAILABLE, calls=[1])]
    with LocalSwf(throttle=True, shuffle=7) as throttled:
        used: dict[str, QuotaUse] = throttled.quota
        print(used["PollForActivityTask"].throttled)
    with LocalSwf(clock=SystemClock()), LocalSwf(faults=faults, clock=ManualClock()) as swf:
        swf.register(worker)
        scheduled: LocalActivity = swf.schedule("Copy", "1.0", {"pages": 3})
        match scheduled.outcome():
            case Completed(result) | Canceled(result):
                print(result)
            case Failed(reason, details):
                print(FailureReason(reason).retryable, details)
            case TimedOut(kind):
                print(kind)
    decided: Outcome | None = ActivityEnvironment().outcome(copy, {"pages": 3})
    assert decided is not None
    handle = ActivityTaskHandle("token", region_name="eu-west-1")
    try:
        if not handle.heartbeat({"page": 2}):
            handle.complete({"pages": 3})
    except CredentialsError as error:
        print(error.may_pass)
    except (UnknownResourceFault, OperationNotPermittedFault, LimitExceededFault) as fault:
        print(fault.operation)
    except (ThrottledError, ServiceUnavailableError, MalformedResponseError):
        pass
    except ServiceError as error:
        print(error.code, error.request_id)
    except CodecError as error:
        print(error.may_pass)
    except (InputDecodeError, ResultEncodeError, PayloadTooLargeError, PayloadError):
        pass
    except (ActivityNotRegisteredError, CancelNotRequestedError, ConfigurationError):
        pass
    except SwfWorkerError:
        raise
    print(swf_worker.__version__)
    return run_workers([worker, Files()])


def of(task: ActivityTask) -> tuple[ActivityType, WorkflowExecution, str | None]:
    return task.activity_type, task.workflow_execution, task.input
