"""``docs/reliability.md`` lists every fault with its tests, and every test of a fault is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROWS = set(range(1, 91))


def names_of_tests(folder: str) -> set[str]:
    """The names of the tests below a folder."""
    return {
        node.name
        for path in (ROOT / folder).rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


def listed_by_row() -> dict[int, set[str]]:
    table = (ROOT / "docs" / "reliability.md").read_text()
    rows = re.findall(r"^\| (\d+) \|.*\| ([^|]*) \|$", table, re.MULTILINE)
    assert len(rows) == len({number for number, _ in rows}), "a row is listed twice"
    return {int(number): set(re.findall(r"`(test_\w+)`", tests)) for number, tests in rows}


def test_every_fault_is_listed_and_has_a_test():
    listed = listed_by_row()
    assert set(listed) == ROWS
    assert all(listed.values())


def test_the_tests_that_are_listed_are_there_and_those_of_faults_are_listed():
    listed = set().union(*listed_by_row().values())
    assert not listed - names_of_tests("tests")
    assert names_of_tests("tests/faults") - listed == NONE_OF_ONE_FAULT


NONE_OF_ONE_FAULT = {
    "test_a_stage_in_trouble",
    "test_an_answer_survives_every_bad_network",
    "test_any_answer_to_a_heartbeat",
    "test_any_answer_to_a_poll",
    "test_any_input",
    "test_denied_waits_are_longer_and_bounded",
    "test_every_fault_is_listed_and_has_a_test",
    "test_from_the_end_of_a_minutes_outage_to_the_first_task",
    "test_ten_thousand_cases",
    "test_the_tests_that_are_listed_are_there_and_those_of_faults_are_listed",
}
"""Those of many faults together."""
