"""What one process says of its workers, as plain data: the same whether it is asked here or through
a supervisor's line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from ...status import EndedTask, WorkerStatus

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry


class Sample(msgspec.Struct, frozen=True, array_like=True):
    """One value of a family."""

    name: str
    labels: dict[str, str]
    value: float


class Family(msgspec.Struct, frozen=True):
    """One metric with all its series."""

    name: str
    help: str
    kind: str
    samples: list[Sample]


class WorkerSnapshot(msgspec.Struct, frozen=True):
    """One worker."""

    status: WorkerStatus
    recent: list[EndedTask]
    wedged: list[str]
    not_ready: str | None


class ProcessSnapshot(msgspec.Struct, frozen=True):
    """One process. ``metrics`` is None where nobody asked for them, or none are kept, and
    ``no_metrics`` says why."""

    pid: int
    workers: list[WorkerSnapshot]
    has_tasks: bool = False
    """What runs and what has ended is in it."""
    metrics: list[Family] | None = None
    no_metrics: str | None = None


def families_of(registry: CollectorRegistry) -> list[Family]:
    """A registry's values."""
    return [
        Family(
            family.name,
            family.documentation,
            family.type,
            [
                Sample(sample.name, dict(sample.labels), float(sample.value))
                for sample in family.samples
                if not sample.name.endswith("_created")
            ],
        )
        for family in registry.collect()
    ]


def combined(
    parts: Iterable[tuple[str, Sequence[Family]]], gauges: Mapping[str, str]
) -> list[Family]:
    """Several processes' metrics as one target's. Counters and histograms are summed; of gauges
    those that ``gauges`` names, by "sum" or "max"; of any other gauge nobody knows what a sum would
    mean, and each process's has its name as a label."""
    found: dict[str, Family] = {}
    values: dict[str, dict[tuple[str, frozenset[tuple[str, str]]], float]] = {}
    for process, families in parts:
        for family in families:
            found.setdefault(family.name, family)
            kept = values.setdefault(family.name, {})
            how = gauges.get(family.name, "sum" if family.kind in _SUMMED else "own")
            for sample in family.samples:
                labels = sample.labels
                if how == "own" and process:
                    labels = _labelled(labels, process)
                key = (sample.name, frozenset(labels.items()))
                before = kept.get(key)
                kept[key] = sample.value if before is None else _joined(how, before, sample.value)
    return [
        Family(
            name,
            family.help,
            family.kind,
            [Sample(n, dict(labels), value) for (n, labels), value in values[name].items()],
        )
        for name, family in found.items()
    ]


_PROCESS = "process"


def _labelled(labels: Mapping[str, str], process: str) -> dict[str, str]:
    """A label of that name gets another, as Prometheus has it for its own."""
    named = {f"exported_{n}" if n == _PROCESS else n: value for n, value in labels.items()}
    return named | {_PROCESS: process}


_SUMMED = ("counter", "histogram", "summary")


def _joined(how: str, one: float, other: float) -> float:
    return max(one, other) if how == "max" else one + other


def counters_of(families: Sequence[Family]) -> list[Family]:
    """What must never fall: a process that ended has counted for good."""
    return [family for family in families if family.kind in _SUMMED]


def exposition(families: Sequence[Family]) -> tuple[bytes, str]:
    """The text that Prometheus reads, and its content type."""
    from prometheus_client import CollectorRegistry
    from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
    from prometheus_client.metrics_core import Metric

    class Collected:
        def collect(self) -> Iterator[Metric]:
            for family in families:
                told: Any = Metric(family.name, family.help, family.kind)
                for sample in family.samples:
                    told.add_sample(sample.name, sample.labels, sample.value)
                yield told

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Collected())
    return generate_latest(registry), CONTENT_TYPE_LATEST
