"""Histories of the shapes that recordings of SWF have (SWF.md 7), written anew as data and replayed
on a clock that moves: types, order, times, relations, members."""

from __future__ import annotations

import json

import pytest

from tests.local.plain import Plain, raw
from tests.local.replay import Player, Shape

WORK = {"activityType": {"name": "Work", "version": "1"}}
CHILD = {"workflowType": {"name": "Flow", "version": "1"}}
KIDS = {"taskList": {"name": "kids"}}
R1 = "botify-labs/simpleflow tests/integration/cassettes [R1]"
R2 = "severb/flowy tests/cassettes [R2]"
R3 = "AWS API reference samples of 2012 [R3]"


def opened(at=0.0, begun=0.0, **started):
    """The first three events of every history."""
    return [
        ("WorkflowExecutionStarted", at, {"parentInitiatedEventId": 0} | started),
        scheduled(at),
        begins(begun, 2),
    ]


def scheduled(at, **given):
    held = {"scheduleToStartTimeout": "NONE", "taskList": {"name": "decide"}}
    return ("DecisionTaskScheduled", at, held | given)


def begins(at, of):
    return ("DecisionTaskStarted", at, {"scheduledEventId": of, "identity": "decider"})


def decided(at, of, begun):
    return ("DecisionTaskCompleted", at, {"scheduledEventId": of, "startedEventId": begun})


def after(of, **given):
    return {"decisionTaskCompletedEventId": of} | given


