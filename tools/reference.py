"""What the reference says, read from the code: Markdown for docs/conf.py, which puts it into pages.

Each part is a function without arguments; its entries have the place of an object of the site, so
that they can be linked, found by the search, and counted (``tools.site_check``).
"""

from __future__ import annotations

import argparse
import ast
import inspect
import pkgutil
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import MISSING, fields
from enum import Enum
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from sphinx.pycode import ModuleAnalyzer

from swf_worker import ActivityWorker, FailureReason, RetryPolicy, activity, instrumentation
from swf_worker.cli.main import _parser
from swf_worker.cli.settings import Setting
from swf_worker.core.messages import Disposition
from swf_worker.definition import ActivityMark
from swf_worker.exit_codes import ExitCode
from swf_worker.instrumentation.lines import LINES, Line, _told
from swf_worker.instrumentation.metrics import METRICS, SUPERVISOR_METRICS, Metric
from swf_worker.observations import Observation
from swf_worker.options import Options
from swf_worker.outcome import Failed
from swf_worker.testing.environment import TASK

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "swf_worker"


def entry(kind: str, name: str, body: str) -> str:
    """One object of the site."""
    return f"````{{{kind}}} {name}\n{body}\n````\n"


# --- docstrings -----------------------------------------------------------------------------------

_NAMED = re.compile(r"[a-z_]+(, [a-z_]+)*:( |$)")


def arguments_of(docstring: str | None) -> tuple[list[str], list[tuple[list[str], str]]]:
    """A docstring's own lines, and what it says of arguments: lines as ``name, name: text``, with
    what is indented below them."""
    own: list[str] = []
    found: list[tuple[list[str], str]] = []
    lines = inspect.cleandoc(docstring or "").splitlines()
    while lines:
        line = lines.pop(0)
        while re.fullmatch(r"[a-z_]+(, [a-z_]+)*,", line) and lines:
            line = f"{line} {lines.pop(0)}"
        if not _NAMED.match(line):
            own.append(line)
            continue
        names, _, text = line.partition(":")
        while lines and lines[0].startswith("    "):
            text += f" {lines.pop(0).strip()}"
        found.append((names.split(", "), text.strip()))
    return own, found


def attribute_docs(owner: type) -> dict[str, str]:
    """The text below each attribute of a class."""
    found = ModuleAnalyzer.for_module(owner.__module__).find_attr_docs()
    return {
        name: " ".join(filter(None, lines))
        for (kind, name), lines in found.items()
        if kind == owner.__qualname__
    }


# --- options --------------------------------------------------------------------------------------


def _options(kind: str, docstring: str | None, settings: Any) -> str:
    declared = {each.name: each for each in fields(settings)}
    made = []
    for names, text in arguments_of(docstring)[1]:
        for name in names:
            said = _sentence(text) if name == names[0] else f"See `{names[0]}`."
            about = _type_and_default(declared[name]) if name in declared else ""
            made.append(entry(kind, name, f"{about}{said}"))
    return "\n".join(made)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"


def _type_and_default(about: Any) -> str:
    kind = re.sub(r"\b(collections\.abc|\w+)\.(?=[A-Z])", "", str(about.type))
    if about.default_factory is not MISSING:
        default = f"{about.type}()"
    elif about.default is MISSING or (about.name == "version" and about.default == ""):
        return f"`{kind}`, required. "
    else:
        default = repr(about.default)
    return f"`{kind}`, default `{default}`. "


def worker_options() -> str:
    """The options of a worker."""
    return _options("workeroption", inspect.getdoc(ActivityWorker), Options)


def activity_options() -> str:
    """The options of ``@activity``."""
    return _options("activityoption", inspect.getdoc(activity), ActivityMark)


def retry_policy() -> str:
    """The members of a RetryPolicy."""
    docs = attribute_docs(RetryPolicy)
    return "\n".join(
        f"- `{each.name}`, default `{each.default}`: {docs[each.name]}"
        for each in fields(RetryPolicy)
    )


# --- the command line -----------------------------------------------------------------------------


def commands() -> str:
    """Every command, with its arguments and flags."""
    return "\n".join(_command(name, parser) for name, parser in subcommands(_parser()))


