"""The other side, with plain boto3: registers a domain and types, starts a workflow, decides for
it, and prints what became of its one activity. Run it beside a worker, on the local SWF:

    swf-worker dev
    swf-worker run examples.decorator:worker --endpoint-url http://127.0.0.1:8765
    python examples/decider.py
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import Any
from uuid import uuid4

import boto3
from botocore.config import Config

ENDPOINT = os.environ.get("AWS_ENDPOINT_URL_SWF", "http://127.0.0.1:8765")
DOMAIN = "media"
DECISIONS: Any = {"name": "decisions"}
FLOW: Any = {"name": "AddFlow", "version": "1"}
ENDS = (
    "ActivityTaskCompleted",
    "ActivityTaskFailed",
    "ActivityTaskCanceled",
    "ActivityTaskTimedOut",
)


def main() -> int:
    """One workflow of one activity; 0 if it completed."""
    swf = boto3.client(
        "swf",
        endpoint_url=ENDPOINT,
        region_name="us-east-1",
        aws_access_key_id="local",
        aws_secret_access_key="local",
        config=Config(read_timeout=70, retries={"total_max_attempts": 1}, proxies={}),
    )
    with suppress(swf.exceptions.DomainAlreadyExistsFault):
        swf.register_domain(name=DOMAIN, workflowExecutionRetentionPeriodInDays="1")
    with suppress(swf.exceptions.TypeAlreadyExistsFault):
        swf.register_activity_type(domain=DOMAIN, name="Add", version="1.0")
    with suppress(swf.exceptions.TypeAlreadyExistsFault):
        swf.register_workflow_type(
            domain=DOMAIN,
            **FLOW,
            defaultChildPolicy="TERMINATE",
            defaultTaskStartToCloseTimeout="60",
            defaultExecutionStartToCloseTimeout="600",
        )
    swf.start_workflow_execution(
        domain=DOMAIN, workflowId=f"add-{uuid4().hex[:8]}", workflowType=FLOW, taskList=DECISIONS
    )
    while True:
        task: Any = swf.poll_for_decision_task(domain=DOMAIN, taskList=DECISIONS)
        if not task.get("taskToken"):
            print("nothing yet: does a worker poll task list 'files'?", file=sys.stderr)
            continue
        ended = [event for event in task["events"] if event["eventType"] in ENDS]
        decision: Any = {"decisionType": "CompleteWorkflowExecution"} if ended else schedule()
        swf.respond_decision_task_completed(taskToken=task["taskToken"], decisions=[decision])
        if ended:
            kind = ended[0]["eventType"]
            print(kind, ended[0][f"{kind[0].lower()}{kind[1:]}EventAttributes"])
            return 0 if kind == "ActivityTaskCompleted" else 1


def schedule() -> Any:
    """The decision that schedules Add on the worker's task list."""
    return {
        "decisionType": "ScheduleActivityTask",
        "scheduleActivityTaskDecisionAttributes": {
            "activityId": "add",
            "activityType": {"name": "Add", "version": "1.0"},
            "taskList": {"name": "files"},
            "input": '{"a": 1, "b": 2}',
            "heartbeatTimeout": "30",
            "startToCloseTimeout": "60",
            "scheduleToStartTimeout": "60",
            "scheduleToCloseTimeout": "120",
        },
    }


if __name__ == "__main__":
    sys.exit(main())
