"""The house stays one that a newcomer reads in a minute."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "swf_worker"
LONGEST = 400


@cache
def modules() -> dict[str, Path]:
    """Every module, by its name."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    assert len(found) > 100
    return found


def imports(name: str) -> set[str]:
    """The modules of ours that one imports, wherever in it, for types as well."""
    path, found = modules()[name], set()
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.ImportFrom) or not node.level:
            continue
        above = package.split(".")[: len(package.split(".")) - node.level + 1]
        source = ".".join([*above, *([node.module] if node.module else [])])
        for each in node.names:
            full = f"{source}.{each.name}"
            found.add(full if full in modules() else source)
    return found - {name}


def test_no_two_files_import_each_other_by_whatever_way():
    todo = {name: imports(name) & modules().keys() for name in modules()}
    assert "swf_worker.runtime.tasks.task_run" in todo["swf_worker.runtime.engine"]
    while todo:
        free = [name for name, needs in todo.items() if not needs & todo.keys()]
        assert free, f"these import each other: {sorted(todo)}"
        for name in free:
            del todo[name]


def test_no_file_is_long():
    lengths = {name: len(path.read_text().splitlines()) for name, path in modules().items()}
    assert not {name: lines for name, lines in lengths.items() if lines > LONGEST}


def test_every_room_says_at_its_door_what_it_is_for():
    for name, path in modules().items():
        doc = ast.get_docstring(ast.parse(path.read_text()))
        assert doc, f"{name} doesn't say what it is for"


def test_nothing_in_a_task_can_name_what_is_built():
    """Of what reads payloads: no pickle, no import by a name, no evaluation, no YAML loader that
    builds objects."""
    rooms = ("payloads", "deciders", "codecs", "inputs", "converter", "coded", "failure", "text")
    found = set()
    for name, path in modules().items():
        if name.split(".")[1:2] and name.split(".")[1] in rooms:
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Import):
                    found |= {each.name.partition(".")[0] for each in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    found.add(node.module.partition(".")[0])
                elif isinstance(node, ast.Name):
                    found.add(node.id)
                elif isinstance(node, ast.Attribute):
                    found.add(node.attr)
    assert {"msgspec", "yaml", "SafeLoader"} <= found
    never = {"pickle", "marshal", "importlib", "import_module", "__import__", "eval", "exec"}
    never |= {"UnsafeLoader", "FullLoader", "Loader", "unsafe_load", "full_load", "find_class"}
    assert found & never <= {"importlib"}, "(importlib.resources reads the schema)"
