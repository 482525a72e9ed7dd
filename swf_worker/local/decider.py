"""The decider behind ``LocalSwf.schedule``: a workflow of one activity, on the same wire as any."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from ..core.one_activity import decide

if TYPE_CHECKING:
    from types_boto3_swf import SWFClient
    from types_boto3_swf.type_defs import WorkflowTypeTypeDef

WORKFLOW: WorkflowTypeTypeDef = {"name": "OneActivity", "version": "1"}
TASK_LIST = "swf_worker-local-decider"


class Decider:
    """Decides for the one-activity workflows of one domain, in a thread of its own."""

    def __init__(self, client: SWFClient, domain: str) -> None:
        self._client = client
        self._domain = domain
        self._wanted: dict[str, dict[str, Any]] = {}
        self._stopped = False
        self._thread = threading.Thread(
            target=self._run, name=f"local-swf-decider-{domain}", daemon=True
        )
        self._thread.start()

    def want(self, workflow_id: str, attributes: dict[str, Any]) -> None:
        """What to schedule for a workflow that is about to be started."""
        self._wanted[workflow_id] = attributes

    def stop(self) -> None:
        """End; the service lets the open poll go."""
        self._stopped = True

    def join(self) -> None:
        """Wait for its end."""
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped:
            try:
                task = self._client.poll_for_decision_task(
                    domain=self._domain, taskList={"name": TASK_LIST}
                )
                if task.get("taskToken"):
                    self._client.respond_decision_task_completed(
                        taskToken=task["taskToken"], decisions=self._decisions(task)
                    )
            except (BotoCoreError, ClientError):
                continue  # the execution was closed meanwhile, or the service is being stopped

    def _decisions(self, task: Any) -> Any:
        wanted = self._wanted.pop(task["workflowExecution"]["workflowId"], {})  # once: to schedule
        return decide({event["eventType"] for event in task["events"]}, wanted)
