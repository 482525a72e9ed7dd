"""SWF promises no order among waiting tasks (recorded: SWF.md 7 [R1, R2]): another, by a seed."""

from __future__ import annotations

import subprocess
import sys

from swf_worker.local import LocalSwf, ManualClock
from tests.local.plain import Plain, client

IDS = [f"a{number}" for number in range(12)]


def handed_out(seed, *priorities):
    """The order in which tasks are handed out that were scheduled in the order of their ids."""
    with LocalSwf(poll_hold=0.3, clock=ManualClock(), shuffle=seed) as swf:
        plain = Plain(swf.client())
        plain.start()
        given = [{"taskPriority": each} for each in priorities] or [{}]
        plain.decide(*(plain.schedule(each, **given[n % len(given)]) for n, each in enumerate(IDS)))
        order = [plain.poll()["activityId"] for _ in IDS]
        assert not plain.poll().get("taskToken")
        return order


def test_without_a_seed_the_older_go_first():
    assert handed_out(None) == IDS


def test_a_seed_is_another_order_and_the_same_one_each_time():
    orders = [handed_out(seed) for seed in (0, 0, 1)]
    assert all(sorted(order) == sorted(IDS) for order in orders)
    assert orders[0] == orders[1]
    assert len({tuple(order) for order in orders} | {tuple(IDS)}) == 3


def test_priorities_still_go_first():
    order = handed_out(7, "0", "5")
    assert set(order[:6]) == set(IDS[1::2])
    assert order[:6] != IDS[1::2] or order[6:] != IDS[::2]


def test_decision_tasks_are_shuffled_too():
    with LocalSwf(poll_hold=0.3, clock=ManualClock(), shuffle=3) as swf:
        plain = Plain(swf.client())
        begun = [plain.start()["workflowId"] for _ in IDS]
        order = [plain.decide()["workflowExecution"]["workflowId"] for _ in begun]
    assert order != begun
    assert sorted(order) == sorted(begun)


def test_dev_takes_a_seed():
    command = [sys.executable, "-m", "swf_worker", "dev", "--port", "0", "--shuffle", "5"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as dev:
        swf = client(dev.stdout.readline().split()[-1])
        plain = Plain(swf)
        plain.start()
        plain.decide(*(plain.schedule(each) for each in IDS))
        order = [plain.poll()["activityId"] for _ in IDS]
        swf.close()
        dev.terminate()
        assert dev.wait(10) == 0
    assert order == handed_out(5)
