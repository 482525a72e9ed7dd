"""A task that another process completes: the handler hands its token over and returns.

    python examples/completed_elsewhere.py   (AWS_ENDPOINT_URL_SWF=http://127.0.0.1:8765 for the
    local SWF)

Here the other process is this file with ``finish TOKEN``. It might as well be a web service that
waits for a person's approval, or a shell script with ``swf-worker task complete``.
"""

from __future__ import annotations

import subprocess
import sys

from swf_worker import ActivityContext, ActivityTaskHandle, ActivityWorker, activity


@activity(name="Approve", version="1.0", heartbeat_timeout=30, manual_completion=True)
def approve(context: ActivityContext, order: str) -> None:
    """Hand the token over. When this returns, the worker's beats end and its slot is free."""
    subprocess.Popen([sys.executable, __file__, "finish", context.task.task_token, order])


def finish(task_token: str, order: str) -> None:
    """The other process: it has the token, and so the task."""
    handle = ActivityTaskHandle(task_token)
    for step in range(1, 4):
        # No beats go out by themselves here: call it more often than the heartbeat timeout.
        if handle.heartbeat({"reviewers asked": step}):
            handle.cancel("the review was withdrawn")
            return
    if order == "too much":
        handle.fail("Refused", order)
    else:
        handle.complete({"order": order, "approved": True})


worker = ActivityWorker(domain="shop", task_list="approvals", activities=[approve])

if __name__ == "__main__":
    if sys.argv[1:2] == ["finish"]:
        finish(*sys.argv[2:4])
    else:
        raise SystemExit(worker.run())
