"""Many deciders, workers and operators at once: every history holds together (``invariants``)."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter

import pytest
from botocore.exceptions import ClientError

from swf_worker.local import LocalSwf
from tests.local.invariants import Walk
from tests.local.plain import Plain
from tests.local.test_local_refusals import on_the_wire

FLOW = {"name": "Flow", "version": "1"}
EXPECTED = {"UnknownResourceFault", "WorkflowExecutionAlreadyStartedFault"}
IDS = 40


class Crowd:
    """Threads that do what they like until it is over."""

    def __init__(self, plain, seed):
        self.swf = plain.swf
        self.chance = random.Random(seed)
        self.over = threading.Event()
        self.faults = Counter()
        self.handed = Counter()
        self.threads = []

    def add(self, what, count):
        for _ in range(count):
            chance = random.Random(self.chance.random())
            self.threads.append(threading.Thread(target=self.run, args=(what, chance)))

    def run(self, what, chance):
        while not self.over.is_set():
            try:
                what(chance)
            except ClientError as error:
                self.faults[error.response["Error"]["Code"]] += 1

    def let(self, seconds):
        for thread in self.threads:
            thread.start()
        time.sleep(seconds)
        self.over.set()
        for thread in self.threads:
            thread.join()

    def operate(self, chance):
        named = {"domain": "plain", "workflowId": f"w{chance.randrange(IDS)}"}
        what = chance.random()
        if what < 0.5:
            policy = chance.choice(["TERMINATE", "REQUEST_CANCEL", "ABANDON"])
            self.swf.start_workflow_execution(**named, workflowType=FLOW, childPolicy=policy)
        elif what < 0.8:
            self.swf.signal_workflow_execution(**named, signalName="s")
        elif what < 0.9:
            self.swf.request_cancel_workflow_execution(**named)
        else:
            self.swf.terminate_workflow_execution(**named)

    def decide(self, chance):
        task = self.swf.poll_for_decision_task(domain="plain", taskList={"name": "decide"})
        if task.get("taskToken"):
            self.handed[task["workflowExecution"]["runId"], task["startedEventId"]] += 1
            self.swf.respond_decision_task_completed(
                taskToken=task["taskToken"], decisions=on_the_wire(*self.decisions(chance))
            )

    def decisions(self, chance):
        other = f"w{chance.randrange(IDS)}"
        activity, timer = f"a{chance.randrange(4)}", f"t{chance.randrange(3)}"
        kinds = [
            Plain.schedule(activity, startToCloseTimeout="NONE"),
            Plain.request_cancel(activity),
            ("StartTimer", {"timerId": timer, "startToFireTimeout": chance.choice(["0", "3600"])}),
            ("CancelTimer", {"timerId": timer}),
            ("StartChildWorkflowExecution", {"workflowId": other, "workflowType": FLOW}),
            ("SignalExternalWorkflowExecution", {"workflowId": other, "signalName": "x"}),
            ("RequestCancelExternalWorkflowExecution", {"workflowId": other}),
            ("RecordMarker", {"markerName": "m"}),
        ]
        closing = ["Complete", "Fail", "Cancel", "ContinueAsNew"]
        chosen = chance.sample(kinds, chance.randrange(4))
        if chance.random() < 0.2:
            chosen = [
                each for each in chosen if each[0] not in ("ScheduleActivityTask", "StartTimer")
            ]
            chosen.append((f"{chance.choice(closing)}WorkflowExecution", {}))
        return chosen

    def work(self, chance):
        task = self.swf.poll_for_activity_task(domain="plain", taskList={"name": "work"})
        if task.get("taskToken"):
            self.handed[task["workflowExecution"]["runId"], task["startedEventId"]] += 1
            token = task["taskToken"]
            if self.swf.record_activity_task_heartbeat(taskToken=token)["cancelRequested"]:
                self.swf.respond_activity_task_canceled(taskToken=token)
            elif chance.random() < 0.7:
                self.swf.respond_activity_task_completed(taskToken=token)
            else:
                self.swf.respond_activity_task_failed(taskToken=token)


@pytest.mark.parametrize(
    ("threads", "seconds"), [(4, 0.7), pytest.param(20, 10, marks=pytest.mark.full)]
)
def test_histories_hold_together_whoever_does_what_at_once(threads, seconds):
    with LocalSwf(poll_hold=0.1) as local:
        plain = Plain(local.client())
        crowd = Crowd(plain, seed=threads)
        for what in (crowd.operate, crowd.decide, crowd.work):
            crowd.add(what, threads)
        crowd.let(seconds)
        assert set(crowd.faults) <= EXPECTED
        assert set(crowd.handed.values()) == {1}, "a task is handed out once"
        infos = []
        for kind in ("open", "closed"):
            pages = plain.swf.get_paginator(f"list_{kind}_workflow_executions").paginate(
                domain="plain",
                startTimeFilter={"oldestDate": 0},
                PaginationConfig={"PageSize": 7},
            )
            infos += [info for page in pages for info in page["executionInfos"]]
        histories = {each["execution"]["runId"]: plain.events(each["execution"]) for each in infos}
        assert len(histories) == len(infos) > threads
        for info in infos:
            walk = Walk(histories[info["execution"]["runId"]], histories)
            assert walk.flaws == []
            told = plain.swf.describe_workflow_execution(
                domain="plain", execution=info["execution"]
            )["openCounts"]
            kinds = ("ActivityTasks", "Timers", "DecisionTasks", "ChildWorkflowExecutions")
            assert tuple(told[f"open{kind}"] for kind in kinds) == walk.open
