"""A workflow of botoflow's with a child, a timer and a signal, for its own workers: ``decide`` is
that of the workflows, ``work`` that of the activity that the child has done, ``start`` starts an
execution and waits for its end. (It has no markers.) For Python 2.7 and 3."""

import sys

import botoflow
from botoflow import workflow_time
from botoflow_flow import DOMAIN, REGION, Session, Worker, tell

DECISIONS, TASKS = "family-decisions", "family-tasks"


class ActivityWorker(botoflow.ActivityWorker):
    """As the other one."""

    def _fix_endpoint(self):
        if hasattr(self.client._endpoint, "timeout"):
            super(ActivityWorker, self)._fix_endpoint()


@botoflow.activities(schedule_to_start_timeout=300, start_to_close_timeout=300)
class Numbers(object):
    @botoflow.activity(name="Double", version="1", task_list=TASKS, heartbeat_timeout=300)
    def double(self, number):
        return number * 2


class Child(botoflow.WorkflowDefinition):
    @botoflow.execute(version="1", execution_start_to_close_timeout=600)
    def execute(self, number):
        doubled = yield Numbers.double(number)
        botoflow.return_(doubled)


class Family(botoflow.WorkflowDefinition):
    @botoflow.execute(version="1", execution_start_to_close_timeout=600)
    def execute(self, number):
        self.told = botoflow.Future()
        timer = workflow_time.sleep(1)
        child = yield Child.execute(number)
        doubled = yield child.workflow_result
        yield timer
        yield self.told
        read = {"child": doubled, "id": child.workflow_execution.workflow_id}
        tell(read)
        botoflow.return_(read)

    @botoflow.signal()
    def go(self):
        self.told.set_result(None)


if __name__ == "__main__":
    session = Session()
    if sys.argv[1] == "decide":
        worker = Worker(session, REGION, DOMAIN, DECISIONS, Family, Child)
        tell("deciding")
        worker.run()
    elif sys.argv[1] == "work":
        worker = ActivityWorker(session, REGION, DOMAIN, TASKS, Numbers())
        tell("working")
        worker.run()
    else:
        with botoflow.workflow_starter(session, REGION, DOMAIN, DECISIONS) as starter:
            flow = Family.execute(21)
            tell(flow.workflow_execution.workflow_id)
            tell(starter.wait_for_completion(flow, 1))
