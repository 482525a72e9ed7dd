"""What a worker is given wrong, and starts that fail."""

from __future__ import annotations

import pytest

from swf_worker import (
    ActivityWorker,
    ConfigurationError,
    activity,
)
from tests.worker.wired import work


class NoHandler:
    pass


@pytest.mark.parametrize("how", ["plain", "async"])
def test_after_a_failed_start_nothing_hangs(make_worker, how):
    class Broken(ActivityWorker):
        if how == "plain":

            def on_start(self):
                raise ValueError("no database")
        else:

            async def on_start(self):
                raise ValueError("no database")

        @activity(name="Async", version="1")
        async def work(self): ...

    worker = make_worker(kind=Broken)
    with pytest.raises(ValueError, match="no database"):
        worker.start()
    assert worker.wait(5)
    assert worker.stop() == []


def test_a_mark_without_its_version_or_parentheses_says_how():
    worker = ActivityWorker(domain="d", task_list="t", activities=[work])
    for marking in (activity, worker.activity):
        with pytest.raises(ConfigurationError, match=r'@activity\(version="1.0"\)'):
            marking(lambda: None)
        with pytest.raises(ConfigurationError, match="needs a version"):
            marking(name="Name")(lambda: None)
    with pytest.raises(ConfigurationError, match="a class can't be a handler"):
        worker.activity(version="1")(NoHandler)


def test_a_forgotten_super_init_is_named():
    class Forgetful(ActivityWorker):
        def __init__(self):
            pass

    with pytest.raises(ConfigurationError, match=r"super\(\).__init__"):
        Forgetful().start()


@pytest.mark.parametrize(
    "options",
    [
        {"activities": 5},
        {"wrappers": 5},
        {"observers": 5},
        {"endpoint_url": 5},
        {"session": "x"},
        {"region_name": 5},
        {"failure_tracebacks": "no"},
        {"client_config": {}},
    ],
    ids=lambda value: next(iter(value)),
)
def test_options_of_wrong_types_are_refused_by_name(options):
    with pytest.raises(ConfigurationError, match=next(iter(options))):
        ActivityWorker(**{"domain": "d", "task_list": "t", "activities": [work]} | options)
