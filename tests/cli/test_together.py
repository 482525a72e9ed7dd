"""Several workers that stop together: ``run_workers``, several targets."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading

import pytest

from swf_worker import ActivityWorker, ConfigurationError, activity, run_workers
from swf_worker.local import Completed
from tests.cli import workers
from tests.cli.test_run import ended, once, running
from tests.cli.together import FLEET, logged
from tests.conftest import children, eventually
from tests.wire import Wire, fault

OTHER = "tests.cli.workers:other"


def test_several_targets_run_and_stop_together(swf):
    long = swf.schedule("UntilStop", "1")
    with running(FLEET, OTHER, swf=swf) as process:
        long.wait_for_heartbeats()
        elsewhere = swf.schedule("Pid", "1", task_list="others").outcome()
        assert elsewhere == Completed(str(process.pid))
        process.terminate()
        code, _, err = ended(process)
    assert code == 0
    assert long.outcome() == Completed('"drained"')
    assert {line["task_list"] for line in logged(err, "worker stopped")} == {"tasks", "others"}


def test_they_stop_together_with_the_longest_drain(swf):
    """A worker with drain_timeout=0 waits for the other's drain: the process lives anyway."""
    script = (
        "import sys\n"
        "from swf_worker import ActivityWorker, run_workers\n"
        "from tests.cli.workers import pid, until_stop\n"
        "def worker(task_list, drain, *activities):\n"
        "    return ActivityWorker(domain='tests', task_list=task_list, drain_timeout=drain,\n"
        "        activities=activities, endpoint_url=sys.argv[1], cancel_grace=0.1)\n"
        "quick = worker('others', 0, pid)\n"
        "slow = worker('tasks', 30, until_stop)\n"
        "sys.exit(run_workers([quick, slow]))\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, swf.endpoint_url], stderr=subprocess.PIPE, text=True
    ) as process:
        patient = swf.schedule("Pid", "1", 2.0, task_list="others")
        patient.wait_for_heartbeats()
        process.terminate()
        _, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    assert patient.outcome() == Completed(str(process.pid)), "nothing was stopped sooner"


def test_a_fatal_error_of_one_ends_all_and_is_raised(swf):
    with Wire(
        PollForActivityTask=[fault("UnknownResourceFault", "Unknown domain: nowhere")],
        DescribeActivityType=[fault("UnknownResourceFault", "Unknown domain: nowhere")],
    ) as refusing:
        script = (
            "import sys\n"
            "from swf_worker import ActivityWorker, run_workers, SwfWorkerError\n"
            "from tests.cli.workers import pid\n"
            "good = ActivityWorker(domain='tests', task_list='others', activities=[pid],\n"
            "    endpoint_url=sys.argv[1])\n"
            "bad = ActivityWorker(domain='nowhere', task_list='t', activities=[pid],\n"
            "    endpoint_url=sys.argv[2])\n"
            "try:\n    run_workers([good, bad])\n"
            "except SwfWorkerError as error:\n    sys.exit(f'{type(error).__name__}: {error}')\n"
        )
        command = [sys.executable, "-c", script, swf.endpoint_url, refusing.url]
        done = subprocess.run(command, stderr=subprocess.PIPE, text=True, timeout=30)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("UnknownResourceFault: PollForActivityTask")


def test_a_start_that_fails_ends_the_workers_that_were_started_before():
    said = []

    class First(ActivityWorker):
        def on_start(self):
            said.append("started")

        def on_stop(self):
            said.append("stopped")

    class Second(ActivityWorker):
        def on_start(self):
            raise OSError("no database")

    reach = {"domain": "d", "activities": [workers.pid], "endpoint_url": "http://127.0.0.1:9"}
    with pytest.raises(OSError, match="no database"):
        run_workers([First(task_list="a", **reach), Second(task_list="b", **reach)])
    assert said == ["started", "stopped"]


