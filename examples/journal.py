"""A result survives the death of its worker: it is killed between its handler's end and the answer,
and the next one sends what the first had found out.

    python examples/journal.py
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from swf_worker import ActivityWorker, activity
from swf_worker.local import Completed, Fault, FaultKind, LocalSwf

ANSWER = "RespondActivityTaskCompleted"


@activity(name="Count", version="1.0", heartbeat_timeout=60)
def count(upto: int) -> dict[str, int]:
    """Work that nobody wants to pay for twice."""
    return {"sum": sum(range(upto)), "by_process": os.getpid()}


def run(endpoint_url: str, journal: str) -> int:
    """A worker with a journal."""
    return ActivityWorker(
        domain="demo",
        task_list="sums",
        activities=[count],
        endpoint_url=endpoint_url,
        journal=journal,
    ).run()


def main() -> None:
    """Run it: a worker that dies, and one that delivers."""
    if len(sys.argv) > 1:
        raise SystemExit(run(*sys.argv[1:]))
    with tempfile.TemporaryDirectory() as folder, LocalSwf(poll_hold=0.5) as swf:
        swf.register([count], domain="demo")
        journal = Path(folder) / "journal.sqlite3"
        command = [sys.executable, __file__, swf.endpoint_url, str(journal)]
        swf.set_faults([Fault(ANSWER, FaultKind.UNAVAILABLE)])  # nobody takes the answer
        scheduled = swf.schedule("Count", "1.0", 1000, domain="demo", task_list="sums")
        with subprocess.Popen(command) as first:
            while not swf.calls.get(ANSWER):
                time.sleep(0.05)
            first.kill()  # as the OOM killer does
        print(f"process {first.pid} was killed: its answer lies in {journal.name}")
        swf.set_faults([])
        with subprocess.Popen(command) as second:
            outcome = scheduled.outcome()
            print(f"process {second.pid} has sent it: {outcome}")
            second.terminate()
        assert isinstance(outcome, Completed)
        assert f'"by_process":{first.pid}' in (outcome.result or "")
        print([event["eventType"] for event in scheduled.history()][-4:])


if __name__ == "__main__":
    main()