SHAPES = [
    Shape(
        "an activity is done",
        f"{R1}: a batch has one timestamp, that of its DecisionTaskCompleted",
        [
            (0, "start", "flow"),
            (0.051, "take_decision"),
            (0.204, "decide", ("ScheduleActivityTask", {"activityId": "a", **WORK})),
            (0.301, "take_activity"),
            (1.077, "complete", "a"),
            (1.12, "take_decision"),
            (1.333, "decide", ("CompleteWorkflowExecution", {"result": "ok"})),
        ],
        {
            "flow": [
                *opened(0, 0.051),
                decided(0.204, 2, 3),
                ("ActivityTaskScheduled", 0.204, after(4, activityId="a")),
                ("ActivityTaskStarted", 0.301, {"scheduledEventId": 5, "identity": "worker"}),
                ("ActivityTaskCompleted", 1.077, {"scheduledEventId": 5, "startedEventId": 6}),
                scheduled(1.077),
                begins(1.12, 8),
                decided(1.333, 8, 9),
                ("WorkflowExecutionCompleted", 1.333, after(10, result="ok")),
            ]
        },
    ),
    Shape(
        "a batch of many kinds",
        f"{R1}, {R2}: one timestamp; the failed decision schedules the next at the end",
        [
            (0, "start", "flow"),
            (0.1, "take_decision"),
            (
                0.25,
                "decide",
                ("RecordMarker", {"markerName": "version", "details": "3"}),
                ("CancelTimer", {"timerId": "nobody"}),
                ("StartTimer", {"timerId": "pause", "startToFireTimeout": "60"}),
                ("ScheduleActivityTask", {"activityId": "a", **WORK}),
            ),
            (1, "take_decision"),
            (2, "decide"),
            (61, "passing"),
        ],
        {
            "flow": [
                *opened(0, 0.1),
                decided(0.25, 2, 3),
                ("MarkerRecorded", 0.25, after(4, markerName="version", details="3")),
                ("CancelTimerFailed", 0.25, after(4, cause="TIMER_ID_UNKNOWN")),
                ("TimerStarted", 0.25, after(4, timerId="pause", startToFireTimeout="60")),
                ("ActivityTaskScheduled", 0.25, after(4)),
                scheduled(0.25),
                begins(1, 9),
                decided(2, 9, 10),
                ("TimerFired", 60.25, {"timerId": "pause", "startedEventId": 7}),
                scheduled(60.25),
            ]
        },
    ),
    Shape(
        "nobody takes the activity",
        f"{R2}: ActivityTaskTimedOut with startedEventId 0 and no details",
        [
            (0, "start", "flow"),
            (0, "take_decision"),
            (
                0.5,
                "decide",
                (
                    "ScheduleActivityTask",
                    {"activityId": "a", **WORK, "scheduleToStartTimeout": "10"},
                ),
            ),
            (20, "take_decision"),
            (21, "decide", ("FailWorkflowExecution", {"reason": "late"})),
        ],
        {
            "flow": [
                *opened(),
                decided(0.5, 2, 3),
                ("ActivityTaskScheduled", 0.5, after(4, scheduleToStartTimeout="10")),
                (
                    "ActivityTaskTimedOut",
                    10.5,
                    {
                        "timeoutType": "SCHEDULE_TO_START",
                        "scheduledEventId": 5,
                        "startedEventId": 0,
                    },
                ),
                scheduled(10.5),
                begins(20, 7),
                decided(21, 7, 8),
                ("WorkflowExecutionFailed", 21, after(9, reason="late")),
            ]
        },
    ),
    Shape(
        "signals, one while a decision runs",
        f"{R1}: externalInitiatedEventId 0; one waiting decision task at most",
        [
            (0, "start", "flow"),
            (0.1, "take_decision"),
            (0.2, "signal", "flow", "go"),
            (0.3, "signal", "flow", "on"),
            (0.4, "decide"),
            (0.5, "take_decision"),
            (0.6, "decide", ("CompleteWorkflowExecution", {})),
        ],
        {
            "flow": [
                *opened(0, 0.1),
                (
                    "WorkflowExecutionSignaled",
                    0.2,
                    {"signalName": "go", "externalInitiatedEventId": 0},
                ),
                scheduled(0.2),
                (
                    "WorkflowExecutionSignaled",
                    0.3,
                    {"signalName": "on", "externalInitiatedEventId": 0},
                ),
                decided(0.4, 2, 3),
                begins(0.5, 5),
                decided(0.6, 5, 8),
                ("WorkflowExecutionCompleted", 0.6, after(9)),
            ]
        },
    ),
    Shape(
        "a decision that comes too late",
        f"{R3}: TimedOut and the new Scheduled share one timestamp",
        [
            (0, "start", "flow"),
            (1, "take_decision"),
            (100, "take_decision"),
            (101, "decide", ("CompleteWorkflowExecution", {})),
        ],
        {
            "flow": [
                *opened(0, 1),
                (
                    "DecisionTaskTimedOut",
                    31,
                    {"timeoutType": "START_TO_CLOSE", "scheduledEventId": 2, "startedEventId": 3},
                ),
                scheduled(31),
                begins(100, 5),
                decided(101, 5, 6),
                ("WorkflowExecutionCompleted", 101, after(7)),
            ]
        },
    ),
    Shape(
        "the end with an open activity",
        f"{R1}: the closing decision succeeds",
        [
            (0, "start", "flow"),
            (0, "take_decision"),
            (1, "decide", ("ScheduleActivityTask", {"activityId": "a", **WORK})),
            (2, "take_activity"),
            (3, "signal", "flow", "stop"),
            (4, "take_decision"),
            (5, "decide", ("CompleteWorkflowExecution", {})),
        ],
        {
            "flow": [
                *opened(),
                decided(1, 2, 3),
                ("ActivityTaskScheduled", 1, after(4)),
                ("ActivityTaskStarted", 2, {"scheduledEventId": 5}),
                ("WorkflowExecutionSignaled", 3, {"externalInitiatedEventId": 0}),
                scheduled(3),
                begins(4, 8),
                decided(5, 8, 9),
                ("WorkflowExecutionCompleted", 5, after(10)),
            ]
        },
    ),
    Shape(
        "canceled by request",
        "the API reference; RequestCancelWorkflowExecution names no sender",
        [
            (0, "start", "flow"),
            (0, "take_decision"),
            (1, "decide", ("ScheduleActivityTask", {"activityId": "a", **WORK})),
            (2, "request_cancel", "flow"),
            (3, "take_decision"),
            (
                4,
                "decide",
                ("RequestCancelActivityTask", {"activityId": "a"}),
                ("CancelWorkflowExecution", {"details": "enough"}),
            ),
        ],
        {
            "flow": [
                *opened(),
                decided(1, 2, 3),
                ("ActivityTaskScheduled", 1, after(4)),
                ("WorkflowExecutionCancelRequested", 2, {"externalInitiatedEventId": 0}),
                scheduled(2),
                begins(3, 7),
                decided(4, 7, 8),
                ("ActivityTaskCancelRequested", 4, after(9, activityId="a")),
                (
                    "ActivityTaskCanceled",
                    4,
                    {
                        "scheduledEventId": 5,
                        "startedEventId": 0,
                        "latestCancelRequestedEventId": 10,
                    },
                ),
                ("WorkflowExecutionCanceled", 4, after(9, details="enough")),
            ]
        },
    ),
    Shape(
        "priorities and a role where given",
        "SWF.md 7 and the issue: taskPriority and lambdaRole in the events of what has them",
        [
            (0, "start", "flow", {"taskPriority": "7", "lambdaRole": "arn:role", "input": "in"}),
            (0, "take_decision"),
            (
                1,
                "decide",
                ("ScheduleActivityTask", {"activityId": "a", **WORK, "taskPriority": "-3"}),
            ),
        ],
        {
            "flow": [
                (
                    "WorkflowExecutionStarted",
                    0,
                    {
                        "parentInitiatedEventId": 0,
                        "taskPriority": "7",
                        "lambdaRole": "arn:role",
                        "input": "in",
                        "childPolicy": "TERMINATE",
                        "executionStartToCloseTimeout": "86400",
                        "taskStartToCloseTimeout": "30",
                    },
                ),
                scheduled(0, taskPriority="7", startToCloseTimeout="30"),
                begins(0, 2),
                decided(1, 2, 3),
                ("ActivityTaskScheduled", 1, after(4, taskPriority="-3")),
            ]
        },
    ),
    Shape(
        "a child workflow",
        f"{R1}, {R2}: Initiated, then Started, which schedules a decision; the ids of both, later",
        [
            (0, "start", "parent"),
            (0.1, "take_decision"),
            (
                0.2,
                "decide",
                ("StartChildWorkflowExecution", {"workflowId": "x:child", **CHILD, **KIDS}),
                ("StartTimer", {"timerId": "patience", "startToFireTimeout": "600"}),
            ),
            (0.3, "take_decision"),
            (0.4, "decide"),
            (1, "take_decision", "kids"),
            (2, "decide", ("CompleteWorkflowExecution", {"result": "42"})),
            (3, "take_decision"),
            (
                4,
                "decide",
                ("CancelTimer", {"timerId": "patience"}),
                ("CompleteWorkflowExecution", {}),
            ),
        ],
        {
            "parent": [
                *opened(0, 0.1),
                decided(0.2, 2, 3),
                ("StartChildWorkflowExecutionInitiated", 0.2, after(4, **KIDS)),
                ("TimerStarted", 0.2, after(4)),
                ("ChildWorkflowExecutionStarted", 0.2, {"initiatedEventId": 5}),
                scheduled(0.2),
                begins(0.3, 8),
                decided(0.4, 8, 9),
                (
                    "ChildWorkflowExecutionCompleted",
                    2,
                    {"initiatedEventId": 5, "startedEventId": 7, "result": "42"},
                ),
                scheduled(2),
                begins(3, 12),
                decided(4, 12, 13),
                ("TimerCanceled", 4, after(14, startedEventId=6)),
                ("WorkflowExecutionCompleted", 4, after(14)),
            ],
            "x:child": [
                ("WorkflowExecutionStarted", 0.2, {"parentInitiatedEventId": 5}),
                scheduled(0.2, **KIDS),
                begins(1, 2),
                decided(2, 2, 3),
                ("WorkflowExecutionCompleted", 2, after(4, result="42")),
            ],
        },
    ),
    Shape(
        "a child of an unknown type",
        f"{R1}, {R2}: initiatedEventId 0, and no Initiated event",
        [
            (0, "start", "parent"),
            (0, "take_decision"),
            (
                1,
                "decide",
                (
                    "StartChildWorkflowExecution",
                    {"workflowId": "kid", "workflowType": {"name": "Nobody", "version": "1"}},
                ),
            ),
        ],
        {
            "parent": [
                *opened(),
                decided(1, 2, 3),
                (
                    "StartChildWorkflowExecutionFailed",
                    1,
                    after(4, initiatedEventId=0, cause="WORKFLOW_TYPE_DOES_NOT_EXIST"),
                ),
                scheduled(1),
            ]
        },
    ),
    Shape(
        "a root that continues as new",
        f"{R1}, {R2}: continuedExecutionRunId, and parentInitiatedEventId 0",
        [
            (0, "start", "flow", {"input": "1"}),
            (0, "take_decision"),
            (1, "decide", ("ContinueAsNewWorkflowExecution", {"input": "2"})),
            (2, "take_decision"),
            (3, "decide", ("CompleteWorkflowExecution", {})),
        ],
        {
            "flow#1": [
                *opened(input="1"),
                decided(1, 2, 3),
                ("WorkflowExecutionContinuedAsNew", 1, after(4, input="2")),
            ],
            "flow": [
                *opened(1, 2, input="2"),
                decided(3, 2, 3),
                ("WorkflowExecutionCompleted", 3, after(4)),
            ],
        },
    ),
    Shape(
        "terminated",
        "moto's tests: OPERATOR_INITIATED, with the policy that holds",
        [(0, "start", "flow"), (1, "terminate", "flow", {"reason": "r", "details": "d"})],
        {
            "flow": [
                *opened()[:2],
                (
                    "WorkflowExecutionTerminated",
                    1,
                    {
                        "cause": "OPERATOR_INITIATED",
                        "childPolicy": "TERMINATE",
                        "reason": "r",
                        "details": "d",
                    },
                ),
            ]
        },
    ),
]


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_a_history_has_the_shape_that_was_recorded(plain, clock, shape):
    """Its source stands with each."""
    player = Player(plain.swf, clock)
    player.play(shape.calls)
    for workflow_id, wanted in shape.histories.items():
        told = player.told(workflow_id, wanted)
        assert [event[:2] for event in told] == [event[:2] for event in wanted], workflow_id
        assert told == wanted, workflow_id


