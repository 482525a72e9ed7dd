"""What the tests of several workers share."""

from __future__ import annotations

import json
import os
import socket
import sys
import time

from swf_worker import ActivityWorker, ConfigurationError
from tests.cli import workers

FLEET = "tests.cli.workers:fleet"


def logged(err, event):
    lines = [json.loads(line) for line in err.splitlines() if line.startswith("{")]
    return [line for line in lines if line["event"].startswith(event)]


MORE = [workers.pid]


class PortWorker(ActivityWorker):
    domain = "tests"
    task_list = "idle"
    activities = (workers.pid,)

    def on_start(self):
        try:
            self.port = socket.create_server(("127.0.0.1", int(os.environ["THE_PORT"])))
        except OSError:
            raise ConfigurationError("the port is taken") from None


refused = ActivityWorker(
    domain="tests",
    task_list="refused",
    activities=[workers.pid],
    endpoint_url=os.environ.get("REFUSING_URL", "http://127.0.0.1:9"),
)


class SlowStart(ActivityWorker):
    domain = "tests"
    task_list = "idle"
    activities = (workers.pid,)

    def on_start(self):
        print("starting", file=sys.stderr, flush=True)
        time.sleep(60)
