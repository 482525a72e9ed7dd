"""A workflow of botoflow's: ``decide`` is its worker, ``start`` starts an execution and waits for
its end. At its end the workflow prints one line: what it has read. For Python 2.7 and 3."""

import json
import os
import sys

import botocore.session
import botoflow
from botoflow.exceptions import ActivityTaskCanceledError, ActivityTaskFailedError

REGION, DOMAIN, DECISIONS = "us-east-1", "flows", "decisions"
OURS = {"version": "1", "task_list": "tasks"}


def tell(value):
    print(json.dumps(value))
    sys.stdout.flush()


class Session(botocore.session.Session):
    """botocore's, for an endpoint that only later ones read from the environment."""

    def create_client(self, *args, **kwargs):
        kwargs["endpoint_url"] = os.environ["AWS_ENDPOINT_URL_SWF"]
        return super(Session, self).create_client(*args, **kwargs)


class Worker(botoflow.WorkflowWorker):
    """botoflow's, which sets a timeout of botocore's endpoints where they have one: no later ones
    have, and theirs (60 s) is long enough for a local SWF's polls."""

    def _fix_endpoint(self):
        if hasattr(self.client._endpoint, "timeout"):
            super(Worker, self)._fix_endpoint()


@botoflow.activities(schedule_to_start_timeout=300, start_to_close_timeout=300)
class Orders(object):
    @botoflow.activity(name="Charge", **OURS)
    def charge(self, order, amount=1):
        """Ours does it."""

    @botoflow.activity(name="Refuse", **OURS)
    def refuse(self, order):
        """Ours does it."""

    @botoflow.activity(name="Wait", heartbeat_timeout=300, **OURS)
    def wait(self, order):
        """Ours does it."""


class Flow(botoflow.WorkflowDefinition):
    @botoflow.execute(version="1", execution_start_to_close_timeout=600)
    def execute(self, order):
        self.told = botoflow.Future()
        charged = yield Orders.charge(order, amount=3)
        again = yield Orders.charge(charged["order"], amount=charged["amount"] + 1)
        refused, failure = Orders.refuse(order), None
        waiting, canceled = Orders.wait(order), None
        try:
            yield refused
        except ActivityTaskFailedError as error:
            failure = {
                "cause": type(error.cause).__name__,
                "message": error.cause.args[0],  # 2.7 has no str of it
                "retryable": error.cause.retryable,
                "printed": "".join(error.format_exc()),
            }
        yield self.told
        waiting.cancel()
        try:
            yield waiting
        except ActivityTaskCanceledError as error:
            canceled = {
                "cause": type(error.cause).__name__,
                "requested": error.latest_cancel_requested_event_id is not None,
                "canceled": waiting.cancelled(),
            }
        read = {"results": [charged, again], "failure": failure, "wait": canceled}
        tell(read)
        botoflow.return_(read)

    @botoflow.signal()
    def cancel(self):
        self.told.set_result(None)


if __name__ == "__main__":
    session = Session()
    if sys.argv[1] == "decide":
        worker = Worker(session, REGION, DOMAIN, DECISIONS, Flow)
        tell("deciding")
        worker.run()
    else:
        with botoflow.workflow_starter(session, REGION, DOMAIN, DECISIONS) as starter:
            flow = Flow.execute("A-17")
            tell(flow.workflow_execution.workflow_id)
            tell(starter.wait_for_completion(flow, 1))
