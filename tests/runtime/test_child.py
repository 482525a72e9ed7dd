"""The code inside a handler process, on a pipe of the test's."""

from __future__ import annotations

import socket

import pytest
import structlog

from swf_worker import ActivityContext, ActivityTask, ActivityType, JsonConverter, activity
from swf_worker.definition import mark_of
from swf_worker.runtime.children import wire
from swf_worker.runtime.children.child import HandlerProcess
from swf_worker.runtime.children.setup import ChildSetup, pickled_or_refused
from swf_worker.task import WorkflowExecution

TASK = ActivityTask(
    "token", "activity-1", ActivityType("Asks", "1"), WorkflowExecution("w", "r"), 5, None
)


@activity(name="Asks", version="1")
def asks(context: ActivityContext) -> list[str | bool | None]:
    return [context.should_stop, context.cancel_reason, context.worker_stopping]


@pytest.fixture
def pipe():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs
    # A child sends its log through the pipe, and ends with it: this process is none.
    structlog.reset_defaults()


def test_what_comes_right_behind_a_task_reaches_its_handler(pipe):
    """The main thread has not begun with it yet: an Ask must not fall between the two."""
    ours, theirs = pipe
    setup = ChildSetup([(asks, mark_of(asks), JsonConverter())], (), True, None, {})
    begin = wire.Begin([], None, None, pickled_or_refused("the setup", setup))
    ours.sendall(wire.encode(begin))
    child = HandlerProcess(theirs)
    assert child.load()
    run = wire.Run(1, 0, wire.task_text(TASK), None, worker_stopping=False)
    for frame in (run, wire.Ask(["requested"]), wire.WorkerStopping()):
        ours.sendall(wire.encode(frame))
    ours.shutdown(socket.SHUT_WR)
    for frame in child._channel.listen():
        child._hear(frame)
    child._runs.put(None)
    child.work()
    frames = wire.Frames(wire.ToWorker).feed(wire.receive(ours))
    assert [type(frame) for frame in frames] == [wire.Ready, wire.Began, wire.Returned]
    assert frames[2].result == '[true,"requested",true]'
