"""README and docs are run, and what they say of the code is held."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser

from swf_worker import FailureReason
from tools.diagram import diagram

ROOT = Path(__file__).resolve().parent.parent
NAMES = ("codecs", "deciders", "failures", "local-swf", "payloads", "reliability", "traces")
PAGES = [ROOT / "README.md", *(ROOT / "docs" / f"{name}.md" for name in NAMES)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_examples_of_the_docs_run(page):
    document = Sybil(parsers=[PythonCodeBlockParser()]).parse(page)
    examples = list(document.examples())
    assert examples
    for example in examples:
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


@pytest.mark.parametrize(
    "page", [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")], ids=lambda p: p.name
)
def test_links_of_the_docs_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target


def test_each_reason_of_the_sdk_is_on_the_page():
    page = (ROOT / "docs" / "failures.md").read_text()
    rows = dict(re.findall(r"^\| `(\w+)` \| (yes|no) \|", page, re.M))
    assert rows == {each.value: "yes" if each.retryable else "no" for each in FailureReason}
