"""``docs/local-swf.md`` lists what recordings of SWF confirm: each fact has a source and a test."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TESTS = re.compile(r"^def (test_\w+)", re.MULTILINE)


def rows():
    page = (ROOT / "docs" / "local-swf.md").read_text()
    section = page.partition("## What recordings confirm")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[1:]]


def test_every_fact_has_a_source_and_a_test_that_is_there():
    there = {
        name
        for path in Path(__file__).parent.glob("test_*.py")
        for name in TESTS.findall(path.read_text())
    }
    assert len(rows()) >= 29
    for fact, source, held in rows():
        assert source, fact
        named = set(re.findall(r"`(test_\w+)`", held))
        assert named or held.startswith("the same"), fact
        assert named <= there, fact
