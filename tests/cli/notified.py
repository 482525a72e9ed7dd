"""Workers for the tests of what a service manager is told."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys

from swf_worker import ActivityContext, ActivityWorker, activity

NAMES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
PRINT = f"import os; print([name for name in {NAMES!r} if name in os.environ])"
AT_IMPORT = [name for name in NAMES if name in os.environ]


def seen() -> list[str]:
    """The manager's variables here, and in a program that is started here."""
    program = subprocess.run([sys.executable, "-c", PRINT], capture_output=True, check=True)
    return [*AT_IMPORT, *(name for name in NAMES if name in os.environ), program.stdout.decode()]


@activity(name="SeenInThread", version="1")
def seen_in_thread() -> list[str]:
    return seen()


@activity(name="SeenInProcess", version="1", isolation="process")
def seen_in_process() -> list[str]:
    return seen()


@activity(name="HoldGil", version="1", heartbeat_interval=0.2)
def hold_gil(seconds: int) -> str:
    """Also its scheduler stands still then."""
    ctypes.PyDLL(None).sleep(ctypes.c_uint(seconds))
    return "held"


@activity(name="UntilFile", version="1", heartbeat_interval=0.2)
def until_file(context: ActivityContext, path: str) -> str:
    """Through the drain, until the test says so."""
    while not os.path.exists(path):
        context.wait_for_stop(0.02)
    return "done"


ACTIVITIES = [seen_in_thread, seen_in_process, hold_gil, until_file]
worker = ActivityWorker(domain="tests", task_list="tasks", activities=ACTIVITIES, cancel_grace=0.3)
second = ActivityWorker(domain="tests", task_list="more", activities=ACTIVITIES, cancel_grace=0.3)
