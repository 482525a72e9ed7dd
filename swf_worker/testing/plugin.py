"""The pytest plugin: fixtures that import what they need when they are used, and not before."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from swf_worker.local import LocalSwf

    from .environment import ActivityEnvironment


@pytest.fixture
def activity_environment() -> ActivityEnvironment:
    """An ``ActivityEnvironment``: runs a handler with no service."""
    from .environment import ActivityEnvironment

    return ActivityEnvironment()


@pytest.fixture
def local_swf() -> Iterator[LocalSwf]:
    """A running ``LocalSwf``, for one test."""
    from swf_worker.local import LocalSwf

    with LocalSwf() as swf:
        yield swf
