"""Options and handlers settle at one moment, whatever the order in which they are given."""

from __future__ import annotations

import pytest

from swf_worker import (
    ActivityWorker,
    Completed,
    ConfigurationError,
    JsonConverter,
    TextConverter,
    activity,
)
from swf_worker.local import LocalSwf

VERSION = "1"


@activity(version=VERSION)
def listed(text: str) -> str:
    return f"{text}!"


@activity(version=VERSION, converter=JsonConverter())
def with_its_own(text: str) -> str:
    return f"{text}!"


class Subclass(ActivityWorker):
    domain = "d"
    task_list = "t"
    activities = (listed, with_its_own)

    @activity(version=VERSION)
    def method(self, text: str) -> str:
        return f"{text}!"


def test_a_converter_that_is_configured_late_reads_and_writes_for_all_that_have_none():
    worker = Subclass()

    @worker.activity(version=VERSION)
    def registered(text: str) -> str:
        return f"{text}!"

    with LocalSwf() as swf:
        worker.configure({"converter": TextConverter(), "endpoint_url": swf.endpoint_url})
        swf.register(worker)
        with worker:
            for name in ("listed", "method", "registered"):
                raw = swf.schedule(name, VERSION, raw_input="no JSON")
                assert raw.outcome() == Completed("no JSON!"), name
            own = swf.schedule("with_its_own", VERSION, "JSON")
            assert own.outcome() == Completed('"JSON!"')


def test_options_are_there_when_handlers_are_bound():
    bound = []

    class Binds(Subclass):
        def __getattribute__(self, name):
            if name == "method":
                bound.append(self.domain)
            return super().__getattribute__(name)

    Binds(domain="elsewhere")
    assert bound == ["elsewhere"]


@pytest.mark.parametrize("activities", ["", 0, False, "names"])
def test_activities_that_are_no_list_are_refused_empty_ones_too(activities):
    with pytest.raises(ConfigurationError, match="activities is"):
        ActivityWorker(domain="d", task_list="t", activities=activities)


def test_what_configure_refuses_changes_nothing():
    worker = Subclass(max_concurrent_activities=3)
    with pytest.raises(ConfigurationError, match="converter"):
        worker.configure({"converter": "none"})
    assert worker.max_concurrent_activities == 3
    assert worker.converter is None
    kinds = {type(definition.converter) for definition in worker.definitions}
    assert kinds == {JsonConverter}
    worker.configure({"drain_timeout": 7})  # nor is it remembered
    assert worker.drain_timeout == 7


@pytest.mark.parametrize(
    ("call", "meant"),
    [
        (lambda: Subclass(drain_timout=3), "drain_timeout"),
        (lambda: activity(version="1", heartbeat_timeot=3), "heartbeat_timeout"),
        (lambda: activity(versoin="1"), "version"),
        (lambda: Subclass().activity(version="1", heartbeat_timeot=3), "heartbeat_timeout"),
    ],
)
def test_a_misspelled_keyword_names_the_one_that_is_meant(call, meant):
    with pytest.raises(TypeError, match=f"unexpected keyword .* did you mean '{meant}'"):
        call()
