"""A worker with a boto3 session of its own: a profile whose role is assumed, say.

    python examples/own_session.py PROFILE

    [profile worker]
    role_arn = arn:aws:iam::111122223333:role/swf-worker
    source_profile = default
    region = eu-west-1

Credentials are refreshed well before they end, by a thread of the worker's: no heartbeat waits for
STS. The log's first line says how calls are made: ``calls=direct``, or ``boto3:`` and why. A tracer
that is switched on before the worker starts, a proxy or a handler of the session's events has
boto3's client make them, and sees each; ``calls="boto3"`` has it in any case.
"""

from __future__ import annotations

import logging
import sys

import boto3

from swf_worker import ActivityContext, ActivityWorker, activity


@activity(name="Greet", version="1.0", heartbeat_timeout=30)
def greet(context: ActivityContext, name: str) -> str:
    return f"Hello, {name}!"


def make_worker(profile: str) -> ActivityWorker:
    return ActivityWorker(
        domain="examples",
        task_list="greetings",
        activities=[greet],
        session=boto3.Session(profile_name=profile),
    )


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    sys.exit(make_worker(sys.argv[1]).run())
