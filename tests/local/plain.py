"""Plain boto3 against a local SWF: no line of the worker."""

from __future__ import annotations

import http.client
import itertools
import json
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

NUMBERS = itertools.count(1)


def client(url: str) -> Any:
    session = boto3.Session(
        aws_access_key_id="x", aws_secret_access_key="y", region_name="eu-west-1"
    )
    config = Config(read_timeout=90, retries={"total_max_attempts": 1}, max_pool_connections=64)
    return session.client("swf", endpoint_url=url, config=config)


class Plain:
    """A decider and a worker by hand, for one domain."""

    def __init__(self, swf: Any, domain: str = "plain") -> None:
        self.swf = swf
        self.domain = domain
        swf.register_domain(name=domain, workflowExecutionRetentionPeriodInDays="1")
        swf.register_workflow_type(
            domain=domain,
            name="Flow",
            version="1",
            defaultTaskList={"name": "decide"},
            defaultChildPolicy="TERMINATE",
            defaultTaskStartToCloseTimeout="86400",
            defaultExecutionStartToCloseTimeout="86400",
        )
        swf.register_activity_type(
            domain=domain,
            name="Work",
            version="1",
            defaultTaskList={"name": "work"},
            defaultTaskHeartbeatTimeout="NONE",
            defaultTaskScheduleToCloseTimeout="NONE",
            defaultTaskScheduleToStartTimeout="NONE",
            defaultTaskStartToCloseTimeout="NONE",
        )

    def start(self, **given: Any) -> dict[str, str]:
        workflow_id = f"flow-{next(NUMBERS)}"
        run = self.swf.start_workflow_execution(
            domain=self.domain,
            workflowId=workflow_id,
            workflowType={"name": "Flow", "version": "1"},
            **given,
        )
        return {"workflowId": workflow_id, "runId": run["runId"]}

    def decide(self, *decisions: tuple[str, dict[str, Any]]) -> dict[str, Any]:
        """Poll for a decision and make these."""
        task = self.swf.poll_for_decision_task(domain=self.domain, taskList={"name": "decide"})
        assert task.get("taskToken"), "no decision task"
        self.swf.respond_decision_task_completed(
            taskToken=task["taskToken"],
            decisions=[
                {"decisionType": kind, f"{kind[0].lower()}{kind[1:]}DecisionAttributes": given}
                for kind, given in decisions
            ],
        )
        return task

    @staticmethod
    def schedule(activity_id: str = "a", **given: Any) -> tuple[str, dict[str, Any]]:
        attributes = {"activityId": activity_id, "activityType": {"name": "Work", "version": "1"}}
        return "ScheduleActivityTask", attributes | given

    @staticmethod
    def request_cancel(activity_id: str = "a") -> tuple[str, dict[str, Any]]:
        return "RequestCancelActivityTask", {"activityId": activity_id}

    def poll(self, task_list: str = "work", identity: str = "me") -> dict[str, Any]:
        return self.swf.poll_for_activity_task(
            domain=self.domain, taskList={"name": task_list}, identity=identity
        )

    def beat(self, token: str, details: str | None = None) -> bool:
        given = {} if details is None else {"details": details}
        answer = self.swf.record_activity_task_heartbeat(taskToken=token, **given)
        return answer["cancelRequested"]

    def events(self, execution: dict[str, str]) -> list[dict[str, Any]]:
        pages = self.swf.get_paginator("get_workflow_execution_history").paginate(
            domain=self.domain, execution=execution
        )
        return [event for page in pages for event in page["events"]]

    def kinds(self, execution: dict[str, str]) -> list[str]:
        return [event["eventType"] for event in self.events(execution)]

    def attributes(self, execution: dict[str, str], kind: str) -> dict[str, Any]:
        event = next(e for e in reversed(self.events(execution)) if e["eventType"] == kind)
        return event[f"{kind[0].lower()}{kind[1:]}EventAttributes"]


def refused(call: Any, code: str, says: str = "", **given: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**given)
    error = caught.value.response["Error"]
    assert error["Code"] == code, error
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert says in error["Message"]
    return error["Message"]


def raw(
    swf: Any, target: str, body: str | None, method: str = "POST", **headers: str
) -> tuple[int, Any]:
    """A request as it is, and its answer."""
    connection = http.client.HTTPConnection(swf.endpoint_url.removeprefix("http://"))
    try:
        connection.request(method, "/", body, {"X-Amz-Target": target} | headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()
