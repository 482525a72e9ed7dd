"""``docs/reliability.md`` lists every fault with its test, and every test of a fault is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROWS = set(range(1, 91))
LATER = {52}  # needs the journal


def rows_of_the_tests():
    found: dict[int, set[str]] = {}
    for path in (ROOT / "tests").rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            numbers = isinstance(node, ast.FunctionDef) and re.match(
                r"test_row_((?:\d+_)+)", node.name
            )
            for number in numbers[1].strip("_").split("_") if numbers else ():
                found.setdefault(int(number), set()).add(node.name)
    return found


def listed_by_row():
    table = (ROOT / "docs" / "reliability.md").read_text()
    rows = re.findall(r"^\| (\d+) \|.*\| ([^|]*) \|$", table, re.MULTILINE)
    return {int(number): set(re.findall(r"`(test_\w+)`", tests)) for number, tests in rows}


def test_every_row_is_listed_once_and_has_a_test():
    listed = listed_by_row()
    assert set(listed) == ROWS
    assert {row for row, tests in listed.items() if not tests} == LATER


def test_the_table_names_exactly_the_tests_there_are():
    there = rows_of_the_tests()
    assert {row: tests for row, tests in listed_by_row().items() if tests} == there
