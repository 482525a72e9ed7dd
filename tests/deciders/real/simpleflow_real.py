"""simpleflow itself: what it writes (``write``), and what it makes of texts (``read``, stdin)."""

import datetime
import json
import logging
import re
import sys
import types
from importlib.metadata import version

from simpleflow import activity, exceptions, futures
from simpleflow import format as fields
from simpleflow.swf.process.worker.base import ActivityWorker
from simpleflow.swf.task import ActivityTask, NonPythonicActivityTask
from simpleflow.task import TaskFailureContext


@activity.with_attributes(name="charge", version="1", meta={"binaries": {}})
def charge(order, amount=1):
    if amount < 0:
        raise ValueError("a negative amount: \u20ac 5")
    return {"order": order, "amount": amount}


def scheduled(kind, *args, **kwargs):
    made = kind(charge, *args, **kwargs).get_input()
    if kind is ActivityTask:
        made["meta"] = charge.meta
    return fields.input(made)


class Poller:
    """Takes what the worker answers."""

    domain = types.SimpleNamespace(name="domain")
    task_list = "list"

    def complete_with_retry(self, token, result):
        self.answer = {"result": fields.result(result)}

    def fail_with_retry(self, token, task, reason=None, details=None):
        self.answer = {"reason": fields.reason(reason), "details": fields.details(details)}


def without_folders(answer):
    """The answer, as on any machine."""
    return {name: re.sub(r'"[^" ]*/', '"', text) for name, text in answer.items()}


def worked(text):
    context = {
        "activityType": {"name": "charge", "version": "1"},
        "workflowExecution": {"workflowId": "w", "runId": "r"},
        "activityId": "1",
        "taskToken": "token",
        "startedEventId": 7,
        "input": text,
    }
    poller, task = Poller(), types.SimpleNamespace(input=text, context=context, activity_id="1")
    worker = ActivityWorker()
    worker.dispatch = lambda task: charge
    worker.process(poller, "token", task)
    return without_folders(poller.answer)


def write():
    when = datetime.datetime(2024, 1, 2, 3, 4, 5, 678000, datetime.UTC)
    inputs = {
        "pythonic": scheduled(ActivityTask, "A-17", amount=3),
        "values": scheduled(
            ActivityTask, [1.5, None, True, "caf\u00e9 \U0001f600"], {"when": when}
        ),
        "nan": scheduled(ActivityTask, float("nan"), 2**70),
        "raw kwargs": scheduled(NonPythonicActivityTask, order="A-17", amount=3),
        "raw args": scheduled(NonPythonicActivityTask, "A-17", 3),
    }
    return {
        "inputs": inputs,
        "completed": worked(inputs["pythonic"]),
        "failed": worked(scheduled(ActivityTask, "A-17", amount=-1)),
        "jumbo": scheduled(ActivityTask, "x" * 40_000) if fields._jumbo_fields_bucket() else None,
    }


def read(given):
    if "failed" in given:
        failed = given["failed"]
        future = futures.Future()
        future.set_exception(exceptions.TaskFailed("id", failed["reason"], failed["details"]))
        context = TaskFailureContext(charge, {}, future, exceptions.TaskFailed)
        return {
            "reason": context.reason,
            "error": context.task_error,
            "message": context.task_message,
            "error_type": context.task_error_type and context.task_error_type.__name__,
        }
    return {"results": [fields.decode(text, use_proxy=False) for text in given["results"]]}


if __name__ == "__main__":
    logging.disable()
    said = write() if sys.argv[1] == "write" else read(json.load(sys.stdin))
    print(json.dumps({"library": "simpleflow " + version("simpleflow"), **said}, indent=1))
