"""The contract, check by check. Each returns what the service said."""

from __future__ import annotations

from ...clock import now
from .run import Run, expect, expect_code, refusal


def task_members(run: Run) -> str:
    """a polled task has all its members"""
    run.start()
    run.decide(run.schedule(input="raw text"))
    task = run.take()
    wanted = {"taskToken", "activityId", "startedEventId", "workflowExecution", "activityType"}
    expect(wanted - task.keys(), set())
    expect(task["input"], "raw text")
    run.swf.respond_activity_task_completed(taskToken=task["taskToken"])
    return (
        f"startedEventId {task['startedEventId']}, a token of {len(task['taskToken'])} characters"
    )


def empty_poll(run: Run) -> str:
    """an empty poll has no task token, or an empty one"""
    began = now()
    answer = dict(
        run.swf.poll_for_activity_task(
            domain=run.domain, taskList={"name": f"{run.list_name}-empty"}
        )
    )
    answer.pop("ResponseMetadata")
    expect(answer.get("taskToken", ""), "")
    return f"{answer} after {now() - began:.1f} s"


def previous_decision(run: Run) -> str:
    """a decision task tells the one before it, which is 0 for the first"""
    execution = run.start()
    first = run.decide()
    run.swf.signal_workflow_execution(domain=run.domain, signalName="s", **execution)
    second = run.decide()
    expect(first["previousStartedEventId"], 0)
    expect(second["previousStartedEventId"], first["startedEventId"])
    return f"0, then {second['previousStartedEventId']}"


def cancel_contract(run: Run) -> str:
    """a requested cancel is heard, stays, and may be answered Canceled"""
    execution, token = run.started_task()
    expect(run.is_requested(token), False)
    run.swf.request_cancel_workflow_execution(domain=run.domain, **execution)
    run.decide(("RequestCancelActivityTask", {"activityId": "a"}))
    expect((run.is_requested(token), run.is_requested(token)), (True, True))
    run.swf.respond_activity_task_canceled(taskToken=token, details="undone")
    members = run.event(execution, "ActivityTaskCanceled")
    expect(members["details"], "undone")
    expect("latestCancelRequestedEventId" in members, True)
    return str(members)


def ignored_cancel(run: Run) -> str:
    """a requested cancel may be ignored and the task completed"""
    execution, token = run.started_task()
    run.swf.signal_workflow_execution(domain=run.domain, signalName="s", **execution)
    run.decide(("RequestCancelActivityTask", {"activityId": "a"}))
    run.swf.respond_activity_task_completed(taskToken=token, result="done")
    return str(run.event(execution, "ActivityTaskCompleted"))


def cancel_before_start(run: Run) -> str:
    """an activity that nobody took is canceled at once, with startedEventId 0"""
    execution = run.start()
    run.decide(run.schedule(), ("RequestCancelActivityTask", {"activityId": "a"}))
    members = run.event(execution, "ActivityTaskCanceled")
    expect(members["startedEventId"], 0)
    return str(members)


def unknown_activity_id(run: Run) -> str:
    """a cancel request for an unknown activity id is a failed decision"""
    execution = run.start()
    run.decide(("RequestCancelActivityTask", {"activityId": "nobody"}))
    members = run.event(execution, "RequestCancelActivityTaskFailed")
    expect(members["cause"], "ACTIVITY_ID_UNKNOWN")
    return str(members)


def closed_token(run: Run) -> str:
    """every call with the token of a closed task is an UnknownResourceFault"""
    _, token = run.started_task()
    run.swf.respond_activity_task_completed(taskToken=token)
    said = {
        expect_code(refusal(call, taskToken=token), "UnknownResourceFault")
        for call in (
            run.swf.respond_activity_task_completed,
            run.swf.respond_activity_task_failed,
            run.swf.respond_activity_task_canceled,
            run.swf.record_activity_task_heartbeat,
        )
    }
    return "; ".join(sorted(said))


def closed_execution(run: Run) -> str:
    """a token of a closed execution is an UnknownResourceFault"""
    execution, token = run.started_task()
    run.swf.terminate_workflow_execution(domain=run.domain, **execution)
    said = refusal(run.swf.record_activity_task_heartbeat, taskToken=token)
    return expect_code(said, "UnknownResourceFault")


def start_to_close(run: Run) -> str:
    """start-to-close times out, with the last heartbeat's details"""
    execution, token = run.started_task(startToCloseTimeout="2")
    run.is_requested(token, "halfway")
    members = run.event(execution, "ActivityTaskTimedOut")
    expect((members["timeoutType"], members.get("details")), ("START_TO_CLOSE", "halfway"))
    said = refusal(run.swf.respond_activity_task_completed, taskToken=token)
    return f"{members}; {expect_code(said, 'UnknownResourceFault')}"


def heartbeat_timeout(run: Run) -> str:
    """a heartbeat timeout overrides the registered one"""
    execution, _ = run.started_task(heartbeatTimeout="2")
    members = run.event(execution, "ActivityTaskTimedOut")
    expect(members["timeoutType"], "HEARTBEAT")
    return str(members)


def schedule_to_start(run: Run) -> str:
    """schedule-to-start times out, with startedEventId 0"""
    execution = run.start()
    run.decide(run.schedule(scheduleToStartTimeout="1"))
    members = run.event(execution, "ActivityTaskTimedOut")
    expect((members["timeoutType"], members["startedEventId"]), ("SCHEDULE_TO_START", 0))
    return str(members)


def id_reuse(run: Run) -> str:
    """an activity id is in use while it is open, and free again when it is closed"""
    execution, token = run.started_task()
    run.swf.signal_workflow_execution(domain=run.domain, signalName="s", **execution)
    run.decide(run.schedule())
    expect(
        run.event(execution, "ScheduleActivityTaskFailed")["cause"], "ACTIVITY_ID_ALREADY_IN_USE"
    )
    run.swf.respond_activity_task_completed(taskToken=token)
    run.decide(run.schedule())
    return f"taken again: {run.take()['activityId']}"


def lengths(run: Run) -> str:
    """over-long values are refused"""
    _, token = run.started_task()
    said = [
        expect_code(refusal(call, taskToken=token, **given), "ValidationException")
        for call, given in (
            (run.swf.respond_activity_task_completed, {"result": "x" * 32_769}),
            (run.swf.respond_activity_task_failed, {"reason": "x" * 257}),
            (run.swf.record_activity_task_heartbeat, {"details": "x" * 2_049}),
        )
    ]
    run.swf.respond_activity_task_completed(taskToken=token, result="x" * 32_768)
    return said[1]


def malformed_token(run: Run) -> str:
    """a made-up token is refused as invalid"""
    said = refusal(run.swf.respond_activity_task_completed, taskToken="made-up")
    return expect_code(said, "ValidationException")


CONTRACT = (
    task_members,
    empty_poll,
    previous_decision,
    cancel_contract,
    ignored_cancel,
    cancel_before_start,
    unknown_activity_id,
    closed_token,
    closed_execution,
    start_to_close,
    heartbeat_timeout,
    schedule_to_start,
    id_reuse,
    lengths,
    malformed_token,
)
