"""Answers that an earlier worker has decided, and that SWF has not accepted."""

from __future__ import annotations

from ..outcome import Outcome
from .execution import Execution, Phase, Policy
from .messages import Disposition


def kept(policy: Policy, answer: Outcome, *, ambiguous: bool) -> Execution:
    """The state of its task: over for that worker, and to be sent again (``Redelivered``).
    ``ambiguous``: some attempt may have been carried out."""
    return Execution(
        policy,
        Phase.ENDED,
        beating=False,
        handler_done=True,
        answer=answer,
        ambiguous=ambiguous,
        disposition=Disposition.ABANDONED,
    )
