"""Workflows of simpleflow's for its own decider and worker: a marker, a timer, a signal and a
child, whose activity the worker does. At its end the parent prints one line: what it has read."""

import json

from simpleflow import Workflow, activity, futures

DECISIONS, TASKS = "family-decisions", "family-tasks"


@activity.with_attributes(version="1", task_list=TASKS)
def double(number):
    return number * 2


class Child(Workflow):
    name = "simpleflow_family.Child"
    version = "1"
    task_list = DECISIONS

    def run(self, number):
        return self.submit(double, number).result


class Family(Workflow):
    name = "simpleflow_family.Family"
    version = "1"
    task_list = DECISIONS

    def run(self, number):
        self.submit(self.record_marker("begun", {"number": number}))
        timer = self.submit(self.start_timer("soon", 1))
        child = self.submit(Child, number)
        told = self.submit(self.wait_signal("go"))
        futures.wait(timer, child, told)
        read = {
            "child": child.result,
            "signal": told.result,
            "marker": [each.details for each in self.list_markers()],
        }
        print(json.dumps(read), flush=True)
        return read
