"""The site: its build finds what is missing in the reference, and what leads nowhere."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from swf_worker.cli.main import SETTINGS
from tools.reference import PARTS, arguments_of
from tools.site_check import differences, entries, exists, flags, public_names

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
SPHINX = (sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-E")
WRONG_ON_PURPOSE = {"SWF_WORKER_TASKLIST"}
KINDS = ["python", *entries()]


def whole():
    return {"python": public_names()} | entries()


def test_what_is_in_the_code_and_in_the_reference_is_right():
    assert list(differences(whole())) == []
    assert all(entries()[kind] for kind in KINDS if kind != "python")


@pytest.mark.parametrize("kind", [kind for kind in KINDS if whole()[kind]])
def test_what_the_reference_lacks_is_named(kind):
    name = min(whole()[kind])
    (said,) = differences(whole() | {kind: whole()[kind] - {name}})
    assert f"the reference has no {name if kind == 'python' else f'{kind} {name}'}" in said


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_in_the_code_is_named(kind):
    (said,) = differences(whole() | {kind: whole()[kind] | {"swf_worker.Nothing"}})
    assert "swf_worker.Nothing, which isn't in the code" in said


def test_the_build_ends_at_what_is_missing_or_leads_nowhere(tmp_path):
    """With a few of the pages, and mistakes in them."""
    pages = tmp_path / "docs"
    (pages / "reference").mkdir(parents=True)
    for name in ("index", "failures", "reference/python", "reference/options"):
        shutil.copy(ROOT / "docs" / f"{name}.md", pages / f"{name}.md")
    names = pages / "reference" / "python.md"
    names.write_text(
        names.read_text()
        .replace(".. autofunction:: swf_worker.run_workers\n", "")
        .replace("swf_worker.RetryPolicy", "swf_worker.RetryPolitics")
    )
    mistakes = "[a](nowhere.md) [b](failures.md#nowhere) [c](failures.md#the-envelope)"
    (pages / "stray.md").write_text(f"# Stray\n\n{mistakes} {{py:class}}`swf_worker.Nothing`")
    done = subprocess.run(
        [*SPHINX, "-c", ROOT / "docs", "-d", tmp_path / "trees", pages, tmp_path / "site"],
        capture_output=True,
        text=True,
    )
    said = done.stderr
    assert done.returncode == 1, said
    for expected in (
        "stray.md: WARNING: document isn't included in any toctree",
        "target not found: '/nowhere.md'",
        "local id not found in doc 'failures': 'nowhere'",
        "target not found: swf_worker.Nothing",
        "failed to import 'RetryPolitics' from module 'swf_worker'",
        "the reference has no swf_worker.run_workers",
        "the reference has no cmdoption swf-worker-run.--domain",
        "target not found: '/handlers.md'",  # README's, which is the first page
    ):
        assert expected in said
    assert "the-envelope" not in said
    assert "the reference has no failurereason" not in said


def test_a_docstrings_arguments_are_read():
    own, found = arguments_of("""What it does: this.

        first, second: what
            they are: `x`.
        third,
        fourth: these
        """)
    assert own == ["What it does: this.", ""]
    assert found == [(["first", "second"], "what they are: `x`."), (["third", "fourth"], "these")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_names_flags_and_variables_of_pages_are_those_of_the_code(page):
    text = page.read_text()
    for name in re.findall(r"\bswf_worker(?:\.[A-Za-z_]+)+\b(?!\.(?:py|json|md))", text):
        assert exists(name) or (ROOT / f"{name.replace('.', '/', 1)}").exists(), name
    variables = {setting.variable for setting in SETTINGS} | WRONG_ON_PURPOSE
    for name in re.findall(r"\bSWF_WORKER_[A-Z_]*[A-Z]\b", text):
        assert name in variables, name
    known = {flag.partition(".")[2] for flag in flags()}
    for line in re.findall(r"(?:^|`)swf-worker [a-z][^`\n]*", text, re.M):
        for flag in re.findall(r" (--[a-z-]+)", line):
            assert flag in known, line


def test_each_extra_is_on_the_first_page():
    stated = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    page = (ROOT / "docs" / "getting-started.md").read_text()
    assert set(re.findall(r"^\| `\[(\w+)\]`", page, re.M)) == set(stated["optional-dependencies"])


@pytest.mark.parametrize("part", PARTS)
def test_each_part_of_the_reference_is_asked_for_by_one_page(part):
    asking = [page for page in PAGES if f"```{{from-code}} {part}\n" in page.read_text()]
    assert len(asking) == 1
