"""Functions as handlers, marked with a decorator.

python examples/decorator.py     # on the local SWF: AWS_ENDPOINT_URL_SWF=http://127.0.0.1:8765
swf-worker run examples.decorator:worker
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from swf_worker import ActivityContext, ActivityFailed, ActivityWorker, activity


@dataclass
class ChecksumRequest:
    """Which file, and how."""

    path: Path
    algorithm: str = "sha256"


@activity(name="Checksum", version="1.0", heartbeat_timeout=30, start_to_close_timeout=3600)
def checksum(context: ActivityContext, request: ChecksumRequest) -> dict[str, str]:
    """The checksum of a file, with its progress in the heartbeats."""
    if request.algorithm not in hashlib.algorithms_available:
        # retryable=False tells the decider that another try would end the same way.
        raise ActivityFailed("UnknownAlgorithm", request.algorithm, retryable=False)
    digest = hashlib.new(request.algorithm)
    size = request.path.stat().st_size
    with request.path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
            context.heartbeat({"read": file.tell(), "of": size})
    return {"algorithm": request.algorithm, "digest": digest.hexdigest()}


@activity(name="Add", version="1.0")
def add(a: int, b: int = 1) -> int:
    """Several parameters are the members of a JSON object: {"a": 1, "b": 2}."""
    return a + b


worker = ActivityWorker(domain="media", task_list="files", activities=[checksum, add])

if __name__ == "__main__":
    raise SystemExit(worker.run())
