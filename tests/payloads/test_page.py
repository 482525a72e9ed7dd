"""docs/payloads.md, row by row."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from swf_worker.payloads.reading import Reader
from swf_worker.payloads.words import Mismatch
from swf_worker.payloads.writing import compact_json

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "payloads.md").read_text()
ROWS = [
    [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
    for line in PAGE.splitlines()
    if re.match(r"\| `[^|]+(\\\|[^|]+)*` \| `.*` \| .* - at `\$", line)
]


@pytest.fixture(scope="module")
def names() -> Iterator[dict[str, Any]]:
    module = ModuleType("payloads_page")
    sys.modules[module.__name__] = module  # classes look themselves up there
    block = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(compile(block[1], "payloads.md", "exec"), vars(module))
    yield vars(module)
    del sys.modules[module.__name__]


def test_the_table_is_found():
    assert len(ROWS) == 33


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_each_row_holds(row, names):
    annotation, text, wrong, said = row
    reader = Reader(eval(annotation.strip("`"), names))
    text, wrong = text.strip("`"), wrong.strip("`")
    assert compact_json(reader.read(text)) == text
    with pytest.raises(Mismatch) as caught:
        reader.read(wrong)
    assert caught.value.told() == said
