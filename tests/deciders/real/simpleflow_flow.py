"""A workflow of simpleflow's, for its own commands: ``simpleflow decider.start`` decides, and
``simpleflow workflow.start`` starts it. At its end it prints one line: what it has read."""

import json

from simpleflow import Workflow, activity
from simpleflow.format import decode
from simpleflow.swf.mapper.models.decision import ActivityTaskDecision
from simpleflow.swf.task import ActivityTask, TimerTask


@activity.with_attributes(name="Charge", version="1", task_list="tasks")
def charge(order, amount=1):
    """Ours does it."""


@activity.with_attributes(name="Refuse", version="1", task_list="tasks")
def refuse(order):
    """Ours does it."""


@activity.with_attributes(name="Wait", version="1", task_list="tasks")
def wait(order):
    """Ours does it."""


class Cancel(TimerTask):
    """simpleflow has the decision, and no task for it: a timer tells replays that it was made."""

    def __init__(self, activity_id):
        super().__init__(f"cancel {activity_id}", 0, None)
        self.activity_id = activity_id

    def schedule(self, *args, **kwargs):
        decision = ActivityTaskDecision("request_cancel", activity_id=self.activity_id)
        return [*super().schedule(*args, **kwargs), decision]


class Flow(Workflow):
    name = "simpleflow_flow.Flow"
    version = "1"
    task_list = "decisions"

    def run(self, order):
        self.failures = {}
        charged = self.submit(charge, order, amount=3).result
        again = self.submit(charge, charged["order"], amount=charged["amount"] + 1).result
        refused = self.submit(refuse, order)
        waiting = ActivityTask(wait, order)
        waited = self.submit(waiting)
        failed = refused.exception
        if self.submit(self.wait_signal("cancel")).finished:
            self.submit(Cancel(waiting.id))
        # Its futures wait for "cancelled", and its events say "canceled".
        events = [each for each in self.executor.history.events if each.type == "ActivityTask"]
        canceled = [each for each in events if each.state == "canceled"]
        if not canceled:
            waited.wait()
        read = {
            "results": [charged, again],
            "failure": {"reason": failed.reason, **self.failures["Refuse"]},
            "wait": {"details": decode(canceled[0].details), "future": waited.state},
        }
        print(json.dumps(read), flush=True)
        return read

    def on_task_failure(self, failed):
        self.failures[failed.task_name] = {
            "error": failed.task_error,
            "message": failed.task_message,
            "error_type": failed.task_error_type and failed.task_error_type.__name__,
            "retryable": failed.details["retryable"],
        }
