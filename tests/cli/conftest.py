"""Fixtures of the command line's tests."""

from __future__ import annotations

import pytest

from swf_worker.local import LocalSwf
from tests.cli import workers


@pytest.fixture
def swf():
    with LocalSwf(poll_hold=0.3) as local:
        local.register(workers.other)
        local.register(workers.fleet)
        yield local
