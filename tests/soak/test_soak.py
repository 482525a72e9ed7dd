"""A short soak; ``make soak`` runs long ones."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest


@pytest.mark.full
@pytest.mark.timeout(400)
def test_a_fleet_under_faults_kills_and_restarts_loses_nothing(record_property):
    command = [sys.executable, "-m", "tests.soak", "--seconds", "60"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    figures = json.loads(done.stdout[done.stdout.index("\n{") if done.stdout[0] != "{" else 0 :])
    record_property(
        "figure",
        f"soak of 60 s: {figures['tasks']} tasks in {figures['attempts']} attempts, "
        f"{sum(figures['injected'].values())} faults, {figures['disturbances']}, "
        f"lost: {figures['lost']}, answered twice: {figures['answered twice']}",
    )
    assert done.returncode == 0, figures
    assert figures["tasks"] > 100
    assert not figures["wrong"]
    assert figures["flat"], figures["veteran"]
