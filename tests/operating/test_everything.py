"""The demo's work with everything on: metrics, spans, the page and JSON lines, all at once."""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
import sys
from pathlib import Path

from swf_worker import status
from swf_worker.instrumentation.metrics import METRICS
from swf_worker.local import Canceled, Completed, Failed, LocalSwf, ids
from tests.commands import environment
from tests.conftest import eventually
from tests.operating import everything
from tests.operating.conftest import get, samples

SECRET = "no line, span, label or page has it"
OF_A_TASK = {
    *("domain", "task_list", "workflow_id", "run_id", "activity_id"),
    *("activity_name", "activity_version"),
}


def test_every_documented_metric_span_and_field_is_there(tmp_path, monkeypatch):
    spans, errors, out = (tmp_path / name for name in ("spans", "stderr", "stdout"))
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "page").write_text("text")
    tokens, make = [], ids.task_token
    monkeypatch.setattr(ids, "task_token", lambda: tokens.append(make()) or tokens[-1])
    with LocalSwf(poll_hold=0.5) as swf, errors.open("w") as err, out.open("w") as said:
        swf.register([*everything.Everything.activities], domain="demo")
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "swf_worker", "run", "tests.operating.everything:make"),
                *("--endpoint-url", swf.endpoint_url, "--health-port", "0"),
                *("--log-format", "json", "--log-level", "debug"),
            ],
            env=environment(SPANS=str(spans)),
            stdout=said,
            stderr=err,
        )
        try:
            where = {"domain": "demo", "task_list": "archives"}
            wanted = {"folder": str(folder), "archive": str(tmp_path / "archive.tar.gz")}
            archived = swf.schedule("Archive", "1.0", wanted, **where)
            missing = swf.schedule("Archive", "1.0", wanted | {"folder": "/no/such"}, **where)
            waits = swf.schedule("Async", "1.0", **where)
            child = swf.schedule("Process", "1.0", SECRET, **where)
            waits.wait_for_heartbeats()
            url = re.search(r'"url": "(http://[^"]+)"', errors.read_text())[1]
            assert isinstance(archived.outcome(), Completed)
            assert isinstance(missing.outcome(), Failed)
            assert isinstance(child.outcome(), Completed)
            assert eventually(lambda: len(get(url, "/status").json["recent"]) == 3)
            told = get(url, "/status")
            waits.request_cancel()
            assert waits.outcome() == Canceled()
            ended = "swf_worker_activities_total{activity_type=Async/1.0,outcome=canceled}"
            assert eventually(lambda: samples(get(url, "/metrics").text).get(ended) == 1)
            metrics = get(url, "/metrics").text
        finally:
            process.terminate()
            assert process.wait(30) == 0
    has_every_metric(metrics)
    has_every_field(told.json)
    has_every_span([json.loads(line) for line in spans.read_text().splitlines()])
    has_every_task_in_its_lines(out.read_text() + errors.read_text())
    everything_said = "".join(map(Path.read_text, (spans, errors, out))) + metrics + told.text
    assert SECRET not in everything_said
    assert tokens
    for token in tokens:
        assert token not in everything_said


def has_every_metric(text):
    found = samples(text)
    for metric in METRICS:
        name = f"{metric.name}_count" if metric.kind == "histogram" else metric.name
        if metric.name == "swf_worker_retries_total":
            assert f"# TYPE {name} counter" in text  # there were none
            continue
        assert [series for series in found if series.partition("{")[0] == name], name


def has_every_field(told):
    def names(kind):
        return {field.name for field in dataclasses.fields(kind)}

    assert set(told["worker"]) == names(status.WorkerFacts)
    assert set(told["slots"]) == names(status.Slots)
    (running,) = told["running"]
    assert set(running) == names(status.RunningTask)
    assert set(running["heartbeat"]) == names(status.HeartbeatStatus)
    assert all(set(each) == names(status.EndedTask) for each in told["recent"])


def has_every_span(spans):
    by_name = {}
    for span in spans:
        by_name.setdefault(span["name"], []).append(span)
    assert set(by_name) == {
        "receive archives",
        "process archives",
        "settle archives",
        "inner",
    }
    assert len(by_name["process archives"]) == 4
    outcomes = [span["attributes"]["swf.outcome"] for span in by_name["process archives"]]
    assert sorted(outcomes) == ["Canceled", "Completed", "Completed", "Failed"]
    (inner,) = by_name["inner"]
    parents = {span["context"]["span_id"]: span for span in by_name["process archives"]}
    of_the_child = parents[inner["parent_id"]]["attributes"]
    assert of_the_child["swf.activity_type.name"] == "Process"


def has_every_task_in_its_lines(text):
    lines = [json.loads(line) for line in text.splitlines()]
    assert {line["mode"] for line in lines if line["event"] == "inside"} == {"async", "process"}
    for line in lines:
        assert not any(isinstance(value, (dict, list)) for value in line.values())
        if "workflow_id" in line:
            assert set(line) >= OF_A_TASK, line
    ended = [line for line in lines if line["event"] == "task ended"]
    assert {line["activity_name"] for line in ended} == {"Archive", "Async", "Process"}
