"""Throughput against a hand-written boto3 loop: same service, same concurrency, same run.

    .venv/bin/python benchmarks/throughput.py [TASKS] [CONCURRENCY] [ROUNDS]

The local SWF runs in a process of its own; each round times both, in turn, and prints the ratio.
"""

from __future__ import annotations

import itertools
import statistics
import subprocess
import sys
import threading
import time
from typing import Any

import boto3
import structlog
from botocore.config import Config

from swf_worker import ActivityWorker, Observation, activity
from swf_worker.observations import TaskEnded

DOMAIN, WORKFLOWS = "bench", itertools.count()


def client(url: str) -> Any:
    session = boto3.Session(
        aws_access_key_id="x", aws_secret_access_key="y", region_name="us-east-1"
    )
    return session.client(
        "swf", endpoint_url=url, config=Config(read_timeout=90, max_pool_connections=64)
    )


def set_up(swf: Any) -> None:
    swf.register_domain(name=DOMAIN, workflowExecutionRetentionPeriodInDays="1")
    swf.register_workflow_type(
        domain=DOMAIN,
        name="Flow",
        version="1",
        defaultTaskList={"name": "decide"},
        defaultChildPolicy="TERMINATE",
        defaultTaskStartToCloseTimeout="NONE",
        defaultExecutionStartToCloseTimeout="86400",
    )
    swf.register_activity_type(
        domain=DOMAIN,
        name="Work",
        version="1",
        defaultTaskHeartbeatTimeout="60",
        defaultTaskScheduleToCloseTimeout="NONE",
        defaultTaskScheduleToStartTimeout="NONE",
        defaultTaskStartToCloseTimeout="NONE",
    )


def schedule(swf: Any, count: int, task_list: str) -> None:
    for start in range(0, count, 500):
        swf.start_workflow_execution(
            domain=DOMAIN,
            workflowId=f"w{next(WORKFLOWS)}",
            workflowType={"name": "Flow", "version": "1"},
        )
        decision = swf.poll_for_decision_task(domain=DOMAIN, taskList={"name": "decide"})
        swf.respond_decision_task_completed(
            taskToken=decision["taskToken"],
            decisions=[
                {
                    "decisionType": "ScheduleActivityTask",
                    "scheduleActivityTaskDecisionAttributes": {
                        "activityId": f"a{number}",
                        "input": '{"page":1}',
                        "activityType": {"name": "Work", "version": "1"},
                        "taskList": {"name": task_list},
                    },
                }
                for number in range(start, min(start + 500, count))
            ],
        )


def by_hand(url: str, count: int, concurrency: int, task_list: str) -> float:
    """What people write: threads that poll, work and respond."""
    left, lock = [count], threading.Lock()
    swf = client(url)

    def loop() -> None:
        while left[0] > 0:
            task = swf.poll_for_activity_task(domain=DOMAIN, taskList={"name": task_list})
            if task.get("taskToken"):
                swf.respond_activity_task_completed(
                    taskToken=task["taskToken"], result='{"page":1}'
                )
                with lock:
                    left[0] -= 1

    began = time.perf_counter()
    threads = [threading.Thread(target=loop) for _ in range(concurrency)]
    for thread in threads:
        thread.start()
    while left[0] > 0:
        time.sleep(0.001)
    took = time.perf_counter() - began
    for thread in threads:
        thread.join()
    return count / took


@activity(name="Work", version="1", heartbeat_timeout=60)
def work(page: int) -> dict[str, int]:
    return {"page": page}


class Done:
    def __init__(self, count: int) -> None:
        self.left = count
        self.all = threading.Event()

    def observe(self, record: Observation) -> None:
        if isinstance(record, TaskEnded):
            self.left -= 1
            if self.left <= 0:
                self.all.set()


def by_worker(url: str, count: int, concurrency: int, task_list: str) -> float:
    done = Done(count)
    worker = ActivityWorker(
        domain=DOMAIN,
        task_list=task_list,
        activities=[work],
        endpoint_url=url,
        observers=[done],
        max_concurrent_activities=concurrency,
        max_concurrent_polls=concurrency,
    )
    began = time.perf_counter()
    worker.start()
    done.all.wait()
    took = time.perf_counter() - began
    worker.stop()
    return count / took


def main() -> None:
    count, concurrency, rounds = (
        int(n) for n in (sys.argv[1:] + ["2000", "10", "5"][len(sys.argv) - 1 :])
    )
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(20),
        logger_factory=structlog.PrintLoggerFactory(open("/dev/null", "w")),  # noqa: SIM115
    )
    dev = subprocess.Popen(
        [sys.executable, "-m", "swf_worker", "dev", "--poll-hold", "0.5"],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert dev.stdout is not None
        url = dev.stdout.readline().split()[-1]
        swf = client(url)
        set_up(swf)
        ratios, costs = [], []
        for number in range(rounds):
            rates, cpu = [], []
            for name, run in (("hand", by_hand), ("worker", by_worker)):
                task_list = f"{name}-{number}"
                schedule(swf, count, task_list)
                began = time.process_time()
                rates.append(run(url, count, concurrency, task_list))
                cpu.append((time.process_time() - began) / count * 1000)
            ratios.append(rates[1] / rates[0])
            costs.append(cpu[0] / cpu[1])
            print(
                f"by hand {rates[0]:5.0f}/s {cpu[0]:.2f} ms CPU a task   "
                f"worker {rates[1]:5.0f}/s {cpu[1]:.2f} ms   "
                f"throughput {ratios[-1]:.2f}   per CPU {costs[-1]:.2f}"
            )
        print(
            f"median throughput ratio {statistics.median(ratios):.2f}, "
            f"per CPU {statistics.median(costs):.2f} ({concurrency} threads, {count} tasks)"
        )
    finally:
        dev.terminate()
        dev.wait()


if __name__ == "__main__":
    main()
