"""Plants defects, in the core's decisions, in the shell that drives it, in payloads, in
the journal, in what is told to operators, one at a time; a test must fail for each. Prints which.

make mutants
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tools.planted import ALL, Mutant

ROOT = Path(__file__).resolve().parent.parent
LONGEST = 600.0
"""Seconds that the tests of one mutant get."""


def failing_test(root: Path, tests: tuple[str, ...]) -> str | None:
    """The first test that fails for the package in ``root``; None where all pass."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-m", "not full", "--timeout", "60"]
    try:
        done = subprocess.run(
            [*command, "-p", "no:cacheprovider", *tests],
            cwd=root,
            env={**os.environ, "PYTHONPATH": str(root)},
            capture_output=True,
            text=True,
            check=False,
            timeout=LONGEST,
        )
    except subprocess.TimeoutExpired:
        return f"none of {', '.join(tests)} within {LONGEST:g} s: they hang"
    if done.returncode == 0:
        return None
    found = re.search(r"^(?:FAILED|ERROR) \S+?::(\S+)", done.stdout, re.MULTILINE)
    return found[1] if found else f"exit code {done.returncode}: {done.stdout[-300:]}"


def killed(mutant: Mutant) -> tuple[Mutant, bool, str]:
    """Whether a mutant is noticed, and by whom."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name in ("swf_worker", "tests", "examples", "docs", "benchmarks", "tools"):
            shutil.copytree(ROOT / name, root / name)
        for name in ("pyproject.toml", "README.md"):
            shutil.copy(ROOT / name, root / name)
        target = root / mutant.path
        code = target.read_text()
        if code.count(mutant.old) != 1:
            return mutant, False, f"NOT PLANTED: stands {code.count(mutant.old)} times"
        target.write_text(code.replace(mutant.old, mutant.new))
        test = failing_test(root, mutant.tests)
        return mutant, test is not None, f"killed by {test}" if test else "SURVIVED"


def main(wanted: list[str]) -> int:
    mutants = [m for m in ALL if not wanted or any(w in m.name for w in wanted)]
    alive = 0
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for mutant, dead, how in pool.map(killed, mutants):
            alive += not dead
            print(f"{mutant.name}: {how}", flush=True)
    print(f"{len(mutants) - alive} of {len(mutants)} mutants killed")
    return 1 if alive else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