def test_timestamps_are_whole_milliseconds_and_one_a_batch_on_the_machines_clock(quick_swf):
    """SWF.md 7 [R1, R2]."""
    plain = Plain(quick_swf.client())
    execution = plain.start()
    plain.decide(*(plain.schedule(f"a{number}") for number in range(50)))
    given = json.dumps({"domain": "plain", "execution": execution})
    target = "SimpleWorkflowService.GetWorkflowExecutionHistory"
    events = raw(quick_swf, target, given)[1]["events"]
    times = [event["eventTimestamp"] for event in events]
    assert all(time == round(time, 3) for time in times)
    assert times == sorted(times)
    assert len(set(times[3:])) == 1
    assert len(times) == 54


def test_timers_fire_late_and_never_early_on_the_machines_clock(quick_swf):
    """SWF.md 7: 1 to 130 ms late [R1, R2]."""
    plain = Plain(quick_swf.client())
    execution = plain.start()
    plain.decide(("StartTimer", {"timerId": "t", "startToFireTimeout": "1"}))
    while "TimerFired" not in plain.kinds(execution):
        task = {"domain": "plain", "taskList": {"name": "decide"}}
        plain.swf.poll_for_decision_task(**task)
    times = {event["eventType"]: event["eventTimestamp"] for event in plain.events(execution)}
    assert (times["TimerFired"] - times["TimerStarted"]).total_seconds() >= 1
