"""Whatever members a request has, its answer is SWF's kind of answer: what the model says of it, or
a fault in its words. Never an error of Python's, never a 500."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swf_worker.local.operations import answering
from tests.local.world import MODEL, ODD, World, flaws, requests, settled

PYTHONS = re.compile(r"Error\b|Traceback|NoneType|object has|<class|dict\b|\bstr\b|\bint\b|File \"")
EMPTY_POLLS = {".taskToken", ".activityId", ".workflowExecution", ".activityType"} | {
    ".workflowType",
    ".events",
}
"""Absent in the answer to a poll that brings nothing."""


def told_as_swf_does(operation, status, answer):
    if status == 200:
        shape = MODEL.operation_model(operation).output_shape
        found = list(flaws(shape, answer)) if shape else [*answer]
        if operation.startswith("PollFor") and answer["startedEventId"] == 0:
            found = [each for each in found if each.removesuffix(" is absent") not in EMPTY_POLLS]
        assert not found, operation
        return
    assert status == 400, (operation, answer)
    assert re.fullmatch(r"com\.amazon[\w.]+#\w+(Exception|Fault)", answer["__type"])
    # the texts of constraints repeat what was sent
    assert not PYTHONS.search(re.sub(r"Value '.*?' at ", "", answer["message"])), answer


@st.composite
def asked(draw):
    """A few requests, one after the other."""
    operations = draw(st.lists(st.sampled_from(MODEL.operation_names), min_size=1, max_size=6))
    return [(name, draw(requests(MODEL.operation_model(name).input_shape))) for name in operations]


@settings(max_examples=200, deadline=None)
@given(asked())
def test_no_answer_shows_an_error_of_pythons(calls):
    world = World()
    try:
        for operation, members in calls:
            status, answer = world.ask(operation, settled(world, members))
            told_as_swf_does(operation, status, answer)
            world.clock.advance(1)
    finally:
        world.close()


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(MODEL.operation_names), ODD)
def test_no_nonsense_is_a_500(operation, body):
    world = World()
    try:
        told_as_swf_does(operation, *world.ask(operation, body))
    finally:
        world.close()


def test_an_error_of_the_local_swf_itself_is_a_500_that_keeps_it_to_the_log(monkeypatch, caplog):
    def broken(request):
        raise KeyError("what it is")

    monkeypatch.setitem(answering.OPERATIONS, "ListDomains", broken)
    world = World()
    try:
        status, answer = world.ask("ListDomains", {"registrationStatus": "REGISTERED"})
    finally:
        world.close()
    assert (status, answer["__type"]) == (500, "com.amazon.coral.service#InternalFailure")
    assert "KeyError" not in answer["message"]
    assert "what it is" in caplog.text


@pytest.mark.parametrize("operation", MODEL.operation_names)
def test_every_operation_is_there(operation):
    assert operation in answering.OPERATIONS