def test_rivals_for_one_task_list_are_refused():
    with pytest.raises(ConfigurationError, match="with different handlers"):
        run_workers([workers.fleet, workers.rival])
    with pytest.raises(ConfigurationError, match="same worker twice"):
        run_workers([workers.fleet, workers.fleet])
    with pytest.raises(ConfigurationError, match="a list of workers"):
        run_workers([])
    code, _, err = once(FLEET, FLEET)
    assert (code, "given twice" in err) == (2, True)
    code, _, err = once(FLEET, "tests.cli.workers:rival")
    assert code == 1
    assert "one worker all the handlers" in err


def test_lists_of_activities_become_one_worker(swf):
    lists = ["tests.cli.workers:ACTIVITIES", "tests.cli.together:MORE"]
    with running(*lists, "--domain", "tests", "--task-list", "tasks", swf=swf) as process:
        assert swf.schedule("Quick", "1", 4).outcome() == Completed(
            f'{{"page":4,"pid":{process.pid}}}'
        )
        assert swf.schedule("Pid", "1").outcome() == Completed(str(process.pid))
        process.terminate()
        assert ended(process)[0] == 0


def test_sigusr1_logs_the_running_tasks_and_all_stacks(swf):
    scheduled = swf.schedule("Deaf", "1", heartbeat_timeout=5)
    with running(FLEET, "--drain-timeout", "0", swf=swf) as process:
        scheduled.wait_for_heartbeats()
        process.send_signal(signal.SIGUSR1)
        process.send_signal(signal.SIGUSR1)
        scheduled.wait_for_heartbeats(scheduled.heartbeats + 2)  # and goes on
        process.terminate()
        code, _, err = ended(process)
    assert code == 0
    report = logged(err, "worker report")[0]
    assert (report["phase"], report["tasks"]) == ("running", 1)
    task = logged(err, "running task")[0]
    assert task["workflow_id"] == scheduled.workflow_id
    assert "time.sleep(60)" in task["stack"]
    names = {line["name"] for line in logged(err, "thread")}
    assert {"MainThread", "swf-worker-slot-1", "swf-worker-scheduler"} <= names


def test_a_worker_process_never_takes_itself_for_a_supervisor(swf):
    """Whatever the arguments or the environment say: it would start processes without end."""
    arguments = ["--endpoint-url", swf.endpoint_url, "--processes", "1", "--", FLEET]
    with running(*arguments, SWF_WORKER_PROCESSES="2") as process:
        pid = int(swf.schedule("Pid", "1").outcome().result)
        assert children(process.pid) == [pid]
        assert children(pid) == []
        process.terminate()
        assert ended(process)[0] == 0


@pytest.mark.parametrize("trouble", ["no handlers", "no region", "no super"])
def test_a_set_up_that_fails_ends_the_workers_before_it(trouble, monkeypatch):
    for name in ("AWS_DEFAULT_REGION", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    stopped = []

    class Good(ActivityWorker):
        def on_stop(self):
            stopped.append(True)

    class NoSuper(ActivityWorker):
        def __init__(self):
            pass

    local = {"domain": "d", "endpoint_url": "http://127.0.0.1:9"}
    bad = {
        "no handlers": lambda: ActivityWorker(task_list="b", **local),
        "no region": lambda: ActivityWorker(domain="d", task_list="b", activities=[workers.pid]),
        "no super": NoSuper,
    }[trouble]()
    good = Good(task_list="a", activities=[workers.pid], **local)
    with pytest.raises(ConfigurationError):
        run_workers([good, bad])
    assert stopped == ([] if trouble == "no super" else [True])


def test_a_longer_drain_asked_for_too_late_changes_nothing(swf):
    held = threading.Event()

    @activity(name="Holds", version="1", heartbeat_interval=0.2)
    def holds() -> None:
        held.wait(30)

    worker = ActivityWorker(
        domain="tests",
        task_list="holds",
        activities=[holds],
        endpoint_url=swf.endpoint_url,
        cancel_grace=0.5,
    )
    swf.register(worker)
    with worker:
        scheduled = swf.schedule("Holds", "1")
        scheduled.wait_for_heartbeats()
        asking = threading.Thread(target=worker.stop, args=(0,))
        asking.start()
        assert eventually(lambda: worker._running.driver.state.phase.value == "asking")
        assert [task.activity_id for task in worker.stop(100)] == ["activity-1"]
        asking.join()
        held.set()
