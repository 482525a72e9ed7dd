"""Fixtures of the local SWF's tests."""

from __future__ import annotations

import pytest

from swf_worker.local import LocalSwf, ManualClock
from tests.local.plain import Plain


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def swf(clock):
    with LocalSwf(poll_hold=0.3, clock=clock) as local:
        yield local


@pytest.fixture
def plain(swf):
    made = Plain(swf.client())
    made.backend = swf._backend
    return made
