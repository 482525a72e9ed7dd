"""RespondDecisionTaskCompleted's taskList and taskListScheduleToStartTimeout, and the priorities of
decision tasks. All of it is the API reference's word; nobody has recorded it."""

from __future__ import annotations

from tests.local.plain import refused


def poll(plain, name, **given):
    return plain.swf.poll_for_decision_task(domain="plain", taskList={"name": name}, **given)


def answer(plain, task, **given):
    plain.swf.respond_decision_task_completed(taskToken=task["taskToken"], **given)


def moved(plain, **given):
    """An execution whose first decision moved the following ones to another list."""
    execution = plain.start(taskStartToCloseTimeout="30")
    answer(plain, poll(plain, "decide"), taskList={"name": "mine"}, **given)
    plain.swf.signal_workflow_execution(domain="plain", signalName="s", **execution)
    return execution


def pending(plain, name):
    return plain.swf.count_pending_decision_tasks(domain="plain", taskList={"name": name})["count"]


def test_a_decider_moves_the_decisions_to_come_to_its_own_list_for_good(plain, clock):
    """The API reference: "When this parameter is missing, the task list override is permanent"."""
    execution = moved(plain)
    assert plain.attributes(execution, "DecisionTaskCompleted") == {
        "scheduledEventId": 2,
        "startedEventId": 3,
        "taskList": {"name": "mine"},
    }
    assert plain.attributes(execution, "DecisionTaskScheduled") == {
        "taskList": {"name": "mine"},
        "startToCloseTimeout": "30",
        "scheduleToStartTimeout": "NONE",
    }
    assert (pending(plain, "mine"), pending(plain, "decide")) == (1, 0)
    clock.advance(3600)
    answer(plain, poll(plain, "mine"))
    plain.swf.signal_workflow_execution(domain="plain", signalName="s", **execution)
    assert pending(plain, "mine") == 1, "also after a decision that says nothing of it"
    poll(plain, "mine")
    clock.advance(30)
    assert pending(plain, "mine") == 1, "and after one that timed out"


def test_one_that_is_not_started_in_time_goes_back_to_the_executions_own_list(plain, clock):
    """The API reference: the task times out, the override is reverted, a new one is scheduled."""
    execution = moved(plain, taskListScheduleToStartTimeout="5")
    told = plain.attributes(execution, "DecisionTaskCompleted")
    assert told["taskListScheduleToStartTimeout"] == "5"
    assert plain.attributes(execution, "DecisionTaskScheduled")["scheduleToStartTimeout"] == "5"
    clock.advance(4.9)
    assert pending(plain, "mine") == 1
    clock.advance(0.1)
    assert plain.attributes(execution, "DecisionTaskTimedOut") == {
        "timeoutType": "SCHEDULE_TO_START",
        "scheduledEventId": 6,
        "startedEventId": 0,
    }
    back = plain.attributes(execution, "DecisionTaskScheduled")
    assert (back["taskList"], back["scheduleToStartTimeout"]) == ({"name": "decide"}, "NONE")
    assert (pending(plain, "mine"), pending(plain, "decide")) == (0, 1)
    assert poll(plain, "decide")["previousStartedEventId"] == 3


def test_one_that_is_started_but_not_completed_goes_back_too(plain, clock):
    """The API reference says so."""
    execution = moved(plain, taskListScheduleToStartTimeout="5")
    clock.advance(4)
    poll(plain, "mine")
    clock.advance(29)
    assert plain.kinds(execution)[-1] == "DecisionTaskStarted"
    clock.advance(1)
    assert plain.attributes(execution, "DecisionTaskTimedOut")["timeoutType"] == "START_TO_CLOSE"
    assert plain.attributes(execution, "DecisionTaskScheduled")["taskList"] == {"name": "decide"}


def test_one_that_was_taken_in_time_does_not_time_out_later(plain, clock):
    execution = moved(plain, taskListScheduleToStartTimeout="5")
    task = poll(plain, "mine")
    clock.advance(10)
    answer(plain, task)
    assert "DecisionTaskTimedOut" not in plain.kinds(execution)


def test_one_that_waits_already_stays_in_its_list(plain):
    """Its Scheduled event has named the list."""
    execution = plain.start()
    task = poll(plain, "decide")
    plain.swf.signal_workflow_execution(domain="plain", signalName="s", **execution)
    answer(plain, task, taskList={"name": "mine"})
    assert (pending(plain, "mine"), pending(plain, "decide")) == (0, 1)
    plain.swf.signal_workflow_execution(domain="plain", signalName="s", **execution)
    answer(plain, poll(plain, "decide"))
    plain.swf.signal_workflow_execution(domain="plain", signalName="s", **execution)
    assert pending(plain, "mine") == 1


def test_the_override_follows_the_models_rules(plain):
    plain.start()
    task = poll(plain, "decide")
    refused(
        plain.swf.respond_decision_task_completed,
        "ValidationException",
        "taskListScheduleToStartTimeout",
        taskToken=task["taskToken"],
        taskListScheduleToStartTimeout="soon",
    )


def test_decision_tasks_of_higher_priority_go_first(plain):
    """Start's taskPriority, else the type's; the API reference: 0 where neither says it."""
    plain.swf.register_workflow_type(
        domain="plain",
        name="Urgent",
        version="1",
        defaultTaskList={"name": "decide"},
        defaultChildPolicy="TERMINATE",
        defaultTaskStartToCloseTimeout="30",
        defaultExecutionStartToCloseTimeout="30",
        defaultTaskPriority="5",
    )
    ids = [plain.start(**given)["workflowId"] for given in ({}, {"taskPriority": "9"})]
    for workflow_id in ("urgent", "lazy"):
        given = {"taskPriority": "-1"} if workflow_id == "lazy" else {}
        plain.swf.start_workflow_execution(
            domain="plain",
            workflowId=workflow_id,
            workflowType={"name": "Urgent", "version": "1"},
            **given,
        )
    polled = [poll(plain, "decide") for _ in range(4)]
    order = [task["workflowExecution"]["workflowId"] for task in polled]
    assert order == [ids[1], "urgent", ids[0], "lazy"]
    told = polled[1]["events"]
    assert told[0]["workflowExecutionStartedEventAttributes"]["taskPriority"] == "5"
    assert told[1]["decisionTaskScheduledEventAttributes"]["taskPriority"] == "5"


def test_a_priority_is_a_whole_number_of_java(plain):
    """The API reference: Integer.MIN_VALUE to Integer.MAX_VALUE."""
    for wrong in ("high", "1.5", "2147483648", "-2147483649", "²"):
        refused(
            plain.swf.start_workflow_execution,
            "ValidationException",
            "taskPriority",
            domain="plain",
            workflowId="w",
            workflowType={"name": "Flow", "version": "1"},
            taskPriority=wrong,
        )
    for right in ("0", "-2147483648", "2147483647"):
        assert plain.start(taskPriority=right)
