"""The distributions, installed into empty environments: the core alone, and with each extra."""

from __future__ import annotations

import re
import shlex
import textwrap
import zipfile

import pytest

from swf_worker import Completed, activity
from swf_worker.local import LocalSwf
from tests.fresh.conftest import environment_with, newcomer, run

WORKER = """
from swf_worker import ActivityWorker, activity


@activity(name="Greet", version="1.0", heartbeat_timeout=30)
def greet(name: str) -> str:
    return f"Hello, {name}!"


worker = ActivityWorker(domain="demo", task_list="greetings", activities=[greet])
"""
ONE_TASK = """
import sys, threading
from greetings import greet, worker
from swf_worker.observations import TaskEnded

ended = threading.Event()


class Tells:
    def observe(self, record):
        if isinstance(record, TaskEnded):
            ended.set()


worker.configure({"endpoint_url": sys.argv[1], "observers": [Tells()]})
with worker:
    assert ended.wait(30)
"""


@activity(name="Greet", version="1.0", heartbeat_timeout=30)
def greet(name: str) -> str:
    raise NotImplementedError("the installed one is called")


EXTRAS = {"local": "moto", "cli": "rich", "pydantic": "pydantic", "ruby": "pyyaml"}
EXTRAS |= {"otel": "opentelemetry-api", "prometheus": "prometheus-client"}


@pytest.fixture(scope="module")
def core(built, tmp_path_factory):
    """With core dependencies only; a folder with a worker in it."""
    folder = tmp_path_factory.mktemp("core")
    (folder / "greetings.py").write_text(WORKER)
    (folder / "one_task.py").write_text(ONE_TASK)
    return environment_with(folder / "env", built[1]), folder


def installed(binaries):
    listed = run(binaries / "python", "-m", "pip", "list", "--format=freeze")
    return {line.partition("==")[0].lower() for line in listed.splitlines()}


def test_the_wheel_holds_the_package_and_nothing_else(built):
    with zipfile.ZipFile(built[1]) as wheel:
        names = wheel.namelist()
    assert {name.split("/")[0].split("-")[0] for name in names} == {"swf_worker"}
    assert "swf_worker/py.typed" in names
    assert any(name.endswith("/licenses/LICENSE") for name in names)


def test_the_core_alone_runs_a_task(core):
    binaries, folder = core
    assert installed(binaries).isdisjoint(EXTRAS.values())
    with LocalSwf() as swf:
        swf.register([greet], domain="demo")
        scheduled = swf.schedule("Greet", "1.0", "Ada", domain="demo", task_list="greetings")
        run(
            binaries / "python", "one_task.py", swf.endpoint_url, cwd=folder, env=newcomer(binaries)
        )
        assert scheduled.outcome(10) == Completed('"Hello, Ada!"')


def test_the_commands_of_the_core_need_no_extra(core):
    binaries, folder = core
    env = newcomer(binaries)
    assert "usage: swf-worker" in run("swf-worker", "--help", cwd=folder, env=env)
    assert "no AWS region is set" in run(
        "swf-worker", "run", "greetings:worker", code=1, cwd=folder, env=env
    )


def test_the_hint_for_a_missing_extra_is_a_command_that_works(built, tmp_path):
    folder = tmp_path
    binaries = environment_with(folder / "env", built[1])
    env = newcomer(binaries)
    said = run("swf-worker", "demo", code=1, cwd=folder, env=env).splitlines()[-1]
    hint = re.search(r"needs rich and moto: (pip install .*)$", said)[1]
    run("swf-worker", "dev", code=1, cwd=folder, env=env)
    run(*shlex.split(hint), cwd=folder, env=env)
    assert "Completed" in run("swf-worker", "demo", cwd=folder, env=env)


def test_a_converter_without_its_extra_says_what_to_install(core):
    binaries, folder = core
    making = "from swf_worker.deciders import FlowRubyConverter; FlowRubyConverter()"
    said = run(binaries / "python", "-c", making, code=1, cwd=folder, env=newcomer(binaries))
    assert "ConfigurationError: FlowRubyConverter needs pyyaml: pip install 'pyyaml>=6'" in said


@pytest.mark.parametrize("extra", EXTRAS)
def test_each_extra_installs_what_it_is_for(built, tmp_path, extra):
    binaries = environment_with(tmp_path / "env", f"swf_worker[{extra}] @ {built[1].as_uri()}")
    assert EXTRAS[extra] in installed(binaries)
    uses = {
        "local": """
            from swf_worker.local import LocalSwf
            with LocalSwf() as swf:
                print(swf.client().list_domains(registrationStatus="REGISTERED"))
        """,
        "cli": "import rich.console, swf_worker.cli.main",
        "pydantic": """
            from pydantic import BaseModel
            from swf_worker import activity
            from swf_worker.testing import ActivityEnvironment

            class Order(BaseModel):
                pages: int

            @activity(version="1")
            def pages(order: Order) -> int:
                return order.pages

            assert ActivityEnvironment().outcome(pages, {"pages": 3}).result == "3"
        """,
        "ruby": r"""
            from swf_worker.deciders import FlowRubyConverter
            assert FlowRubyConverter().encode([1]) == "---\n- 1\n"
        """,
        "otel": """
            from swf_worker.instrumentation.traces import OpenTelemetryObserver
            OpenTelemetryObserver()
        """,
        "prometheus": """
            from prometheus_client import generate_latest
            from swf_worker.instrumentation.metrics import PrometheusObserver
            assert b"swf_worker_slots" in generate_latest(PrometheusObserver().registry)
        """,
    }
    run(
        binaries / "python",
        "-c",
        textwrap.dedent(uses[extra]),
        cwd=tmp_path,
        env=newcomer(binaries),
    )


def test_the_demo_runs_from_the_source_distribution_with_its_extras(built, tmp_path):
    binaries = environment_with(tmp_path / "env", f"swf_worker[local,cli] @ {built[0].as_uri()}")
    assert "Completed" in run("swf-worker", "demo", cwd=tmp_path, env=newcomer(binaries))
