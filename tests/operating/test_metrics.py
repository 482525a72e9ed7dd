"""``PrometheusObserver``: every metric on real work, few series, and what several workers make."""

from __future__ import annotations

import sys
import threading

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

from swf_worker import ActivityWorker, ConfigurationError, activity
from swf_worker import observations as told
from swf_worker.errors import ThrottledError
from swf_worker.instrumentation.health.snapshot import combined, exposition, families_of
from swf_worker.instrumentation.lines import LINES
from swf_worker.instrumentation.metrics import METRICS, PrometheusObserver, event_name
from swf_worker.local import Canceled, Completed
from swf_worker.observations import PollSucceeded, TaskEnded
from swf_worker.task import ActivityTask, ActivityType, WorkflowExecution
from tests.conftest import eventually, started
from tests.operating.conftest import get, samples
from tests.operating.workers import later, work
from tests.wire import EMPTY_POLL, OK, Wire, fault, hang_up, task


def scraped(observer):
    return samples(generate_latest(observer.registry).decode())


def test_real_work_moves_every_metric(make_worker, quick_swf, recorder):
    observer = PrometheusObserver()

    worker = make_worker(work, later, max_concurrent_activities=4)
    worker.configure({"observers": [recorder, observer]})
    with worker:
        assert quick_swf.schedule("Later", "2", 5).outcome() == Completed("5")
        quick_swf.schedule("Work", "1", "fail").outcome()
        waiting = quick_swf.schedule("Work", "1", "wait")
        waiting.wait_for_heartbeats()
        recorder.wait_for(TaskEnded, 2)

        def there(**wanted):
            now = scraped(observer)
            return all(now.get(f"swf_worker_{k}", 0) >= v for k, v in wanted.items())

        assert eventually(lambda: there(slots_used=1, oldest_task_seconds=0.05, open_polls=1))
        assert scraped(observer)["swf_worker_slots"] == 4
        assert scraped(observer)["swf_worker_ready"] == 1
        waiting.request_cancel()
        assert waiting.outcome() == Canceled()
        recorder.wait_for(TaskEnded, 3)
        recorder.wait_for(PollSucceeded, 5)
    found = scraped(observer)
    for kind, outcome, count in (
        ("Later/2", "completed", 1),
        ("Work/1", "failed", 1),
        ("Work/1", "canceled", 1),
        ("Work/1", "completed", 0),
    ):
        series = f"swf_worker_activities_total{{activity_type={kind},outcome={outcome}}}"
        assert found[series] == count, series
    assert found["swf_worker_polls_total{result=task}"] == 3
    assert found["swf_worker_polls_total{result=empty}"] >= 1
    assert found["swf_worker_activity_duration_seconds_count{activity_type=Work/1}"] == 2
    assert found["swf_worker_poll_to_start_seconds_count"] == 3
    assert found["swf_worker_answer_seconds_count"] == 3
    assert found["swf_worker_heartbeats_total{result=accepted}"] >= 1
    assert found["swf_worker_heartbeats_total{result=cancel_requested}"] >= 1
    assert found["swf_worker_heartbeat_late_seconds_count"] >= 2
    assert found["swf_worker_events_total{event=worker_started}"] == 1
    assert found["swf_worker_slots"] == 0, "it has ended"


def test_what_goes_wrong_is_counted(recorder):
    work_task = {"activityType": {"name": "Later", "version": "2"}, "input": "1"}
    observer = PrometheusObserver()
    gone = fault("UnknownResourceFault", "Unknown activity, scheduledEventId = 5")
    with Wire(
        PollForActivityTask=[
            fault("ThrottlingException", "Rate exceeded"),
            hang_up,
            task("one", **work_task),
            task("two", **work_task),
            task("three", **work_task),
            EMPTY_POLL,
        ],
        RespondActivityTaskCompleted=[OK, fault("ThrottlingException"), gone, hang_up, gone],
    ) as wire:
        worker = ActivityWorker(
            domain="tests",
            task_list="tasks",
            activities=[later],
            endpoint_url=wire.url,
            observers=[recorder, observer],
            max_concurrent_activities=1,
        )
        with started(worker):
            recorder.wait_for(TaskEnded, 3)
    found = scraped(observer)
    assert found["swf_worker_polls_total{result=failed}"] == 2
    assert found["swf_worker_tasks_possibly_lost_total"] == 1
    retried = "swf_worker_retries_total{{code={},operation={}}}"
    assert found[retried.format("ThrottlingException", "PollForActivityTask")] == 1
    assert found[retried.format("ThrottlingException", "RespondActivityTaskCompleted")] == 1
    assert found[retried.format("(none)", "RespondActivityTaskCompleted")] == 1
    assert found["swf_worker_answers_late_total"] == 1
    assert found["swf_worker_answers_presumed_accepted_total"] == 1
    assert found["swf_worker_activities_total{activity_type=Later/2,outcome=late}"] == 1
    assert found["swf_worker_activities_total{activity_type=Later/2,outcome=completed}"] == 2


def example_task(name):
    return ActivityTask(
        "token", "id", ActivityType(name, "1"), WorkflowExecution("w", "r"), 1, None
    )


