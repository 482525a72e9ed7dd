"""CPU-bound work in processes of its own: it may hold the GIL, leak or crash, and hurts nobody.

    python examples/process_isolation.py     (AWS_ENDPOINT_URL_SWF=http://127.0.0.1:8765 for the
    local SWF)

The worker sends the heartbeats, so they go out however busy the handler is.
"""

from __future__ import annotations

import os

from swf_worker import ActivityCanceled, ActivityContext, ActivityWorker, activity


@activity(name="CountPrimes", version="1.0", heartbeat_timeout=10, isolation="process")
def count_primes(context: ActivityContext, below: int) -> int:
    """At the top level of a module: other processes must be able to import it."""
    found: list[int] = []
    for number in range(2, below):
        if number % 1000 == 0:
            if context.should_stop:  # asked over a pipe
                raise ActivityCanceled({"reached": number})
            context.heartbeat({"reached": number})
        if all(number % prime for prime in found if prime * prime <= number):
            found.append(number)
    return len(found)


@activity(
    name="Crash",
    version="1.0",
    isolation="process",
    deadline=600,  # never ends? asked, then killed, and answered Failed HandlerTimedOut
    cancel_kills=True,  # ignores a cancel request? killed, and answered Canceled
)
def crash() -> None:
    """What native code sometimes does. This task alone fails, with HandlerDied."""
    os.abort()


worker = ActivityWorker(
    domain="media",
    task_list="numbers",
    activities=[count_primes, crash],
    max_concurrent_activities=os.cpu_count() or 1,
    max_tasks_per_child=100,  # for handlers that leak
)

if __name__ == "__main__":  # needed: handler processes import this file
    raise SystemExit(worker.run())
