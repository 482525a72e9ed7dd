"""The questions that nobody could answer without an account: any answer is news. Each returns what
the service said."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from ...clock import now
from .run import NAME, TYPE, Differs, Run, code_of, refusal


def answered(call: Callable[..., Any], **given: Any) -> str:
    """Accepted, or what it is refused with."""
    try:
        call(**given)
    except ClientError as error:
        return f"refused with {code_of(error)}: {error.response['Error']['Message'][:120]}"
    except BotoCoreError as error:
        return f"no answer: {error}"
    return "accepted"


def unrequested_cancel(run: Run) -> str:
    """Canceled without a request"""
    _, token = run.started_task()
    return answered(run.swf.respond_activity_task_canceled, taskToken=token)


def units(run: Run) -> str:
    """what lengths count: UTF-16 units, code points or bytes"""
    said = []
    for what, result in (
        ("16,385 emoji (32,770 UTF-16 units)", "😀" * 16_385),
        ("20,000 é (40,000 bytes of UTF-8)", "é" * 20_000),
    ):
        _, token = run.started_task()
        told = answered(run.swf.respond_activity_task_completed, taskToken=token, result=result)
        said.append(f"{what}: {told.split(':')[0]}")
    return "; ".join(said)


def unknown_token(run: Run) -> str:
    """a well-formed token of no task"""
    _, token = run.started_task()
    middle = len(token) // 2
    other = "A" if token[middle] != "A" else "B"
    changed = token[:middle] + other + token[middle + 1 :]
    began = now()
    said = answered(run.swf.record_activity_task_heartbeat, taskToken=changed)
    return f"{said} after {now() - began:.1f} s"


def dead_poller(run: Run) -> str:
    """whether a poll whose client has gone is given a task"""
    impatient = run.connect(Config(read_timeout=1, retries={"total_max_attempts": 1}))
    execution = run.start()
    with suppress(BotoCoreError, ClientError):
        impatient.poll_for_activity_task(domain=run.domain, taskList={"name": run.list_name})
    impatient.close()
    run.decide(run.schedule())
    answer = run.swf.poll_for_activity_task(domain=run.domain, taskList={"name": run.list_name})
    if answer.get("taskToken"):
        return "the living poll got the task"
    run.event(execution, "ActivityTaskStarted")
    return "the dead poll got the task: it is lost until it times out"


# --- of deciders --------------------------------------------------------------------------------


def decided(run: Run, *decisions: dict[str, Any]) -> str:
    """What the service says to these decisions, in an execution of their own."""
    run.start()
    task = run.take_decision()
    made: Any = decisions
    return answered(
        run.swf.respond_decision_task_completed, taskToken=task["taskToken"], decisions=made
    )


def decision(kind: str, given: dict[str, Any]) -> dict[str, Any]:
    """A decision as it is on the wire."""
    return {"decisionType": kind, f"{kind[0].lower()}{kind[1:]}DecisionAttributes": given}


def page_size(run: Run) -> str:
    """how many events the first page of a decision task has, where 1,000 are asked"""
    execution = run.start()
    run.decide(*(("RecordMarker", {"markerName": f"m{number}"}) for number in range(150)))
    run.swf.signal_workflow_execution(domain=run.domain, signalName="s", **execution)
    task = run.take_decision(maximumPageSize=1000)
    page = run.swf.get_workflow_execution_history(domain=run.domain, execution=execution)
    return (
        f"{len(task['events'])} of {task['startedEventId']}; "
        f"a history, where nothing is asked: {len(page['events'])}"
    )


def characters_of_ids(run: Run) -> str:
    """whether ids of timers may have a colon or a slash"""
    said = []
    for timer_id in ("a:b", "a/b"):
        timer = decision("StartTimer", {"timerId": timer_id, "startToFireTimeout": "60"})
        said.append(f"{timer_id}: {decided(run, timer)}")
    return "; ".join(said)


def closing_without_attributes(run: Run) -> str:
    """CompleteWorkflowExecution without attributes"""
    return decided(run, {"decisionType": "CompleteWorkflowExecution"})


def beginning_and_closing(run: Run) -> str:
    """what may be begun in a batch that completes the workflow"""
    said = []
    child = {
        "workflowId": f"{NAME}-{uuid.uuid4().hex}",
        "workflowType": TYPE,
        "taskList": {"name": f"{NAME}-nobody"},
        "childPolicy": "TERMINATE",
    }
    for kind, given in (
        run.schedule(taskList={"name": f"{NAME}-nobody"}),
        ("StartTimer", {"timerId": "t", "startToFireTimeout": "60"}),
        ("RequestCancelActivityTask", {"activityId": "nobody"}),
        ("StartChildWorkflowExecution", child),
    ):
        batch = decision(kind, given), decision("CompleteWorkflowExecution", {})
        said.append(f"{kind}: {decided(run, *batch)}")
    with suppress(ClientError):
        run.swf.terminate_workflow_execution(domain=run.domain, workflowId=child["workflowId"])
    return "; ".join(said)


def policy_at_completion(run: Run) -> str:
    """whether a child policy is applied where the parent completes"""
    parent = run.start(childPolicy="REQUEST_CANCEL")
    workflow_id = f"{NAME}-{uuid.uuid4().hex}"
    own = {"taskList": {"name": f"{NAME}-nobody"}, "childPolicy": "TERMINATE"}
    run.decide(
        ("StartChildWorkflowExecution", {"workflowId": workflow_id, "workflowType": TYPE, **own})
    )
    started = run.event(parent, "ChildWorkflowExecutionStarted")
    child = started["workflowExecution"]
    run.started.append(child)
    run.decide(("CompleteWorkflowExecution", {}))
    patience = run.patience / 10
    with suppress(Differs):
        return f"yes: {run.event(child, 'WorkflowExecutionCancelRequested', patience)}"
    return f"no: nothing happened to the child in {patience:g} s"


def previous_after_a_timeout(run: Run) -> str:
    """previousStartedEventId after a first decision task that timed out"""
    execution = run.start(taskStartToCloseTimeout="1")
    run.take_decision()
    run.event(execution, "DecisionTaskTimedOut")
    return str(run.take_decision()["previousStartedEventId"])


def endless_execution(run: Run) -> str:
    """executionStartToCloseTimeout NONE"""
    try:
        run.start(executionStartToCloseTimeout="NONE")
    except ClientError as error:
        return f"refused with {code_of(error)}: {error.response['Error']['Message'][:120]}"
    return "accepted"


def texts(run: Run) -> str:
    """the texts of WorkflowExecutionAlreadyStarted and of DefaultUndefined"""
    execution = run.start()
    start: dict[str, Any] = {"domain": run.domain, "workflowType": TYPE}
    again = start | {"workflowId": execution["workflowId"], "taskList": {"name": run.list_name}}
    bare = start | {"workflowId": f"{execution['workflowId']}-2"}
    call = run.swf.start_workflow_execution
    return "; ".join(refusal(call, **given) for given in (again, bare))


QUESTIONS = (
    unrequested_cancel,
    units,
    unknown_token,
    dead_poller,
    page_size,
    characters_of_ids,
    closing_without_attributes,
    beginning_and_closing,
    policy_at_completion,
    previous_after_a_timeout,
    endless_execution,
    texts,
)
