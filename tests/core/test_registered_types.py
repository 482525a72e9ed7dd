"""Types as they are registered, as the code has them, and how often their tasks beat."""

from __future__ import annotations

import pytest

from swf_worker import activity
from swf_worker.core.heartbeats import interval_registered, interval_set
from swf_worker.core.registered_types import (
    RegisteredType,
    drifts,
    read_described,
    registration,
    seconds,
)
from swf_worker.definition import define, mark_of


def defined(**options):
    @activity(name="Archive", version="1.0", **options)
    def archive() -> None: ...

    return define(archive, mark_of(archive), None)


EVERYTHING = {
    "heartbeat_timeout": 30,
    "start_to_close_timeout": "NONE",
    "schedule_to_start_timeout": 60,
    "schedule_to_close_timeout": 3600,
    "default_task_list": "files",
    "description": "puts folders away",
}
MEMBERS = {
    "name": "Archive",
    "version": "1.0",
    "defaultTaskHeartbeatTimeout": "30",
    "defaultTaskStartToCloseTimeout": "NONE",
    "defaultTaskScheduleToStartTimeout": "60",
    "defaultTaskScheduleToCloseTimeout": "3600",
    "defaultTaskList": {"name": "files"},
    "description": "puts folders away",
}


def test_a_type_is_registered_with_what_the_code_says_and_nothing_else():
    assert registration(defined(**EVERYTHING)) == MEMBERS
    assert registration(defined()) == {"name": "Archive", "version": "1.0"}


def test_what_was_registered_so_has_not_drifted():
    definition = defined(**EVERYTHING)
    registered = read_described(
        {"typeInfo": {"status": "REGISTERED"}, "configuration": registration(definition)}
    )
    assert drifts(definition, registered) == []
    assert not registered.deprecated
    assert registered.seconds("heartbeat_timeout") == 30
    assert registered.seconds("start_to_close_timeout") is None


def test_each_default_may_drift():
    definition = defined(heartbeat_timeout=60, default_task_list="files")
    registered = RegisteredType(defaults={"heartbeat_timeout": "30", "start_to_close_timeout": "9"})
    assert [str(each) for each in drifts(definition, registered)] == [
        "heartbeat_timeout is registered as 30, the code says 60",
        "default_task_list is not registered, the code says files",
    ]


def test_what_the_code_leaves_open_is_as_it_is_registered():
    assert drifts(defined(), RegisteredType(defaults={"heartbeat_timeout": "30"})) == []


@pytest.mark.parametrize(
    "answer", [{}, {"typeInfo": 5, "configuration": []}, {"configuration": {"defaultTaskList": 1}}]
)
def test_an_answer_of_other_types_tells_nothing(answer):
    assert read_described(answer) == RegisteredType()


def test_a_deprecated_type_is_told():
    assert read_described({"typeInfo": {"status": "DEPRECATED"}}).deprecated


def test_seconds():
    assert [seconds(each) for each in (None, "NONE", "x", "30", 5)] == [None, None, None, 30, 5]


@pytest.mark.parametrize(
    ("options", "of_worker", "interval"),
    [
        ({}, None, None),
        ({"heartbeat_interval": 7}, 5, 7),
        ({"heartbeat_timeout": 30}, None, 10),
        ({"heartbeat_timeout": 30}, 20, 10),
        ({"heartbeat_timeout": 30}, 5, 5),
        ({"heartbeat_timeout": "NONE"}, None, 60),
        ({"heartbeat_timeout": "NONE"}, 20, 20),
    ],
)
def test_the_interval_that_is_set(options, of_worker, interval):
    assert interval_set(defined(**options), of_worker) == interval


def test_the_interval_of_what_is_registered():
    assert interval_registered(30) == 10
    assert interval_registered(None) == 60
