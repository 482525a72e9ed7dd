"""Targets for ``check``, ``register`` and ``iam-policy`` in tests."""

from __future__ import annotations

from typing import Any

from swf_worker import ActivityWorker, activity

print("a module may print when it is imported")


@activity(
    name="Archive",
    version="1.0",
    heartbeat_timeout=30,
    start_to_close_timeout="NONE",
    default_task_list="files",
    description="puts folders away",
)
def archive(path: str) -> str:
    return path


@activity(name="Bare", version="2")
def bare() -> None: ...


@activity(name="Archive", version="1.0", heartbeat_timeout=60)
def other_archive() -> None: ...


# Functions: the flags of one run are not for the next one in the same process.


def worker() -> ActivityWorker:
    return ActivityWorker(domain="deploys", task_list="files", activities=[archive, bare])


def drifted() -> ActivityWorker:
    return ActivityWorker(domain="deploys", task_list="files", activities=[other_archive, bare])


def hosts_own() -> ActivityWorker:
    return ActivityWorker(domain="deploys", task_list="host-7", activities=[bare])


def elsewhere() -> ActivityWorker:
    return ActivityWorker(domain="media*", task_list="${x}", activities=[bare])


@activity(name="Old", version="1")
def old() -> None: ...


def others() -> ActivityWorker:
    return ActivityWorker(domain="deploys", task_list="files", activities=[old])


@activity(name="Limited", version="1", heartbeat_timeout=30, heartbeat_deadline=25)
def with_deadline() -> None: ...


def limited() -> ActivityWorker:
    return ActivityWorker(domain="deploys", task_list="files", activities=[with_deadline])


class CatchAll(ActivityWorker):
    domain = "deploys"
    task_list = "files"

    def handle_unregistered(self, context, input):
        return input


def _numbered(number: int) -> Any:
    @activity(name=f"ActivityNumber{number}", version="1.0", heartbeat_timeout=60)
    def act() -> None: ...

    return act


of_many_types = ActivityWorker(
    domain="deploys", task_list="many", activities=[_numbered(number) for number in range(150)]
)
