"""How executions begin: what they are configured with, and their first events."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from .. import ids
from . import closing, deciding
from .execution import NONE, Execution, Host, LocalDomain, Parent

MAX_OPEN = 100_000
"""Open executions in a domain."""
_NEEDED = ("executionStartToCloseTimeout", "taskList", "taskStartToCloseTimeout", "childPolicy")
"""In the order in which SWF names what is missing (moto's tests)."""
_OPTIONAL = ("taskPriority", "lambdaRole")


@dataclass(frozen=True, slots=True)
class Start:
    """What an execution is to be started with; or ``cause``, why it can't be, as failed decisions
    tell it."""

    workflow_type: dict[str, str]
    given: dict[str, Any]
    configuration: dict[str, Any]
    cause: str | None = None
    undefined: str | None = None
    """The member that neither the call nor the type says."""


def choose(domain: LocalDomain, workflow_type: dict[str, str], given: dict[str, Any]) -> Start:
    """What the members of a call or a decision say, completed by what the type has registered."""
    found = domain.types.get(("workflow", workflow_type["name"], workflow_type["version"]))
    if found is None or found.deprecated is not None:
        cause = f"WORKFLOW_TYPE_{'DOES_NOT_EXIST' if found is None else 'DEPRECATED'}"
        return Start(workflow_type, given, {}, cause)
    chosen: dict[str, Any] = {}
    for name in (*_NEEDED, *_OPTIONAL):
        value = given.get(name) or found.default(name)
        if value:
            chosen[name] = value
        elif name in _NEEDED:
            return Start(workflow_type, given, {}, f"DEFAULT_{_snake(name)}_UNDEFINED", name)
    return Start(workflow_type, given, chosen)


def _snake(name: str) -> str:
    return re.sub(r"(?=[A-Z])", "_", name).upper()


def start(
    host: Host,
    domain: LocalDomain,
    workflow_id: str,
    chosen: Start,
    *,
    parent: Parent | None = None,
    run_id: str | None = None,
    continued: str | None = None,
) -> Execution:
    """Start an execution; nothing with its id may be open. ``continued`` is the run that it goes
    on for."""
    execution = Execution(
        host,
        domain,
        workflow_id,
        run_id or ids.run_id(),
        chosen.workflow_type,
        chosen.configuration,
        chosen.given.get("tagList") or [],
        parent,
        host.now(),
    )
    domain.add(execution)
    execution.add_event(
        "WorkflowExecutionStarted",
        **execution.configuration,
        workflowType=execution.workflow_type,
        input=chosen.given.get("input"),
        tagList=execution.tag_list or None,
        continuedExecutionRunId=continued,
        parentWorkflowExecution=parent.execution.key if parent else None,
        parentInitiatedEventId=parent.initiated_event_id if parent else 0,
    )
    timeout = execution.configuration["executionStartToCloseTimeout"]
    if timeout != NONE:
        host.call_later(float(timeout), lambda: closing.time_out(execution))
    deciding.schedule(execution)
    return execution
