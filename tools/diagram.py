"""Prints the diagram of the task's machine for docs/architecture.md, made from the walk of the
tests: every arrow is a transition that the walk has seen.

    .venv/bin/python -m tools.diagram
"""

from __future__ import annotations

from collections import defaultdict

from swf_worker.core.execution import Phase
from swf_worker.core.messages import StopCause
from tests.core.test_execution_walk import transitions


def diagram() -> str:
    """The machine's phases and events, as a mermaid state diagram."""
    arrows: dict[tuple[Phase, Phase], set[str]] = defaultdict(set)
    for before, event, after, commands in transitions():
        if before.phase is after.phase and not commands:
            continue
        name = type(event).__name__
        if isinstance(event, StopCause):
            name = "StopCause" if before.phase is Phase.RUNNING else f"StopCause {event.reason}"
        arrows[before.phase, after.phase].add(name)
    lines = ["stateDiagram-v2", f"    [*] --> {Phase.RUNNING.value}"]
    for (start, end), names in sorted(arrows.items(), key=lambda item: str(item[0])):
        lines.append(f"    {start.value} --> {end.value}: {', '.join(sorted(names))}")
    return "\n".join([*lines, f"    {Phase.ENDED.value} --> [*]"])


if __name__ == "__main__":
    print(diagram())
