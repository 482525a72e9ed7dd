"""What the tests of calls share."""

from __future__ import annotations

from swf_worker.outcome import Completed


def respond(service, outcome=Completed("r")):  # noqa: B008
    service.respond("token", outcome)
