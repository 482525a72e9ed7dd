"""The site: Sphinx reads these pages as Markdown and the docstrings of the code.

`make docs` builds it into build/site; whatever Sphinx warns of ends the build. Nothing is loaded
from elsewhere: the site works from a disk.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from swf_worker import __version__  # noqa: E402
from tools import reference, site_check  # noqa: E402

project = "swf_worker"
version = release = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["conf.py"]

html_theme = "furo"
html_title = f"swf_worker {version}"
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
html_theme_options = {
    "footer_icons": [],
}
pygments_style = "friendly"
pygments_dark_style = "github-dark"

myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence"]
myst_fence_as_directive = ["mermaid"]

nitpicky = True
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_class_signature = "mixed"
python_use_unqualified_type_names = True
maximum_signature_line_length = 80
toc_object_entries_show_parents = "hide"

NAV = {
    "Begin": ("getting-started", "handlers", "heartbeats", "stopping", "testing", "local-swf"),
    "More": (
        *("processes", "several-workers", "embedding", "completed-elsewhere"),
        *("extending", "examples"),
    ),
    "On the wire": ("payloads", "codecs", "deciders", "failures"),
    "In production": (
        *("command-line", "before-deploy", "deploy", "operating", "journal", "logging", "traces"),
        *("reliability", "performance"),
    ),
    "Reference": (
        *("reference/python", "reference/options", "reference/commands", "reference/testing"),
        *("reference/payloads", "reference/observations", "reference/metrics"),
        *("reference/log-events",),
    ),
    "The project": ("architecture", "contributing", "changelog"),
}
"""Every page, in its place. A page that isn't named here ends the build; one that isn't there yet
is left out."""

WHOLE = {"index": "README.md", "changelog": "CHANGELOG.md", "contributing": "CONTRIBUTING.md"}
"""Pages that are files of the top folder."""

OBJECTS = ("workeroption", "activityoption", "exitcode", "failurereason", "disposition")
OBJECTS += ("logevent", "metric")
"""Kinds of entries of the reference, beside Sphinx's own."""


# --- pages ----------------------------------------------------------------------------------------


def on_source_read(app: Sphinx, docname: str, source: list[str]) -> None:
    """Links of files that are read elsewhere, too, lead to pages of the site."""
    text = source[0]
    if docname in WHOLE:
        text = f"{(ROOT / WHOLE[docname]).read_text()}\n{text}"
    source[0] = re.sub(r"\]\(([^)\s]+)\)", lambda m: f"]({_target(m[1], docname)})", text)
    if docname == "index":
        source[0] += _nav(Path(app.srcdir))


def _target(link: str, docname: str) -> str:
    """Where a link leads, from a page of the site."""
    if re.match(r"[a-z]+:|#", link):
        return link
    path, _, anchor = link.partition("#")
    start = ROOT if docname in WHOLE else ROOT / "docs" / Path(docname).parent
    inside = (start / path).resolve().relative_to(ROOT).as_posix()
    pages = {file: f"{page}.md" for page, file in WHOLE.items()}
    if inside in pages:
        inside = pages[inside]
    elif inside == "examples":
        inside = "examples.md"
    elif inside.startswith("examples/"):
        inside, anchor = "examples.md", Path(inside).name.replace(".", "").lower()
    elif inside.startswith("docs/"):
        inside = inside.removeprefix("docs/")
    else:
        return f"/../{inside}"
    return f"/{inside}{f'#{anchor}' if anchor else ''}"


def _nav(docs: Path) -> str:
    trees = []
    for caption, pages in NAV.items():
        there = [page for page in pages if (docs / f"{page}.md").exists()]
        listed = "\n".join(there)
        trees.append(f"\n```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{listed}\n```\n")
    return "".join(trees)


class FromCode(SphinxDirective):
    """``{from-code} NAME``: a part of the reference."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """The part's nodes."""
        text = reference.PARTS[self.arguments[0]]()
        return self.parse_text_to_nodes(text, allow_section_headings=True)


class Mermaid(SphinxDirective):
    """A state diagram, which others draw with JavaScript: its arrows, as a table."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """The table."""
        return self.parse_text_to_nodes(reference.arrows(self.content))


# --- docstrings -----------------------------------------------------------------------------------


def on_docstring(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]
) -> None:
    """What a docstring says of arguments becomes a list; of options, which have a page of their
    own, the way there."""
    own, arguments = reference.arguments_of("\n".join(lines))
    if not arguments:
        return
    lines[:] = own
    if name in ("swf_worker.ActivityWorker", "swf_worker.activity"):
        lines += ["", "Its keywords are on :doc:`the page of options </reference/options>`."]
        return
    for names, text in arguments:
        lines += ["", ", ".join(f"**{each}**" for each in names), f"    {text}"]


def on_missing_reference(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, contnode: nodes.Element
) -> nodes.Element | None:
    """Names in signatures that are written short, or are others'. Only a name of ours that isn't
    there is an error."""
    if node.get("refdomain") != "py":
        return None
    target = node["reftarget"]
    domain = env.domains.python_domain
    if target in domain.objects:  # of a kind that Sphinx doesn't look for in a signature
        full = [target]
    elif target.startswith("swf_worker"):
        return None
    else:
        full = [name for name in domain.objects if name.endswith(f".{target.rpartition('.')[2]}")]
    if not full:
        return contnode
    found = domain.objects[min(full, key=len)]
    uri = app.builder.get_relative_uri(node["refdoc"], found.docname)
    return nodes.reference("", "", contnode, internal=True, refuri=f"{uri}#{found.node_id}")


# --- what must be there ---------------------------------------------------------------------------


def on_consistency(app: Sphinx, env: BuildEnvironment) -> None:
    """Whatever is public in the code is in the reference, and nothing else."""
    documented: dict[str, set[str]] = {}
    for domain in (env.domains.python_domain, env.domains.standard_domain):
        for name, _, kind, *_ in domain.get_objects():
            documented.setdefault(kind if domain.name == "std" else "python", set()).add(name)
    for said in site_check.differences(documented):
        logging.getLogger(__name__).warning(said)


def setup(app: Sphinx) -> None:
    """What Sphinx calls."""
    for kind in OBJECTS:
        app.add_object_type(kind, kind)
    app.add_directive("from-code", FromCode)
    app.add_directive("mermaid", Mermaid)
    app.connect("source-read", on_source_read)
    app.connect("autodoc-process-docstring", on_docstring)
    app.connect("missing-reference", on_missing_reference)
    app.connect("env-check-consistency", on_consistency)
