"""The dashboard and the alert rules name what there is."""

from __future__ import annotations

import json
import re
from importlib.resources import files

import pytest
import yaml
from prometheus_client import generate_latest

from swf_worker.core.messages import Disposition
from swf_worker.instrumentation.lines import LINES
from swf_worker.instrumentation.metrics import (
    METRICS,
    SUPERVISOR_METRICS,
    PrometheusObserver,
    event_name,
)
from swf_worker.observations import WorkerStarted
from swf_worker.task import ActivityType
from tests.operating.conftest import samples

GRAFANA = files("swf_worker.instrumentation") / "grafana"
KNOWN = {metric.name: metric for metric in (*METRICS, *SUPERVISOR_METRICS)}
VALUES = {
    "result": {"task", "empty", "cut", "failed", "accepted", "cancel_requested", "closed"},
    "outcome": {"completed", "failed", "canceled", *map(str, Disposition)},
    "event": {event_name(kind) for kind in LINES},
}
OF_PROMETHEUS = {"job", "instance", "le"}


def dashboard():
    return json.loads((GRAFANA / "dashboard.json").read_text())


def rules():
    (group,) = yaml.safe_load((GRAFANA / "alerts.yaml").read_text())["groups"]
    return group["rules"]


def expressions():
    panels = [p for p in dashboard()["panels"] if p["type"] != "row"]
    found = [target["expr"] for panel in panels for target in panel["targets"]]
    variables = [v["query"]["query"] for v in dashboard()["templating"]["list"] if "job" in str(v)]
    return found + [rule["expr"] for rule in rules()] + variables


@pytest.mark.parametrize("expression", expressions())
def test_every_metric_and_label_exists(expression):
    names = re.findall(r"swf_worker_[a-z_]+", expression)
    assert names
    for name in names:
        base = re.sub(r"_(bucket|sum|count)$", "", name)
        assert base in KNOWN, name
        if base != name:
            assert KNOWN[base].kind == "histogram"
    labels = {label for name in names for label in KNOWN.get(name, KNOWN[base]).labels}
    for used in re.findall(r"by \(([^)]*)\)", expression):
        assert set(used.replace(" ", "").split(",")) <= labels | OF_PROMETHEUS
    for label, operator, values in re.findall(r'(\w+)(=~|!~|=|!=)"([^"]*)"', expression):
        if label in VALUES:
            assert set(values.split("|")) <= VALUES[label], (label, operator)


def test_every_metric_is_on_the_dashboard():
    shown = " ".join(expressions())
    assert {name for name in KNOWN if name not in shown} == set()


def test_what_a_rule_waits_to_rise_is_there_at_0():
    """Prometheus sees no rise in a series that begins with its first 1."""
    observer = PrometheusObserver()
    observer.observe(WorkerStarted("d", "t", "i", (ActivityType("Work", "1"),)))
    found = samples(generate_latest(observer.registry).decode())
    rising = re.findall(r"increase\((\w+)(?:\{(\w+)=~?\"([^\"]*)\"\})?", str(rules()))
    assert len(rising) > 5
    for name, label, values in rising:
        if name in {metric.name for metric in SUPERVISOR_METRICS}:
            continue
        for value in values.split("|"):
            own = f"{{{label}={value}}}" if label else ""
            if label == "outcome":
                own = f"{{activity_type=Work/1,outcome={value}}}"
            assert found[f"{name}{own}"] == 0


def test_rules_have_names_words_and_a_severity():
    assert len({rule["alert"] for rule in rules()}) == len(rules())
    for rule in rules():
        assert set(rule["annotations"]) == {"summary", "description"}
        assert rule["labels"]["severity"] in ("page", "ticket")


def test_panels_have_places_of_their_own():
    taken = set()
    for panel in dashboard()["panels"]:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells
