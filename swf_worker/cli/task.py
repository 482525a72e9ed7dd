"""``swf-worker task …``: one call for a task whose token is at hand."""

from __future__ import annotations

import argparse
import json
from typing import Any

from ..converter import TextConverter
from ..errors import CancelNotRequestedError
from ..exit_codes import ExitCode
from ..handle import ActivityTaskHandle
from .logging import configure_logging
from .settings import UsageError


def task(given: argparse.Namespace) -> int:
    """Make the call. What can't be answered is raised; waits are logged."""
    configure_logging(given.log_format, given.log_level)
    for needed in ("token", "reason") if given.action == "fail" else ("token",):
        if getattr(given, needed) is None:
            raise UsageError(
                f"task {given.action} needs --{needed} (or SWF_WORKER_{needed.upper()})"
            )
    handle = ActivityTaskHandle(
        given.token,
        region_name=given.region,
        endpoint_url=given.endpoint_url,
        converter=TextConverter(),
    )
    _call(handle, given)
    return ExitCode.DONE


def _call(handle: ActivityTaskHandle, given: Any) -> None:
    match given.action:
        case "heartbeat":
            print(json.dumps({"cancelRequested": handle.heartbeat(given.details)}))
        case "complete":
            handle.complete(given.result)
        case "cancel":
            if not handle.heartbeat():
                raise CancelNotRequestedError(
                    "SWF has not requested this task's cancellation, and takes Canceled only then"
                )
            handle.cancel(given.details)
        case "fail":
            handle.fail(given.reason, given.details)
