"""Other libraries' workers, where they install (a virtual environment of their own; see
``tools/peers.sh``). One no-op activity, one worker.

    .venv-peers/bin/python benchmarks/peers.py garcon|simpleflow URL CONCURRENCY
"""

from __future__ import annotations

import os
import sys
import types
from pathlib import Path
from typing import Any


def garcon(url: str) -> None:
    """A thread an activity type; it heartbeats before each task of an activity."""
    import boto3
    from botocore.config import Config
    from garcon import activity, runner

    def work(context: dict[str, Any], activity: Any) -> dict[str, Any]:
        return {}

    swf = boto3.client("swf", endpoint_url=url, config=Config(read_timeout=90))
    create = activity.create(swf, "d", "Flow")
    flow = types.SimpleNamespace(work=create(name="Work", run=runner.Sync(work)))
    activity.ActivityWorker(flow).run()


def simpleflow(url: str) -> None:
    """A process a task."""
    os.environ["AWS_ENDPOINT_URL_SWF"] = url
    sys.path.insert(0, str(Path(__file__).parent))
    from simpleflow.swf.mapper.models.domain import Domain
    from simpleflow.swf.process.worker.base import ActivityPoller, Worker

    Worker(ActivityPoller(Domain("d"), "t"), nb_children=1).start()


def no_op(*_: Any) -> None:
    """What simpleflow's child imports by the activity type's name: ``peers.no_op``."""


INPUTS = {
    "garcon": ("--type", "Flow_Work/1.0", "--input", '{"polled": NOW}'),
    "simpleflow": ("--type", "peers.no_op/1", "--input", '{"args": [NOW]}'),
}
"""What each can decode."""

if __name__ == "__main__":
    {"garcon": garcon, "simpleflow": simpleflow}[sys.argv[1]](sys.argv[2])
