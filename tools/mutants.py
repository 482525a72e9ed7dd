"""Plants defects in the state machine, one at a time; a test must fail for each.

make mutants
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MACHINE = "swf_worker/core/execution.py"
LIFECYCLE = "swf_worker/core/lifecycle.py"

# What is planted, where, the code it replaces, and what replaces it.
MUTANTS = [
    (
        "Canceled without a request",
        MACHINE,
        "    if state.requested:\n        return Canceled(details)",
        "    if state.causes:\n        return Canceled(details)",
    ),
    (
        "an answer after the task closed",
        MACHINE,
        "    if state.closed:\n        return _end(state, Disposition.CLOSED)\n    return replace(state, phase",
        "    return replace(state, phase",
    ),
    (
        "a cancel request beats a finished result",
        MACHINE,
        "        case HandlerReturned(outcome) | HandlerFailed(outcome):",
        "        case HandlerReturned(outcome) if state.requested:\n"
        "            return _decide(state, Canceled())\n"
        "        case HandlerReturned(outcome) | HandlerFailed(outcome):",
    ),
    (
        "a different answer after an ambiguous attempt",
        MACHINE,
        "not isinstance(state.answer, Completed) or state.ambiguous",
        "not isinstance(state.answer, Completed)",
    ),
    (
        "ambiguity is forgotten",
        MACHINE,
        "ambiguous=state.ambiguous or ambiguous",
        "ambiguous=ambiguous",
    ),
    (
        "a later flag thaws the decision",
        MACHINE,
        "    return state, _NOTHING  # frozen: no later flag changes the decision",
        "    if event == StopCause(CancelReason.REQUESTED):\n"
        "        return replace(state, answer=Canceled()), _NOTHING\n"
        "    return state, _NOTHING",
    ),
    (
        "a closed task ends an answer in flight",
        MACHINE,
        "            return _silenced(replace(state, causes=state.causes | {CancelReason.TASK_CLOSED}))",
        "            return _end(state, Disposition.LATE)",
    ),
    (
        "a cancel request kills unasked",
        MACHINE,
        "    return reason is not CancelReason.REQUESTED or policy.cancel_kills",
        "    return True",
    ),
    (
        "a thread is answered at its deadline",
        MACHINE,
        "    state, silence = _silenced(state)\n    return state, (*asked, *silence, ReportStuck())",
        "    return _decide(state, _failure(state, CancelReason.TIMED_OUT))",
    ),
    (
        "beats go on after the end",
        MACHINE,
        "    silence = (StopBeats(),) if state.beating else _NOTHING\n",
        "    silence = _NOTHING\n",
    ),
    (
        "beats stop when the answer is decided",
        MACHINE,
        "    return replace(state, phase=Phase.SENDING, answer=outcome), (Send(outcome),)",
        "    return replace(state, phase=Phase.SENDING, answer=outcome, beating=False), "
        "(StopBeats(), Send(outcome))",
    ),
    (
        "an accepted answer is sent again",
        MACHINE,
        "case Redelivered() if state.answer and state.disposition is not Disposition.ACCEPTED:",
        "case Redelivered() if state.answer:",
    ),
    (
        "each cause asks again and again",
        MACHINE,
        "    if reason in state.causes:\n        return state, _NOTHING\n",
        "",
    ),
    (
        "shutdown is reported as canceled",
        MACHINE,
        "    if state.first is not None:\n        return _failure(state, state.first)",
        "    if state.first is not None:\n        return Canceled(details)",
    ),
    (
        "a retry changes nothing and is lost",
        MACHINE,
        "            return replace(state, phase=Phase.SENDING), (Send(state.answer),)",
        "            return replace(state, phase=Phase.SENDING), _NOTHING",
    ),
    (
        "an exit kills nothing and answers nothing",
        MACHINE,
        "    return _decide(state, _failure(state, CancelReason.WORKER_SHUTDOWN))\n\n\ndef _refused",
        "    return state, _NOTHING\n\n\ndef _refused",
    ),
    (
        "open polls are cut at the drain's end",
        LIFECYCLE,
        "    if state.timer_over and state.polls == 0:",
        "    if state.timer_over:",
    ),
    (
        "a stop ends with tasks still open",
        LIFECYCLE,
        "    if state.polls == 0 and state.tasks == 0:",
        "    if state.polls == 0:",
    ),
    (
        "a second signal runs what polls still bring",
        LIFECYCLE,
        "        return self.phase in STOPPING and (self.stops >= 2 or self.phase is not Phase.DRAINING)",
        "        return False",
    ),
    (
        "a third signal is ignored",
        LIFECYCLE,
        "    if stopped.stops >= 3:",
        "    if stopped.stops >= 99:",
    ),
]


def run_tests(root: Path) -> bool:
    """Whether the core's tests pass for the package in ``root``."""
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-x",
            "-q",
            "-p",
            "no:cacheprovider",
            str(ROOT / "tests/core"),
        ],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        check=False,
    )
    return done.returncode == 0


def killed(mutant: tuple[str, str, str, str]) -> tuple[str, str]:
    name, path, old, new = mutant
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        shutil.copytree(ROOT / "swf_worker", root / "swf_worker")
        target = root / path
        code = target.read_text()
        if code.count(old) != 1:
            return name, f"NOT PLANTED: its code stands {code.count(old)} times in {path}"
        target.write_text(code.replace(old, new))
        return name, "SURVIVED" if run_tests(root) else "killed"


def main() -> int:
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        results = list(pool.map(killed, MUTANTS))
    for name, result in results:
        print(f"{result:>9}  {name}")
    dead = sum(result == "killed" for _, result in results)
    print(f"{dead} of {len(results)} mutants killed")
    return 0 if dead == len(results) else 1


if __name__ == "__main__":
    sys.exit(main())
