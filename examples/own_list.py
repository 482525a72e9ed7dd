"""Two task lists, one process: the shared list's tasks run on any host, those of the host's own
list run where the files are. The classic way to pin a workflow's later steps to a host in SWF.

    python examples/own_list.py      (AWS_ENDPOINT_URL_SWF=http://127.0.0.1:8765 for the local SWF)
    swf-worker run examples.own_list:shared examples.own_list:own

``Fetch`` runs anywhere and says where; the decider schedules ``Measure`` on that task list.
"""

from __future__ import annotations

import os
import socket
import tempfile
from pathlib import Path

from swf_worker import ActivityWorker, activity, run_workers

# One list a host. (Only separate task lists keep kinds of work from waiting for each other.)
OWN_LIST = os.environ.get("OWN_TASK_LIST", f"files-{socket.gethostname()}")


@activity(name="Fetch", version="1.0", heartbeat_timeout=30)
def fetch(text: str) -> dict[str, str]:
    """Bring a file to this host. The result tells the decider where the next step must run."""
    with tempfile.NamedTemporaryFile("w", prefix="own-list-", delete=False) as file:
        file.write(text)
    return {"path": file.name, "task_list": OWN_LIST}


@activity(name="Measure", version="1.0", heartbeat_timeout=30)
def measure(path: Path) -> int:
    """Needs the file that Fetch brought: only this host has it."""
    size = path.stat().st_size
    path.unlink()
    return size


shared = ActivityWorker(domain="media", task_list="files", activities=[fetch])
own = ActivityWorker(domain="media", task_list=OWN_LIST, activities=[measure])

if __name__ == "__main__":
    raise SystemExit(run_workers([shared, own]))
