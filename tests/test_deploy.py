"""What docs/deploy.md has others run: its times hold against the code's bound, its flags and its
variables exist, and whoever reads such files finds nothing wrong in them."""

from __future__ import annotations

import configparser
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from swf_worker.cli.main import RUN_SETTINGS
from swf_worker.cli.supervisor import MARGIN
from swf_worker.core.lifecycle import LAST_ANSWERS, POLL_LIMIT, longest_stop
from swf_worker.instrumentation.health.report import _PATHS
from swf_worker.options import Options

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "deploy.md").read_text()
MOST_ON_FARGATE = 120
SPARE = 5
"""Seconds beyond the bound, at least."""
FLAGS = {f"--{setting.name}": setting for setting in RUN_SETTINGS}


def snippets(language: str) -> list[str]:
    found = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    assert found
    return found


def manifests() -> dict[str, dict]:
    found = [each for text in snippets("yaml") for each in yaml.safe_load_all(text)]
    return {each["kind"]: each for each in found}


def given(arguments: list[str]) -> dict[str, str]:
    """The flags of a command of ``swf-worker run``, each of which must exist."""
    target, *words = [part for each in arguments for part in each.split("=", 1)]
    assert re.fullmatch(r"[\w.]+:\w+", target)
    flags = dict(zip(words[::2], words[1::2], strict=True))
    assert flags.keys() <= FLAGS.keys()
    for name, value in flags.items():
        FLAGS[name].parse(value, name)
    return flags


def bound(flags: dict[str, str]) -> float:
    """Of a whole stop."""
    options = Options(domain="d", task_list="t")
    drain = float(flags.get("--drain-timeout", options.drain_timeout))
    grace = float(flags.get("--cancel-grace", options.cancel_grace))
    return longest_stop([drain], [grace]) + (MARGIN if "--processes" in flags else 0)


def unit() -> configparser.ConfigParser:
    (text,) = snippets("ini")
    parser = configparser.ConfigParser(strict=True, interpolation=None)
    parser.optionxform = str
    parser.read_string(text)
    return parser


def test_the_bound_is_the_codes():
    (formula, margin) = re.search(
        r"```text\n(max\(.*?\S) {3,}.*?\+ (\d+) +with --processes", PAGE, re.DOTALL
    ).groups()
    assert formula == f"max({POLL_LIMIT:g}, drain_timeout) + cancel_grace + {LAST_ANSWERS:g}"
    assert float(margin) == MARGIN
    assert f"{bound({}):g} with the defaults" in PAGE


def test_the_unit_waits_for_a_whole_stop():
    service = unit()["Service"]
    program, run, *arguments = service["ExecStart"].split()
    assert program.endswith("/swf-worker")
    assert run == "run"
    assert float(service["TimeoutStopSec"]) >= bound(given(arguments)) + SPARE
    assert service["Type"] == "notify"
    assert service["RestartPreventExitStatus"] == "2"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd isn't installed")
def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path):
    (text,) = snippets("ini")
    here = {"/opt/myservice/.venv/bin/swf-worker": sys.executable, "/opt/myservice": str(tmp_path)}
    for there, existing in here.items():
        text = text.replace(there, existing)
    text = text.replace("User=myservice", "User=root")
    path = tmp_path / "swf-worker.service"
    path.write_text(text)
    command = ["systemd-analyze", "verify", "--man=no", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    ours = [line for line in done.stderr.splitlines() if "swf-worker.service" in line]
    assert not ours
    wrong = path.with_name("wrong.service")
    wrong.write_text(text.replace("KillMode=mixed", "KillMode=mix"))
    command[-1] = str(wrong)
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert "KillMode" in done.stderr or "kill mode" in done.stderr, "it does read the unit"


def test_the_image_runs_the_worker_itself_and_not_as_root():
    (text,) = snippets("dockerfile")
    lines = dict(line.split(maxsplit=1) for line in text.splitlines() if line)
    entry, command = json.loads(lines["ENTRYPOINT"]), json.loads(lines["CMD"])
    assert entry[:2] == ["swf-worker", "run"], "no shell gets the signals"
    given([*command, *entry[2:]])
    assert int(lines["USER"]) > 0


def test_the_deployment_waits_for_a_whole_stop_and_asks_what_is_answered():
    pod = manifests()["Deployment"]["spec"]["template"]
    (container,) = pod["spec"]["containers"]
    flags = given(container["args"])
    assert pod["spec"]["terminationGracePeriodSeconds"] >= bound(flags) + SPARE
    port = int(flags["--health-port"])
    assert container["ports"] == [{"name": "health", "containerPort": port}]
    probes = {name: container[f"{name}Probe"] for name in ("startup", "liveness", "readiness")}
    for probe in probes.values():
        assert probe["httpGet"]["port"] == "health"
        assert probe["httpGet"]["path"] in _PATHS
    assert probes["liveness"]["httpGet"]["path"] == "/livez", "SWF is none of its business"
    annotations = pod["metadata"]["annotations"]
    assert annotations["prometheus.io/path"] in _PATHS
    assert annotations["prometheus.io/port"] == str(port)
    labels = pod["metadata"]["labels"]
    for kind in ("Deployment", "PodDisruptionBudget"):
        assert manifests()[kind]["spec"]["selector"]["matchLabels"] == labels
    assert manifests()["Service"]["spec"]["selector"] == labels


def test_what_the_page_says_for_long_tasks_holds():
    drain, grace = re.search(r"`--drain-timeout=(\d+)`, and (\d+) here", PAGE).groups()
    assert float(grace) >= bound({"--drain-timeout": drain}) + SPARE


def test_keda_asks_the_service_for_what_scale_answers():
    scaled = manifests()["ScaledObject"]["spec"]
    (trigger,) = scaled["triggers"]
    name, port = manifests()["Service"]["metadata"]["name"], 8080
    assert trigger["metadata"]["url"] == f"http://{name}.media.svc:{port}/scale"
    assert "/scale" in _PATHS
    assert f'"{trigger["metadata"]["valueLocation"]}":' in PAGE
    assert scaled["scaleTargetRef"]["name"] == manifests()["Deployment"]["metadata"]["name"]
    assert scaled["minReplicaCount"] >= 1
    behavior = scaled["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]["scaleDown"]
    assert behavior["policies"][0]["periodSeconds"] >= bound({})


def test_fargate_has_time_for_a_whole_stop():
    (definition,) = map(json.loads, snippets("json"))
    longest = bound(given(definition["command"]))
    assert longest + SPARE <= definition["stopTimeout"] <= MOST_ON_FARGATE
    most = re.search(r"`drain_timeout` is (\d+) s at most there", PAGE)[1]
    assert bound({"--drain-timeout": most}) == MOST_ON_FARGATE


def test_docker_is_told_to_wait():
    for seconds in re.findall(r"--time (\d+)|stop_grace_period: (\d+)s", PAGE):
        assert float(max(seconds)) >= bound({}) + SPARE
