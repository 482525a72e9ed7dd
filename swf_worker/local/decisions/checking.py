"""What makes a list of decisions be refused as a whole, beyond the model's constraints."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from .. import faults

CLOSING = (
    "CompleteWorkflowExecution",
    "FailWorkflowExecution",
    "CancelWorkflowExecution",
    "ContinueAsNewWorkflowExecution",
)
"""They come last. Without attributes they are accepted; what SWF says to that is not known."""

NOT_WITH_CLOSING = ("ScheduleActivityTask", "StartTimer")
"""What SWF refuses in a batch that closes: swiffer, whose tests tried six kinds of decisions on
SWF, leaves these two out of it. FsDecider's tests recorded that all others are accepted."""


def attributes_key(kind: str) -> str:
    """The member that has the attributes of decisions of this kind."""
    return f"{kind[0].lower()}{kind[1:]}DecisionAttributes"


def check(decisions: list[dict[str, Any]], known: Collection[str]) -> None:
    """Raise SWF's fault, or ours for what the local SWF doesn't have."""
    kinds = [decision["decisionType"] for decision in decisions]
    if any(kind in CLOSING for kind in kinds[:-1]):
        raise faults.close_must_be_last()
    if kinds and kinds[-1] in CLOSING and not {*NOT_WITH_CLOSING}.isdisjoint(kinds):
        raise faults.incompatible_with_close()
    for kind, decision in zip(kinds, decisions, strict=True):
        if kind not in known:
            raise faults.not_implemented(f"the decision {kind}")
        if kind not in CLOSING and decision.get(attributes_key(kind)) is None:
            raise faults.attributes_missing(kind)
