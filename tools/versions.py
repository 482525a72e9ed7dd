"""The wire tests on other Pythons, and with the lowest versions that pyproject.toml allows.

    python -m tools.versions [--told FILE] [3.12 3.13 3.14 lowest ...]

A Python that isn't there (on PATH, or pyenv's) is skipped, and that is said. ``--told`` writes a line
for each into a file, too.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENTS = ROOT / ".venvs"
LOWEST = "lowest"
NAMES = ("3.12", "3.13", "3.14", LOWEST)
WIRE = ("tests/service", "tests/worker", "tests/local", "tests/payloads", "tests/codecs")
WIRE += ("tests/deciders", "tests/kit", "tests/test_handle.py", "tests/test_a_tasks_life.py")
WIRE += ("tests/operating/test_metrics.py", "tests/operating/test_probes.py")
WIRE += ("tests/journal/test_keeper.py", "tests/journal/test_file.py")
WIRE += ("tests/test_arguments.py", "tests/cli/test_run.py")
WIRE += ("tests/instrumentation/test_traces.py",)
NOT_THERE = ("test_process_deaths.py", "test_failed_starts.py", "test_left_in_a_process.py")
"""How processes die is the kernel's, and these are a third of the time: the default Python has them."""
UV = (sys.executable, "-m", "uv")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--told", type=Path)
    parser.add_argument("names", nargs="*", default=NAMES)
    given = parser.parse_args()
    failed = False
    for name in given.names:
        python = sys._base_executable if name == LOWEST else interpreter(name)
        if python is None:
            said = "SKIPPED: there is no such Python on PATH, nor among pyenv's"
        else:
            code, said = tried(name, python)
            failed |= code != 0
        line = f"versions: {name}: {said}"
        print(line, flush=True)
        if given.told:
            with given.told.open("a") as file:
                print(line, file=file)
    return int(failed)


def interpreter(version: str) -> str | None:
    """A Python of this version that runs. (pyenv's shims are there for those that don't.)"""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    candidates = [shutil.which(f"python{version}")]
    candidates += sorted(map(str, pyenv.glob(f"versions/{version}*/bin/python")))
    for each in filter(None, candidates):
        asked = [each, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
        done = subprocess.run(asked, capture_output=True, text=True)
        if done.stdout.strip() == version:
            return each
    return None


def tried(name: str, python: str) -> tuple[int, str]:
    """The exit code of the wire tests there, and their last line."""
    folder = ENVIRONMENTS / name
    uv("venv", "--quiet", "--clear", "--python", python, str(folder))
    into = ("pip", "install", "--quiet", "--python", str(folder / "bin" / "python"))
    uv(*into, *(lowest(folder) if name == LOWEST else ("-r", "requirements.lock")))
    uv(*into, "--no-deps", ".")
    command = [folder / "bin" / "python", "-m", "pytest", "-q", "-n", "6", "--dist", "worksteal"]
    command += ["-m", "not full and not fresh", "-p", "no:cacheprovider", *WIRE]
    command += [f"--ignore=tests/worker/{each}" for each in NOT_THERE]
    done = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    last = ""
    assert done.stdout is not None
    for line in done.stdout:
        sys.stdout.write(line)
        last = line if re.match(r"(=+ )?\d+ (passed|failed|error)", line) else last
    code = done.wait()
    return code, last.strip("= \n") or f"no test ran (exit code {code})"


def lowest(folder: Path) -> tuple[str, ...]:
    """The requirements of the lowest versions, and of what runs the tests."""
    stated = ROOT / "pyproject.toml"
    found = folder / "lowest.txt"
    uv(
        *("pip", "compile", "--quiet", "--resolution", "lowest-direct", "--all-extras"),
        *("--no-header", "--no-annotate", "-o", str(found), str(stated)),
    )
    return ("-r", str(found), "-c", str(found), "--group", "wire")


def uv(*arguments: str) -> None:
    env = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    env["UV_SYSTEM_CERTS"] = "1"  # as pip does it: those of the machine
    if index := env.get("PIP_INDEX_URL"):
        env.setdefault("UV_DEFAULT_INDEX", index)
    subprocess.run([*UV, *arguments], cwd=ROOT, env=env, check=True)


if __name__ == "__main__":
    raise SystemExit(main())
