"""The real engine, poller, task runs and heartbeater under a virtual clock, against a service that
is a model: random schedules, and what must hold in each of them."""

from __future__ import annotations

import pytest

from tests.runtime.virtual import Simulation


@pytest.mark.parametrize("seed", range(300))
def test_random_schedules_of_the_real_shell(seed):
    Simulation(seed).run_and_check()


@pytest.mark.full
@pytest.mark.timeout(1800)
def test_ten_thousand_random_schedules():
    for seed in range(1_000, 11_000):
        Simulation(seed).run_and_check()


def test_the_simulation_reaches_what_it_is_for():
    """A property test that never cancels, retries or stops would prove nothing."""
    kinds: set[str] = set()
    for seed in range(150):
        simulation = Simulation(seed)
        simulation.run_and_check()
        kinds |= simulation.seen
    assert kinds >= {
        "Completed",
        "Canceled",
        "Failed",
        "accepted",
        "presumed_accepted",
        "late",
        "closed",
        "abandoned",
        "stopped while running",
        "ambiguous answer",
        "beat failed",
        "poll failed",
        "second signal",
        "held",
    }, kinds
