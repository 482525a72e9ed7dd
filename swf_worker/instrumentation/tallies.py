"""What metrics are counted in: plain numbers, since records come thousands a second and scrapes a
few a minute. They become prometheus-client's families when somebody asks."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from itertools import accumulate
from typing import TYPE_CHECKING

from .metric_table import Metric

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric as Family

Labels = tuple[str, ...]


class Counter:
    """``counter[labels] += 1``; a series is there once it was read or written."""

    def __init__(self, metric: Metric) -> None:
        self.metric = metric
        self.series: defaultdict[Labels, int] = defaultdict(int)
        if not metric.labels:
            self.series[()] = 0

    def family(self) -> Family:
        """As prometheus-client has it."""
        from prometheus_client.metrics_core import CounterMetricFamily

        made = CounterMetricFamily(self.metric.name, self.metric.help, labels=self.metric.labels)
        for labels, value in self.series.items():
            made.add_metric(labels, value)
        return made


class Histogram:
    """Values, by their bucket: all but the last number of a series count, the last is the sum."""

    def __init__(self, metric: Metric) -> None:
        self.metric = metric
        self._bounds = metric.buckets
        self.series: dict[Labels, list[float]] = {}
        if not metric.labels:
            self._new(())

    def _new(self, labels: Labels) -> list[float]:
        made = self.series[labels] = [0] * (len(self._bounds) + 1) + [0.0]
        return made

    def add(self, value: float, labels: Labels = ()) -> None:
        """One more."""
        series = self.series.get(labels) or self._new(labels)
        series[bisect_left(self._bounds, value)] += 1
        series[-1] += value

    def family(self) -> Family:
        """As prometheus-client has it."""
        from prometheus_client.metrics_core import HistogramMetricFamily

        made = HistogramMetricFamily(self.metric.name, self.metric.help, labels=self.metric.labels)
        names = [*(str(float(bound)) for bound in self._bounds), "+Inf"]
        for labels, (*counts, total) in self.series.items():
            buckets = zip(names, accumulate(counts), strict=True)
            made.add_metric(labels, list(buckets), total)
        return made
