"""What type checkers say of users' files: nothing where it is right, and each mistake where it is
one."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import swf_worker
from swf_worker import codecs, local, testing

HERE = Path(__file__).resolve().parent / "typing"
FILES = [str(HERE / name) for name in ("right.py", "wrong.py")]
Lines = list[tuple[str, int, str]]
"""File, line, and what is said of it."""


def said_by(*command: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *command], capture_output=True, text=True, check=False
    )
    assert not done.stderr, done.stderr
    return done.stdout


def mypy() -> tuple[Lines, Lines]:
    """Its errors, and what it reveals."""
    options = ("--strict", "--no-error-summary", "--config-file=", "--cache-dir=/dev/null")
    said = said_by("mypy", *options, *FILES)
    found = re.findall(r"typing/(\w+).py:(\d+): (error|note): (.*)", said)
    errors = [(name, int(line), text) for name, line, kind, text in found if kind == "error"]
    revealed = []
    for name, line, _, text in found:
        if match := re.fullmatch(r'Revealed type is "(?:def )?(.*)"', text):
            plain = re.sub(r"[\w.]+\.(\w+)", r"\1", match[1])
            revealed.append((name, int(line), plain))
    return errors, revealed


def pyright() -> tuple[Lines, Lines]:
    """The same of pyright (in the distribution that comes with no downloads of its own)."""
    options = ("-p", str(HERE), "--pythonpath", sys.executable, "--outputjson")
    errors, revealed = [], []
    for each in json.loads(said_by("basedpyright", *options))["generalDiagnostics"]:
        name, line = Path(each["file"]).stem, each["range"]["start"]["line"] + 1
        if each["severity"] == "error":
            errors.append((name, line, each["message"]))
        elif match := re.fullmatch(r'Type of ".*" is "(.*)"', each["message"]):
            revealed.append((name, line, match[1].replace("CoroutineType[", "Coroutine[")))
    return errors, revealed


def marked(name: str, sign: str) -> dict[int, str]:
    """What the lines of a file say of themselves, by their number."""
    lines = enumerate((HERE / name).read_text().splitlines(), 1)
    return {number: line.partition(sign)[2].strip() for number, line in lines if sign in line}


@pytest.mark.timeout(240)
@pytest.mark.parametrize("checker", [mypy, pyright])
def test_right_uses_are_right_and_each_wrong_one_is_found(checker):
    errors, revealed = checker()
    assert [error for error in errors if error[0] == "right"] == []
    assert {line for name, line, _ in errors if name == "wrong"} == set(
        marked("wrong.py", "# wrong: ")
    )
    assert len(revealed) == 6
    said_beside = marked("right.py", "  # ")
    assert {line: text for _, line, text in revealed} == {
        line: said_beside[line] for _, line, _ in revealed
    }


def test_each_public_name_is_used_in_the_right_way():
    used = set(re.findall(r"\w+", (HERE / "right.py").read_text()))
    for module in (swf_worker, codecs, local, testing):
        assert set(module.__all__) - used == set(), module.__name__
