"""``make soak``: a fleet under random faults, kills and restarts, checked against a model.

Jobs of mixed modes are scheduled all the time. As a decider would, a job whose task was lost (it
timed out, its worker was stopped or its process died) is scheduled again, until it ends as its kind
must. The service records every answer: two different ones for a token, or a job without its end,
fail the run.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

from swf_worker.local import Canceled, Completed, Failed, Fault, FaultKind, LocalSwf, TimedOut
from swf_worker.local.operations.answering import OPERATIONS
from tests.conftest import children
from tests.proxy import Proxy
from tests.soak.workers import worker

INFRASTRUCTURE = {"WorkerShutdown", "HandlerDied"}
KINDS = ["Thread"] * 4 + ["Async"] * 4 + ["Process"] * 3 + ["Fails", "Cancels", "Dies"]
SHARES = {
    FaultKind.THROTTLED: 0.04,
    FaultKind.INTERNAL: 0.02,
    FaultKind.UNAVAILABLE: 0.02,
    FaultKind.HTML: 0.01,
    FaultKind.EMPTY: 0.01,
    FaultKind.TRUNCATED: 0.01,
    FaultKind.A_LIST: 0.01,
    FaultKind.BAD_UTF8: 0.01,
    FaultKind.PROXY_BAD_GATEWAY: 0.01,
    FaultKind.EXPIRED: 0.01,
    FaultKind.HUNG_UP: 0.02,
    FaultKind.LOST: 0.02,
}


class Answers:
    """What the service is told, for each token."""

    def __init__(self) -> None:
        self.sent: dict[str, set[str]] = {}
        self._lock = threading.Lock()
        for name in ("Completed", "Failed", "Canceled"):
            operation = f"RespondActivityTask{name}"
            OPERATIONS[operation] = self._noting(name, OPERATIONS[operation])

    def _noting(self, name: str, respond: Any) -> Any:
        def noted(request: Any) -> Any:
            given = dict(request.given)
            with self._lock:
                self.sent.setdefault(given.pop("taskToken"), set()).add(repr((name, given)))
            return respond(request)

        return noted

    @property
    def twice(self) -> int:
        """Tokens that were answered with two different answers."""
        return sum(len(answers) > 1 for answers in self.sent.values())


class Job:
    """Something that must end in one way."""

    def __init__(self, number: int, chance: random.Random) -> None:
        self.number = number
        self.kind = chance.choice(KINDS)
        self.seconds = chance.choice([0, 0.1, 0.5, 1.5])
        # Deciders override the defaults of types, upward and downward.
        self.timeouts = chance.choice(
            [
                {},
                {},
                {"heartbeat_timeout": 2},
                {"heartbeat_timeout": 8, "start_to_close_timeout": 40},
            ]
        )
        self.attempts = 0
        self.activity: Any = None
        self.canceled = False
        self.done = False
        self.wrong: str | None = None

    def begin(self, swf: LocalSwf) -> None:
        self.attempts += 1
        self.canceled = False
        given = {"number": self.number, "seconds": self.seconds}
        self.activity = swf.schedule(
            self.kind, "1", given, schedule_to_start_timeout=60, **self.timeouts
        )

    def look(self, swf: LocalSwf) -> None:
        if self.kind == "Cancels" and not self.canceled and self.activity.heartbeats:
            self.canceled = True
            self.activity.request_cancel()
        try:
            outcome = self.activity.outcome(0)
        except TimeoutError:
            return
        if outcome == self._expected() or self._died(outcome):
            self.done = True
        elif isinstance(outcome, TimedOut) or getattr(outcome, "reason", "") in INFRASTRUCTURE:
            self.begin(swf)
        else:
            self.done, self.wrong = True, f"{self.kind} {self.number}: {outcome}"

    def _expected(self) -> Any:
        if self.kind == "Fails":
            return self.activity.outcome(0) if self._failed_as_it_should() else None
        if self.kind == "Cancels":
            return Canceled(f'{{"number":{self.number}}}')
        return Completed(str(self.number * 2))

    def _failed_as_it_should(self) -> bool:
        outcome = self.activity.outcome(0)
        if not isinstance(outcome, Failed) or outcome.reason != "Expected":
            return False
        return bool(json.loads(outcome.details or "{}")["details"] == {"number": self.number})

    def _died(self, outcome: Any) -> bool:
        died = isinstance(outcome, Failed) and outcome.reason == "HandlerDied"
        return self.kind == "Dies" and died and '"exit":7' in (outcome.details or "")


class Fleet:
    """Two supervised workers that are killed and restarted, and a veteran that is left alone."""

    def __init__(self, url: str, chance: random.Random) -> None:
        self._url = url
        self._chance = chance
        self.restarts: Counter[str] = Counter()
        self.codes: Counter[int] = Counter()
        self.veteran = self._start("--max-concurrent-activities", "8")
        self.supervised = [self._start("--processes", "2") for _ in range(2)]

    def _start(self, *flags: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "swf_worker", "run", "tests.soak.workers:worker"]
        command += ["--endpoint-url", self._url, "--log-level", "error", *flags]
        return subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )

    def disturb(self) -> None:
        """One random misfortune."""
        place = self._chance.randrange(len(self.supervised))
        process = self.supervised[place]
        what = self._chance.choice(["deploy", "kill worker", "kill handler", "kill handler"])
        workers = children(process.pid)
        if what == "deploy":
            process.send_signal(signal.SIGTERM)
            fresh = self._start("--processes", "2")
            self.codes[process.wait()] += 1
            self.supervised[place] = fresh
        elif workers:
            victim = self._chance.choice(workers)
            if what == "kill handler":
                handlers = children(victim)
                victim = self._chance.choice(handlers) if handlers else 0
            if victim:
                with suppress(ProcessLookupError):
                    os.kill(victim, signal.SIGKILL)
        self.restarts[what] += 1

    def stop(self) -> None:
        processes = [self.veteran, *self.supervised]
        for process in processes:
            process.send_signal(signal.SIGTERM)
        for process in processes:
            self.codes[process.wait(120)] += 1


def vital(pid: int) -> dict[str, int]:
    """Memory (KB), threads and descriptors of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = {name: int(re.search(rf"{name}:\s+(\d+)", status)[1]) for name in ("VmRSS", "Threads")}
    return found | {"descriptors": len(list(Path(f"/proc/{pid}/fd").iterdir()))}


