"""The benchmarks run, and what they hold a promise for is held."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest


def scale(tasks, interval, seconds):
    command = [sys.executable, "-m", "benchmarks.scale", "--tasks", str(tasks)]
    command += ["--interval", str(interval), "--seconds", str(seconds)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def test_hundreds_of_async_activities_beat_in_time():
    figures = scale(500, 2, 3)
    assert figures["answered"] == 500
    assert figures["beats"] >= 500
    assert figures["threads"] < 128


@pytest.mark.full
@pytest.mark.timeout(300)
def test_ten_thousand_async_activities_at_once(record_property):
    figures = scale(10_000, 30, 65)
    record_property(
        "figure",
        "10,000 async activities, 30 s interval: latest beat {late_max:.2f} s late, "
        "{megabytes:.0f} MB, {threads:.0f} threads, {cores:.2f} of a core".format(**figures),
    )
    assert figures["answered"] == 10_000
    assert figures["beats"] >= 20_000
    assert figures["late_max"] < 15
    assert figures["megabytes"] < 250
    assert figures["threads"] < 128
