"""Fixtures of the workers' tests."""

from __future__ import annotations

import pytest


@pytest.fixture
def run(quick_swf, make_worker):
    """Runs a worker of some handlers, and schedules."""
    workers = []

    def started(*activities, **options):
        worker = make_worker(*activities, **options)
        worker.start()
        workers.append(worker)
        return quick_swf

    yield started
    for worker in workers:
        worker.stop(0)
