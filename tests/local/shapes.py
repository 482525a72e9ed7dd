"""Histories of the shapes that recordings of SWF have (SWF.md 7), written anew as data: types,
order, times, relations, members."""

from __future__ import annotations

from tests.local.replay import Shape

WORK = {"activityType": {"name": "Work", "version": "1"}}
CHILD = {"workflowType": {"name": "Flow", "version": "1"}}
KIDS = {"taskList": {"name": "kids"}}
R1 = "botify-labs/simpleflow tests/integration/cassettes [R1]"
R2 = "severb/flowy tests/cassettes [R2]"
R3 = "AWS API reference samples of 2012 [R3]"
R5 = "glenbraun/FsDecider UnitTests, histories of SWF from 2017 [R5]"
R6 = "a Python decider's public test, a decision task of SWF from 2013 [R6]"


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
        "the API reference: RequestCancelWorkflowExecution names no sender; "
        f"{R5}: what nobody took is not canceled within the batch",
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
                ("WorkflowExecutionCanceled", 4, after(9, details="enough")),
            ]
        },
    ),
    Shape(
        "an activity that nobody took is canceled",
        f"the API reference: it is canceled; {R5}: after the batch",
        [
            (0, "start", "flow"),
            (0, "take_decision"),
            (
                1,
                "decide",
                ("ScheduleActivityTask", {"activityId": "a", **WORK}),
                ("RequestCancelActivityTask", {"activityId": "a"}),
                ("RecordMarker", {"markerName": "m"}),
            ),
        ],
        {
            "flow": [
                *opened(),
                decided(1, 2, 3),
                ("ActivityTaskScheduled", 1, after(4)),
                ("ActivityTaskCancelRequested", 1, after(4, activityId="a")),
                ("MarkerRecorded", 1, after(4)),
                (
                    "ActivityTaskCanceled",
                    1,
                    {"scheduledEventId": 5, "startedEventId": 0, "latestCancelRequestedEventId": 6},
                ),
                scheduled(1),
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
    Shape(
        "activities that end while decisions run",
        f"{R6}: the next decision task is scheduled at once and starts when the one before is "
        "over; what the decider has not seen keeps the execution open, and no further one comes",
        [
            (0, "start", "flow"),
            (0.088, "take_decision"),
            (
                0.319,
                "decide",
                ("ScheduleActivityTask", {"activityId": "a", **WORK, "taskPriority": "1"}),
                ("ScheduleActivityTask", {"activityId": "b", **WORK}),
            ),
            (0.381, "take_activity"),
            (0.395, "take_activity"),
            (0.553, "complete", "a"),
            (0.574, "take_decision"),
            (0.589, "complete", "b"),
            (0.786, "decide", ("ScheduleActivityTask", {"activityId": "b", **WORK})),
            (0.82, "take_decision"),
            (0.841, "take_activity"),
            (1.03, "complete", "b"),
            (1.057, "decide", ("CompleteWorkflowExecution", {"result": "early"})),
            (1.113, "take_decision"),
        ],
        {
            "flow": [
                *opened(0, 0.088),
                decided(0.319, 2, 3),
                ("ActivityTaskScheduled", 0.319, after(4, activityId="a")),
                ("ActivityTaskScheduled", 0.319, after(4, activityId="b")),
                ("ActivityTaskStarted", 0.381, {"scheduledEventId": 5}),
                ("ActivityTaskStarted", 0.395, {"scheduledEventId": 6}),
                ("ActivityTaskCompleted", 0.553, {"scheduledEventId": 5, "startedEventId": 7}),
                scheduled(0.553),
                begins(0.574, 10),
                ("ActivityTaskCompleted", 0.589, {"scheduledEventId": 6, "startedEventId": 8}),
                scheduled(0.589),
                decided(0.786, 10, 11),
                ("ActivityTaskScheduled", 0.786, after(14, activityId="b")),
                begins(0.82, 13),
                ("ActivityTaskStarted", 0.841, {"scheduledEventId": 15}),
                ("ActivityTaskCompleted", 1.03, {"scheduledEventId": 15, "startedEventId": 17}),
                scheduled(1.03),
                decided(1.057, 13, 16),
                ("CompleteWorkflowExecutionFailed", 1.057, after(20, cause="UNHANDLED_DECISION")),
                begins(1.113, 19),
            ]
        },
    ),
    Shape(
        "a child is signaled and asked to cancel",
        f"{R5}: Initiated, then what became of it, which schedules a decision",
        [
            (0, "start", "parent"),
            (0, "take_decision"),
            (
                1,
                "decide",
                ("StartChildWorkflowExecution", {"workflowId": "kid", **CHILD, **KIDS}),
            ),
            (2, "take_decision"),
            (
                3,
                "decide",
                (
                    "SignalExternalWorkflowExecution",
                    {"workflowId": "kid", "signalName": "go", "input": "i", "control": "2"},
                ),
            ),
            (4, "take_decision"),
            (
                5,
                "decide",
                ("RequestCancelExternalWorkflowExecution", {"workflowId": "kid", "control": "3"}),
            ),
        ],
        {
            "parent": [
                *opened(),
                decided(1, 2, 3),
                ("StartChildWorkflowExecutionInitiated", 1, after(4, workflowId="kid")),
                ("ChildWorkflowExecutionStarted", 1, {"initiatedEventId": 5}),
                scheduled(1),
                begins(2, 7),
                decided(3, 7, 8),
                (
                    "SignalExternalWorkflowExecutionInitiated",
                    3,
                    after(9, workflowId="kid", signalName="go", input="i", control="2"),
                ),
                ("ExternalWorkflowExecutionSignaled", 3, {"initiatedEventId": 10}),
                scheduled(3),
                begins(4, 12),
                decided(5, 12, 13),
                (
                    "RequestCancelExternalWorkflowExecutionInitiated",
                    5,
                    after(14, workflowId="kid", control="3"),
                ),
                ("ExternalWorkflowExecutionCancelRequested", 5, {"initiatedEventId": 15}),
                scheduled(5),
            ],
            "kid": [
                ("WorkflowExecutionStarted", 1, {"parentInitiatedEventId": 5}),
                scheduled(1, **KIDS),
                ("WorkflowExecutionSignaled", 3, {"externalInitiatedEventId": 10, "input": "i"}),
                ("WorkflowExecutionCancelRequested", 5, {"externalInitiatedEventId": 15}),
            ],
        },
    ),
    Shape(
        "nobody is signaled or asked to cancel",
        f"{R5}: Initiated, then Failed with the control and both ids",
        [
            (0, "start", "flow"),
            (0, "take_decision"),
            (
                1,
                "decide",
                (
                    "SignalExternalWorkflowExecution",
                    {"workflowId": "nobody", "signalName": "go", "control": "1"},
                ),
            ),
            (2, "take_decision"),
            (
                3,
                "decide",
                ("RequestCancelExternalWorkflowExecution", {"workflowId": "nobody"}),
            ),
        ],
        {
            "flow": [
                *opened(),
                decided(1, 2, 3),
                ("SignalExternalWorkflowExecutionInitiated", 1, after(4, control="1")),
                (
                    "SignalExternalWorkflowExecutionFailed",
                    1,
                    after(
                        4,
                        cause="UNKNOWN_EXTERNAL_WORKFLOW_EXECUTION",
                        control="1",
                        initiatedEventId=5,
                        workflowId="nobody",
                    ),
                ),
                scheduled(1),
                begins(2, 7),
                decided(3, 7, 8),
                ("RequestCancelExternalWorkflowExecutionInitiated", 3, after(9)),
                (
                    "RequestCancelExternalWorkflowExecutionFailed",
                    3,
                    after(
                        9,
                        cause="UNKNOWN_EXTERNAL_WORKFLOW_EXECUTION",
                        initiatedEventId=10,
                        workflowId="nobody",
                    ),
                ),
                scheduled(3),
            ]
        },
    ),
    Shape(
        "what is sent in a closing batch",
        f"{R5}: the batch is accepted, and the closed history tells no more",
        [
            (0, "start", "other"),
            (0, "take_decision"),
            (0, "decide"),
            (1, "start", "flow"),
            (1, "take_decision"),
            (
                2,
                "decide",
                ("SignalExternalWorkflowExecution", {"workflowId": "other", "signalName": "go"}),
                ("RequestCancelExternalWorkflowExecution", {"workflowId": "other"}),
                ("CompleteWorkflowExecution", {"result": "r"}),
            ),
        ],
        {
            "flow": [
                *opened(1, 1),
                decided(2, 2, 3),
                ("SignalExternalWorkflowExecutionInitiated", 2, after(4)),
                ("RequestCancelExternalWorkflowExecutionInitiated", 2, after(4)),
                ("WorkflowExecutionCompleted", 2, after(4, result="r")),
            ]
        },
    ),
    Shape(
        "a timer is canceled and the workflow completed",
        f"{R5}: one batch",
        [
            (0, "start", "flow"),
            (0, "take_decision"),
            (1, "decide", ("StartTimer", {"timerId": "t", "startToFireTimeout": "8640000"})),
            (2, "signal", "flow", "go"),
            (3, "take_decision"),
            (
                4,
                "decide",
                ("CancelTimer", {"timerId": "t"}),
                ("CompleteWorkflowExecution", {}),
            ),
        ],
        {
            "flow": [
                *opened(),
                decided(1, 2, 3),
                ("TimerStarted", 1, after(4, startToFireTimeout="8640000")),
                ("WorkflowExecutionSignaled", 2, {"externalInitiatedEventId": 0}),
                scheduled(2),
                begins(3, 7),
                decided(4, 7, 8),
                ("TimerCanceled", 4, after(9, startedEventId=5)),
                ("WorkflowExecutionCompleted", 4, after(9)),
            ]
        },
    ),
]