def flow(
    seconds: float, swf: LocalSwf, proxy: Proxy, fleet: Any, rate: float, chance: random.Random
) -> list[Job]:
    """Schedule and disturb for so long, then let all jobs end."""
    began = time.monotonic()
    next_job = next_disturbance = next_cut = began
    jobs: list[Job] = []
    open_jobs: list[Job] = []
    while (now := time.monotonic()) < began + seconds or open_jobs:
        if now < began + seconds:
            if now >= next_job and len(open_jobs) < 100:
                next_job = now + 1 / rate
                job = Job(len(jobs), chance)
                job.begin(swf)
                jobs.append(job)
                open_jobs.append(job)
            if now >= next_disturbance:
                next_disturbance = now + 5
                threading.Thread(target=fleet.disturb, daemon=True).start()
            if now >= next_cut:
                next_cut = now + 7
                proxy.cut()
        else:
            swf.set_faults([])
        if now > began + seconds + 180:
            break
        for job in list(open_jobs):
            job.look(swf)
            if job.done:
                open_jobs.remove(job)
        time.sleep(0.02)
    return jobs


def soak(seconds: float, rate: float, seed: int) -> dict[str, Any]:
    """Run it; the figures."""
    chance = random.Random(seed)
    faults = [Fault("*", kind, share=share) for kind, share in SHARES.items()]
    with LocalSwf(poll_hold=3) as swf, Proxy(swf.endpoint_url) as proxy:
        swf.register(worker)
        answers = Answers()
        fleet = Fleet(proxy.url, chance)
        try:
            flow(5, swf, proxy, _Calm(), rate, chance)  # warm
            early = vital(fleet.veteran.pid)
            swf.set_faults(faults)
            jobs = flow(seconds, swf, proxy, fleet, rate, chance)
            late = vital(fleet.veteran.pid)
        finally:
            fleet.stop()
        return {
            "tasks": len(jobs),
            "attempts": sum(job.attempts for job in jobs),
            "kinds": Counter(job.kind for job in jobs),
            "injected": {kind.value: n for kind, n in swf.injected.items()},
            "disturbances": fleet.restarts,
            "exit codes": fleet.codes,
            "lost": sum(not job.done for job in jobs),
            "wrong": [job.wrong for job in jobs if job.wrong],
            "answered twice": answers.twice,
            "veteran": {name: [early[name], late[name]] for name in early},
            "flat": is_flat(early, late),
        }


def is_flat(early: dict[str, int], late: dict[str, int]) -> bool:
    """Pools may still fill; nothing may grow with the number of tasks."""
    return (
        late["VmRSS"] < early["VmRSS"] * 1.3 + 20_000
        and late["Threads"] <= early["Threads"] + 16
        and late["descriptors"] <= early["descriptors"] + 32
    )


class _Calm:
    def disturb(self) -> None: ...


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=180.0)
    parser.add_argument("--rate", type=float, default=6.0, help="tasks a second")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    given = parser.parse_args()
    figures = soak(given.seconds, given.rate, given.seed)
    print(json.dumps(figures | {"seed": given.seed}, indent=1))
    broken = figures["lost"] or figures["wrong"] or figures["answered twice"]
    sys.exit(bool(broken or not figures["flat"]))
