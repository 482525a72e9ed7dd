"""``swf-worker check MODULE:ATTRIBUTE …``: whether workers could work, without taking a task."""

from __future__ import annotations

import argparse
import json
import resource
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from shlex import quote

from ..exit_codes import ExitCode
from .checking import handlers, reach, registered
from .checking.asking import gather
from .checking.facts import WorkerFacts
from .checking.findings import Finding, Level, counted
from .run import load_quietly
from .settings import whole

_MOST = 100_000


def check(given: argparse.Namespace) -> int:
    """Say what was found."""
    processes = whole("processes", given.processes or 1, 1, _MOST)
    fleet = processes if given.fleet_size is None else given.fleet_size
    whole("fleet-size", fleet, 1, _MOST)
    facts = gather(load_quietly(given))
    targets = " ".join(map(quote, given.targets))
    found = list(dict.fromkeys(findings(facts, fleet, targets)))  # what workers share is said once
    if given.format == "json":
        print(json.dumps([asdict(finding) for finding in found], indent=2))
    else:
        for finding in found:
            print(finding)
        print(counted(found))
    stops = any(finding.level is Level.ERROR for finding in found)
    return ExitCode.FATAL if stops else ExitCode.DONE


def findings(facts: Sequence[WorkerFacts], fleet: int, targets: str) -> Iterator[Finding]:
    """All, in the order in which they are to be mended."""
    served = {
        (each.options.domain, each.options.task_list, str(definition.type))
        for each in facts
        for definition in each.definitions
    }
    descriptors = _descriptors()
    for each in facts:
        refused = None if each.told is None else each.told.refused
        yield from reach.findings_of(each.reached, refused)
        why_not = reach.why_not_asked(each.reached, refused)
        yield from registered.findings_of(each, why_not, targets, served)
        yield from handlers.findings_of(each, descriptors)
    yield from handlers.quota_findings(facts, fleet)


def _descriptors() -> float:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return float("inf") if soft == resource.RLIM_INFINITY else float(soft)
