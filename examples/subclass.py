"""A worker class, with state that its handlers share.

python examples/subclass.py     # on the local SWF: AWS_ENDPOINT_URL_SWF=http://127.0.0.1:8765
swf-worker run examples.subclass:CounterWorker
"""

from __future__ import annotations

import sqlite3
import threading

from swf_worker import ActivityContext, ActivityWorker, activity


class CounterWorker(ActivityWorker):
    """Counts visits in a database that is opened at the start and closed at the end."""

    domain = "media"
    task_list = "counters"
    max_concurrent_activities = 4

    def on_start(self) -> None:
        """Before the first poll: what it raises ends the start."""
        self.lock = threading.Lock()  # handlers run in several threads
        self.database = sqlite3.connect(":memory:", check_same_thread=False)
        self.database.execute("CREATE TABLE visits (page TEXT PRIMARY KEY, count INTEGER)")

    def on_stop(self) -> None:
        """After the last task."""
        self.database.close()

    @activity(name="Visit", version="1.0")
    def visit(self, context: ActivityContext, page: str) -> int:
        """Count a visit of a page."""
        with self.lock, self.database:
            row = self.database.execute(
                "INSERT INTO visits VALUES (?, 1) "
                "ON CONFLICT (page) DO UPDATE SET count = count + 1 RETURNING count",
                (page,),
            ).fetchone()
        context.logger.info("visited", page=page, count=row[0])
        return int(row[0])


if __name__ == "__main__":
    raise SystemExit(CounterWorker().run())
