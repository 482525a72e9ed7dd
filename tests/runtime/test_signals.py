"""What signals request of a process, and how often the same one counts."""

from __future__ import annotations

import faulthandler
import os
import signal

import pytest

from swf_worker.runtime.stopping import signals
from swf_worker.runtime.stopping.signals import SAME_SIGNAL, ControlRequest, signal_inbox


class Clock:
    time = 1000.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(signals, "now", made)
    return made


@pytest.fixture(autouse=True)
def of_no_use_to_the_program():
    """Under nohup, SIGHUP is ignored; another test may have had faulthandler take SIGUSR1."""
    faulthandler.unregister(signal.SIGUSR1)
    before = {each: signal.signal(each, signal.SIG_DFL) for each in (signal.SIGHUP, signal.SIGUSR1)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def sent(inbox, *numbers):
    requested = []
    for number in numbers:  # one after the other has arrived: the kernel makes one of two that wait
        os.kill(os.getpid(), number)
        requested += inbox.take()
    return requested


STOP = ControlRequest.STOP


def test_the_same_signal_again_within_a_second_counts_once(clock):
    with signal_inbox() as inbox:
        assert sent(inbox, signal.SIGTERM, signal.SIGTERM, signal.SIGTERM) == [STOP]
        clock.time += SAME_SIGNAL
        assert sent(inbox, signal.SIGTERM) == [STOP]


def test_another_signal_is_another_step(clock):
    with signal_inbox() as inbox:
        assert sent(inbox, signal.SIGTERM, signal.SIGINT) == [STOP, STOP]


def test_a_hangup_right_behind_another_stop_is_none(clock):
    """systemd sends both."""
    with signal_inbox() as inbox:
        assert sent(inbox, signal.SIGTERM, signal.SIGHUP) == [STOP]
        clock.time += SAME_SIGNAL
        assert sent(inbox, signal.SIGHUP) == [STOP]


def test_a_report_is_no_stop(clock):
    with signal_inbox() as inbox:
        assert sent(inbox, signal.SIGUSR1) == [ControlRequest.REPORT]
        assert not inbox.stopped
