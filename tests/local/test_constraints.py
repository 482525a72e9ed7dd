"""What SWF's model says in words, and the local SWF under load."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.local.plain import Plain, client, refused


@pytest.fixture
def plain(quick_swf):
    """On the real clock."""
    return Plain(quick_swf.client())


@pytest.mark.parametrize("name", ["a:b", "a/b", "a|b", "a\x07b", "arn"])
def test_names_follow_the_rules_of_the_model(plain, name):
    swf = plain.swf
    calls = (
        (swf.register_domain, {"name": name, "workflowExecutionRetentionPeriodInDays": "1"}),
        (swf.register_activity_type, {"domain": "plain", "name": name, "version": "1"}),
        (swf.register_activity_type, {"domain": "plain", "name": "n", "version": name}),
        (swf.poll_for_activity_task, {"domain": "plain", "taskList": {"name": name}}),
    )
    flow = {"domain": "plain", "workflowId": name, "workflowType": {"name": "Flow", "version": "1"}}
    if name not in ("a:b", "a/b"):  # these ids may have both
        calls = (*calls, (swf.start_workflow_execution, flow))
    for call, asked in calls:
        refused(call, "ValidationException", "failed to satisfy constraint", **asked)


def test_spaces_durations_and_numbers(plain):
    swf = plain.swf
    refused(
        swf.poll_for_activity_task,
        "ValidationException",
        "whitespace",
        domain="plain",
        taskList={"name": " x"},
    )
    for wrong in ("-1", "1.5", "soon"):
        refused(
            swf.register_activity_type,
            "ValidationException",
            "integer",
            domain="plain",
            name="n",
            version="1",
            defaultTaskHeartbeatTimeout=wrong,
        )
    refused(
        swf.get_workflow_execution_history,
        "ValidationException",
        "less than or equal to 1000",
        domain="plain",
        execution=plain.start(),
        maximumPageSize=1001,
    )


def test_the_other_failures_of_scheduling(plain):
    swf = plain.swf
    swf.register_activity_type(domain="plain", name="Old", version="1")
    swf.deprecate_activity_type(domain="plain", activityType={"name": "Old", "version": "1"})
    execution = plain.start()
    plain.decide(plain.schedule(activityType={"name": "Old", "version": "1"}))
    assert plain.attributes(execution, "ScheduleActivityTaskFailed")["cause"] == (
        "ACTIVITY_TYPE_DEPRECATED"
    )
    plain.decide(*(plain.schedule(f"a{number}") for number in range(1001)))
    latest = swf.get_workflow_execution_history(
        domain="plain", execution=execution, reverseOrder=True, maximumPageSize=2
    )["events"]
    told = latest[1]["scheduleActivityTaskFailedEventAttributes"]
    assert (told["activityId"], told["cause"]) == ("a1000", "OPEN_ACTIVITIES_LIMIT_EXCEEDED")


@pytest.fixture
def dev(dev_process):
    return dev_process[0]


@pytest.fixture
def dev_process():
    with subprocess.Popen(
        [sys.executable, "-m", "swf_worker", "dev", "--port", "0", "--poll-hold", "1"],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield process.stdout.readline().split()[-1], process.pid
        process.terminate()


def many(plain: Plain, count: int, **given: Any) -> None:
    plain.start()
    for start in range(0, count, 100):
        if start:
            execution = plain.start()
            assert execution
        plain.decide(*(plain.schedule(f"a{n}", **given) for n in range(start, start + 100)))


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def pairs(plain: Plain, count: int, pid: int) -> tuple[float, float]:
    """Pairs of poll and answer a second, and the service's CPU seconds for each."""
    began, cpu = time.perf_counter(), cpu_seconds(pid)
    for _ in range(count):
        token = plain.poll()["taskToken"]
        plain.swf.respond_activity_task_completed(taskToken=token)
    return count / (time.perf_counter() - began), (cpu_seconds(pid) - cpu) / count


@pytest.mark.skipif(not Path("/proc").exists(), reason="reads CPU times from /proc")
@pytest.mark.full
def test_a_thousand_open_activities_slow_nothing_down(dev_process, record_property):
    """The service's work for a pair and for a heartbeat doesn't grow with what is open. Held by its
    CPU time, which a busy machine doesn't change; the rates are printed."""
    url, pid = dev_process
    swf = client(url)
    plain = Plain(swf)
    many(plain, 500)
    before, cost_before = pairs(plain, 500, pid)
    many(plain, 1000, taskList={"name": "held"})
    tokens = [plain.poll("held")["taskToken"] for _ in range(1000)]
    many(plain, 500)
    after, cost_after = pairs(plain, 500, pid)
    beats, cpu = [], cpu_seconds(pid)
    for token in tokens[:500]:
        began = time.perf_counter()
        plain.beat(token, "d")
        beats.append(time.perf_counter() - began)
    beat_cost = (cpu_seconds(pid) - cpu) / 500
    swf.close()
    record_property(
        "figure",
        f"{before:.0f} pairs/s, {after:.0f} with 1,000 activities open "
        f"({cost_before * 1000:.2f} and {cost_after * 1000:.2f} ms of the service's CPU); "
        f"a heartbeat takes {sorted(beats)[250] * 1000:.1f} ms (median)",
    )
    assert cost_after < cost_before * 1.5 + 0.0002
    assert cost_after < 1 / 300, "300 pairs a second are out of reach"
    assert beat_cost < 0.01


@pytest.mark.parametrize("count", [400, pytest.param(1600, marks=pytest.mark.full)])
def test_eight_threads_and_none_twice_none_lost(dev, count):
    swf = client(dev)
    many(Plain(swf), count)
    seen: Counter[str] = Counter()
    lock = threading.Lock()

    def work() -> None:
        own = Plain.__new__(Plain)
        own.swf, own.domain = client(dev), "plain"
        while (task := own.poll()).get("taskToken"):
            own.swf.respond_activity_task_completed(taskToken=task["taskToken"])
            with lock:
                seen[task["taskToken"]] += 1
        own.swf.close()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    swf.close()
    assert len(seen) == count
    assert set(seen.values()) == {1}
