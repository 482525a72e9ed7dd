"""What is said of an execution: in lists, and by DescribeWorkflowExecution."""

from __future__ import annotations

from typing import Any

from .execution import Execution


def info(execution: Execution) -> dict[str, Any]:
    """Its WorkflowExecutionInfo. What it doesn't have is absent."""
    told = {
        "execution": execution.key,
        "workflowType": execution.workflow_type,
        "startTimestamp": execution.start_timestamp,
        "closeTimestamp": execution.close_timestamp,
        "executionStatus": "OPEN" if execution.open else "CLOSED",
        "closeStatus": execution.close_status,
        "parent": execution.parent.execution.key if execution.parent else None,
        "tagList": execution.tag_list or None,
        "cancelRequested": execution.cancel_requested,
    }
    return {name: value for name, value in told.items() if value is not None}


def description(execution: Execution) -> dict[str, Any]:
    """Its WorkflowExecutionDetail. What was open when it closed still counts."""
    waiting = (execution.scheduled_decision, execution.started_decision)
    told = {
        "executionInfo": info(execution),
        "executionConfiguration": execution.configuration,
        "openCounts": {
            "openActivityTasks": len(execution.activities),
            "openDecisionTasks": int(any(waiting)),  # one at most, says the API reference
            "openTimers": len(execution.timers),
            "openChildWorkflowExecutions": len(execution.children),
            "openLambdaFunctions": 0,
        },
        "latestActivityTaskTimestamp": execution.latest_activity_task_timestamp,
        "latestExecutionContext": execution.latest_execution_context,
    }
    return {name: value for name, value in told.items() if value is not None}