def subcommands(parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Each command that does something, by the words that call it."""
    groups = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    if not groups:
        yield parser.prog, parser
    for group in groups:
        for each in dict.fromkeys(group.choices.values()):
            yield from subcommands(each)


def _command(name: str, parser: argparse.ArgumentParser) -> str:
    settings = {s.attribute: s for s in parser.get_default("settings") or ()}
    described = re.sub(r" Exit codes:.*", "", parser.description or "")
    parts = [f"## {name}\n", described, f"\n```{{program}} {name}\n```\n"]
    for action in parser._actions:
        if isinstance(action, argparse._HelpAction):
            continue
        parts.append(_argument(action, settings.get(action.dest)))
    codes = re.search(r"Exit codes:.*", parser.description or "")
    return "\n".join([*parts, codes[0] if codes else ""])


def _argument(action: argparse.Action, setting: Setting | None) -> str:
    flag = ", ".join(action.option_strings)
    takes = action.metavar if action.nargs != 0 else ""
    text = (action.help or "").partition(" [SWF_WORKER_")[0]
    if setting is None or not setting.choices:  # a value is written as it is
        text = _sentence(text)
    if setting is not None:
        text = f"{text}. In the environment: `{setting.variable}`"
    elif action.default not in (None, False, argparse.SUPPRESS):
        text = f"{text} (default: {action.default})"
    return entry("option", f"{flag} {takes}".strip(), f"{text}.")


# --- codes, reasons, dispositions -----------------------------------------------------------------


def _members(kind: str, enum: type[Enum], title: Callable[[Any], str]) -> str:
    docs = attribute_docs(enum)
    return "\n".join(entry(kind, title(each), docs.get(each.name, "")) for each in enum)


def exit_codes() -> str:
    """Every exit code."""
    return _members("exitcode", ExitCode, lambda code: str(code.value))


def failure_reasons() -> str:
    """Every reason that the SDK gives a failure."""
    return _members("failurereason", FailureReason, lambda reason: reason.value)


def dispositions() -> str:
    """How a task can end."""
    return _members("disposition", Disposition, lambda disposition: disposition.value)


# --- the log --------------------------------------------------------------------------------------


def log_events() -> str:
    """Every event of the log."""
    made = [_logged(record, line) for record, line in LINES.items()]
    made += [
        entry("logevent", event, f"`{level}`, of the {where}.") for event, level, where in spoken()
    ]
    return "\n".join(made)


def _logged(record: type[Observation], line: Line) -> str:
    told = ", ".join(f"`{name}`" for name in _fields_told(record)) or "none"
    worse = ", louder where it says something worse" if line.level_of else ""
    what = " ".join((inspect.getdoc(record) or "").split())
    about = f"`{line.level}`{worse}. {what}\n\nFields: {told}. Record: "
    return entry("logevent", line.event, f"{about}{{py:class}}`~{_name_of(record)}`.")


def _name_of(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _fields_told(record: type[Observation]) -> Iterator[str]:
    for each in fields(record):
        if each.name == "at":
            continue  # a line has its own time
        sample = _SAMPLES.get(str(each.type).partition(" ")[0])
        yield from [each.name] if sample is None else _told(sample, each.name)


_SAMPLES = {"ActivityTask": TASK, "ActivityType": TASK.activity_type, "Outcome": Failed("")}
"""Values that are told in several fields."""


_LEVELS = ("debug", "info", "warning", "error")
_WHERE = dict.fromkeys(("supervisor.py", "watch.py"), "supervisor (`--processes`)")


@cache
def spoken() -> list[tuple[str, str, str]]:
    """Events that are no records: event, level, and where they are told."""
    found: dict[str, tuple[str, str, str]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        if path.relative_to(PACKAGE).parts[0] in ("local", "testing") or "demo" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and (said := _said(node)):
                found.setdefault(said[0], (*said, _WHERE.get(path.name, "worker's process")))
    told = {line.event for line in LINES.values()}
    return [each for event, each in sorted(found.items()) if event not in told]


def _said(node: ast.Call) -> tuple[str, str] | None:
    if not isinstance(node.func, ast.Attribute):
        return None
    to_log = "log" in ast.unparse(node.func.value).lower()
    texts = [a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
    match node.func.attr, texts:
        case "_tell", [event]:  # at a process's end
            return event, "warning"
        case "write", [level, event] if to_log and level in _LEVELS:
            return event, level
        case level, [event, *_] if to_log and level in _LEVELS:
            return event, level
    return None


# --- observers, metrics ---------------------------------------------------------------------------


def observers() -> str:
    """Every observer that is here."""
    made = []
    for each in pkgutil.iter_modules(instrumentation.__path__, f"{instrumentation.__name__}."):
        for name, value in vars(import_module(each.name)).items():
            if name.endswith("Observer") and getattr(value, "__module__", "") == each.name:
                made.append(f".. autoclass:: {each.name}.{name}")
    listed = "\n".join(made)
    return f"```{{eval-rst}}\n{listed}\n```"


def metrics() -> str:
    """Every metric of a worker."""
    return "\n".join(entry("metric", each.name, _metric(each)) for each in METRICS)


def supervisor_metrics() -> str:
    """Every metric of a supervisor."""
    return "\n".join(entry("metric", each.name, _metric(each)) for each in SUPERVISOR_METRICS)


def _metric(metric: Metric) -> str:
    labels = ", ".join(f"`{label}`" for label in metric.labels)
    labelled = f", by {labels}" if labels else ""
    several = "" if metric.combined == "sum" else " Of several processes the highest is told."
    buckets = (
        f" Buckets: {', '.join(f'{each:g}' for each in metric.buckets)}." if metric.buckets else ""
    )
    return f"{_sentence(metric.kind)}{labelled}. {metric.help.rstrip('.')}.{several}{buckets}"


# --- examples -------------------------------------------------------------------------------------


def examples() -> str:
    """Every file of examples/, whole."""
    made = []
    for path in sorted((ROOT / "examples").glob("*.py")):
        what = (ast.get_docstring(ast.parse(path.read_text())) or "").partition("\n\n")[0]
        source = f"```{{literalinclude}} ../examples/{path.name}\n:language: python\n```\n"
        made.append(f"## {path.name}\n\n{' '.join(what.split())}\n\n{source}")
    return "\n".join(made)


def arrows(diagram: Iterable[str]) -> str:
    """A state diagram's lines, as a table."""
    rows = ["| From | To | On |", "|---|---|---|"]
    for line in diagram:
        if found := re.fullmatch(r"\s*(\S+) --> (\S+?)(?:: (.*))?", line):
            start, end, events = (each or "" for each in found.groups())
            names = {"[*]": "–"}
            rows.append(f"| {names.get(start, start)} | {names.get(end, end)} | {events} |")
    return "\n".join(rows)


PARTS: dict[str, Callable[[], str]] = {
    "worker-options": worker_options,
    "activity-options": activity_options,
    "retry-policy": retry_policy,
    "commands": commands,
    "exit-codes": exit_codes,
    "failure-reasons": failure_reasons,
    "dispositions": dispositions,
    "log-events": log_events,
    "observers": observers,
    "metrics": metrics,
    "supervisor-metrics": supervisor_metrics,
    "examples": examples,
}
"""What a page may ask for with ``{from-code}``."""
