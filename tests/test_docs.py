"""README and docs are run, and what they say of the code is held."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import pytest
import structlog
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser

from tools.diagram import diagram

ROOT = Path(__file__).resolve().parent.parent
TOP = sorted(ROOT.glob("*.md"))
DOCS = sorted((ROOT / "docs").rglob("*.md"))
PAGES = [page for page in (*TOP, *DOCS) if "```python\n" in page.read_text()]


@pytest.fixture
def logs_as_before():
    """A page may set up the log, for the whole process."""
    root, ours = logging.getLogger(), logging.getLogger("swf_worker")
    handlers, levels = root.handlers[:], (root.level, ours.level)
    yield
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(levels[0])
    ours.setLevel(levels[1])


@pytest.mark.usefixtures("logs_as_before")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_examples_of_the_docs_run(page):
    document = Sybil(parsers=[PythonCodeBlockParser()]).parse(page)
    for example in document.examples():
        example.evaluate()


def test_readme_begins_with_a_ten_line_worker_and_two_commands():
    text = (ROOT / "README.md").read_text()
    first = re.search(r"```python\n(.*?)```", text, re.DOTALL)[1]
    assert len([line for line in first.splitlines() if line.strip()]) <= 10
    shell = re.search(r"```sh\n(.*?)```", text, re.DOTALL)[1]
    commands = [line.split("#")[0].strip() for line in shell.splitlines()]
    assert commands[0].startswith("git clone")
    assert commands[1].startswith("cd ")
    assert commands[2:] == ["make demo", "make test"]


def test_the_machines_diagram_is_made_from_the_walk():
    assert diagram() in (ROOT / "docs" / "architecture.md").read_text()


def test_the_public_names_are_the_contracts():
    import swf_worker

    for name in swf_worker.__all__:
        assert getattr(swf_worker, name) is not None
    assert sorted(swf_worker.__all__) == swf_worker.__all__


@pytest.mark.parametrize("page", [*TOP, *DOCS], ids=lambda p: p.name)
def test_links_of_the_docs_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target
