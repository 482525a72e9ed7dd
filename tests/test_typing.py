"""What type checkers say of users' files: nothing where it is right, and each mistake where it is
one."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent / "typing"


def checked(*names: str) -> list[str]:
    """What mypy says of these files, and not of what they import."""
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--config-file="]
    files = [str(HERE / name) for name in names]
    done = subprocess.run(
        [*command, "--cache-dir=/dev/null", *files], capture_output=True, text=True, check=False
    )
    assert not done.stderr, done.stderr
    return [line for line in done.stdout.splitlines() if "typing/" in line.partition(":")[0]]


def marked(name: str, sign: str) -> dict[int, str]:
    """What the lines of a file say of themselves, by their number."""
    lines = enumerate((HERE / name).read_text().splitlines(), 1)
    return {number: line.partition(sign)[2].strip() for number, line in lines if sign in line}


@pytest.mark.timeout(240)
def test_mypy_has_nothing_to_say_of_right_uses_and_finds_every_wrong_one():
    said = "\n".join(checked("right.py", "wrong.py"))
    assert re.findall(r"right.py:\d+: error.*", said) == []
    assert {int(n) for n in re.findall(r"wrong.py:(\d+): error", said)} == set(
        marked("wrong.py", "# wrong: ")
    )
    revealed = {}
    for number, kind in re.findall(r'right.py:(\d+): note: Revealed type is "(.*)"', said):
        plain = re.sub(r"[\w.]+\.(\w+)", r"\1", kind)
        revealed[int(number)] = plain
    assert len(revealed) == 6
    said_beside = marked("right.py", "  # ")
    assert revealed == {number: said_beside[number] for number in revealed}