def test_there_are_fewer_than_600_series_whatever_comes():
    observer = PrometheusObserver()
    types = tuple(ActivityType(f"Type{n}", "1") for n in range(200))
    observer.observe(told.WorkerStarted("d", "t", "i", types))
    for n in range(300):
        one = example_task(f"Type{n}")
        observer.observe(told.TaskDecided(one, None, 1.0))
        for disposition in ("late", "closed", "handed_over", "rejected", "abandoned"):
            observer.observe(told.TaskEnded(one, disposition, None, 1.0, 0))
        error = ThrottledError("PollForActivityTask", f"Code{n}", "no")
        observer.observe(told.PollFailed(error, 1.0, task_may_be_lost=False))
    for kind in LINES:
        if kind not in observer._told:
            observer.observe(object.__new__(kind))
    found = scraped(observer)
    assert len(found) < 600
    assert found["swf_worker_activities_total{activity_type=(others),outcome=late}"] == 280
    assert found["swf_worker_retries_total{code=(others),operation=(others)}"] == 260


def test_every_kind_of_record_is_counted_or_has_a_metric_of_its_own():
    observer = PrometheusObserver()
    often = (told.TaskStarted,)  # each is told again as HandlerStarted
    asked_for = (told.WorkerReported, told.TaskReported, told.ThreadReported)
    for kind in LINES:
        if kind in often or kind in asked_for or kind in observer._told:
            continue
        observer.observe(object.__new__(kind))
        assert scraped(observer)[f"swf_worker_events_total{{event={event_name(kind)}}}"] == 1


def test_no_id_and_no_token_is_a_label():
    observer = PrometheusObserver()
    observer.observe(told.TaskEnded(example_task("A"), "late", None, 1.0, 0))
    text = generate_latest(observer.registry).decode()
    assert "token" not in text
    assert '"w"' not in text
    assert "(unregistered)" in text, "a type that nobody registered may be called anything"


def test_the_documented_metrics_are_the_ones_there_are():
    families = {f.name: f for f in families_of(PrometheusObserver().registry)}
    assert {m.name.removesuffix("_total"): m.kind for m in METRICS} == {
        name: family.kind for name, family in families.items()
    }


def test_one_registry_has_one_observer_and_may_be_the_programs_own():
    registry = CollectorRegistry()
    Counter("requests", "Mine.", registry=registry).inc()
    observer = PrometheusObserver(registry)
    assert observer.registry is registry
    assert samples(generate_latest(registry).decode())["requests_total"] == 1
    with pytest.raises(ConfigurationError, match="one observer may serve several workers"):
        PrometheusObserver(registry)


def test_without_the_extra_the_error_names_the_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(ConfigurationError, match="pip install 'prometheus-client>="):
        PrometheusObserver()


def test_without_the_extra_the_port_opens_all_the_same(served, monkeypatch):
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with served() as (_, url):
        code, said = get(url, "/metrics")
        assert code == 501
        assert "/metrics needs prometheus-client: pip install" in said
        assert get(url, "/livez").status == 200
        assert get(url, "/status").status == 200


def test_the_port_serves_the_programs_own_registry(served, recorder, quick_swf):
    registry = CollectorRegistry()
    Gauge("queue_depth", "Mine.", registry=registry).set(3)
    observer = PrometheusObserver(registry)
    worker = ActivityWorker(
        domain="tests",
        task_list="tasks",
        activities=[work],
        endpoint_url=quick_swf.endpoint_url,
        observers=[recorder, observer],
        health_port=0,
    )
    quick_swf.register(worker)
    with worker:
        url = recorder.wait_for(told.HealthServed)[0].url
        quick_swf.schedule("Work", "1", "x").outcome()
        recorder.wait_for(TaskEnded)
        found = {}

        def counted():
            found.update(samples(get(url, "/metrics").text))
            series = "swf_worker_activities_total{activity_type=Work/1,outcome=completed}"
            return found.get(series) == 1

        assert eventually(counted)
        assert any(name.startswith("queue_depth") for name in found)


def test_several_processes_are_one_target():
    parts = []
    for pid, oldest in (("1", 5.0), ("2", 9.0)):
        registry = CollectorRegistry()
        Counter("swf_worker_x", "Counted.", ["kind"], registry=registry).labels("a").inc(2)
        Gauge("swf_worker_slots", "Slots.", registry=registry).set(10)
        Gauge("swf_worker_oldest_task_seconds", "Oldest.", registry=registry).set(oldest)
        Gauge("mine", "Whose?", ["process"], registry=registry).labels("my own").set(7)
        parts.append((pid, families_of(registry)))
    from swf_worker.instrumentation.metrics import COMBINED

    found = samples(exposition(combined(parts, COMBINED))[0].decode())
    assert found == {
        "swf_worker_x_total{kind=a}": 4,
        "swf_worker_slots": 20,
        "swf_worker_oldest_task_seconds": 9,
        "mine{exported_process=my own,process=1}": 7,
        "mine{exported_process=my own,process=2}": 7,
    }
    alone = samples(exposition(combined([("", parts[0][1])], COMBINED))[0].decode())
    assert alone["mine{process=my own}"] == 7, "one process needs no label"


def test_loop_lag_is_told_while_the_loop_is_blocked(make_worker, quick_swf, recorder):
    free = threading.Event()

    @activity(name="Blocks", version="1")
    async def blocks():
        free.wait(20)

    observer = PrometheusObserver()
    worker = make_worker(blocks)
    worker.configure({"observers": [recorder, observer]})
    with worker:
        scheduled = quick_swf.schedule("Blocks", "1")
        assert eventually(lambda: scraped(observer)["swf_worker_event_loop_lag_seconds"] > 0.3)
        free.set()
        scheduled.outcome()
