"""The defects that ``make mutants`` plants still have a place, and tests that are to notice."""

from __future__ import annotations

from pathlib import Path

from tools.planted import ALL

ROOT = Path(__file__).resolve().parent.parent


def test_each_has_one_place():
    places = {each.name: (ROOT / each.path).read_text().count(each.old) for each in ALL}
    assert {name: count for name, count in places.items() if count != 1} == {}
    assert len(places) == len(ALL)


def test_each_has_tests():
    assert not {test for each in ALL for test in each.tests if not (ROOT / test).exists()}
