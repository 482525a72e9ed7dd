"""Starts other processes of this program's Python, which can import what this one can."""

from __future__ import annotations

import base64
import os
import pickle
import re
import runpy
import subprocess
import sys
import sysconfig
import types
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

import msgspec

from ...errors import ConfigurationError

PATH = "_SWF_WORKER_PATH"
"""The environment variable that brings ``sys.path``. Who has it still, did not run our code."""
HOOKS = "_SWF_WORKER_HOOKS"
MAIN = "__mp_main__"
"""multiprocessing's name for the main module, so that a handler may use multiprocessing itself."""
_SEPARATOR = "\x1f"

_LONGEST_VARIABLE = 30_000
"""Characters. Linux takes 128 KiB for one variable, and one may take four bytes."""
_TAKE_PATH = (
    "import os, sys; "
    f"path = [os.environ.pop(f'{PATH}_{{n}}') for n in range(int(os.environ.pop({PATH!r})))]; "
    f"sys.path[:] = ''.join(path).split({_SEPARATOR!r})"
)

_MOST = 8_192
"""Bytes of an import hook, at most, that are taken along."""
_NAMED_LIKE_PYTHON = re.compile(
    r"(python|pypy|graalpy|pyston)w?[\d.]*[a-z]{0,2}(-dbg|-intel64)?(\.exe)?", re.IGNORECASE
)


def working_directory() -> str:
    """It, or nothing, where it was removed."""
    try:
        return os.getcwd()
    except OSError:
        return ""


_FOLDER = working_directory()
"""As it was at first: modules were imported from it. (multiprocessing remembers it as well.)"""


class Main(msgspec.Struct, frozen=True):
    """The main module: its name, where it has one (``python -m``), else its file."""

    name: str | None
    path: str | None


class Hooks(msgspec.Struct, frozen=True):
    """Import hooks that a launcher or an editable install has put in, pickled."""

    finders: list[tuple[bytes, bool]]
    """With whether it comes before the one that looks along the path."""
    path_hooks: list[bytes]


# --- here ---------------------------------------------------------------------------------------


class Imports:
    """What can be imported here. Relative entries mean what they do now, also after a chdir."""

    def __init__(self) -> None:
        self._resolved = {each: _resolved(each) for each in _entries()}

    def environment(self) -> dict[str, str]:
        """Variables for a process that is started with ``command``."""
        path = [
            folder for each in _entries() for folder in self._resolved.get(each) or _resolved(each)
        ]
        variables = {HOOKS: _packed(hooks())}
        joined = _SEPARATOR.join(path)
        for number, at in enumerate(range(0, len(joined), _LONGEST_VARIABLE)):
            variables[f"{PATH}_{number}"] = joined[at : at + _LONGEST_VARIABLE]
        return os.environ | {PATH: str(len(variables) - 1)} | variables


def command(code: str, *arguments: str) -> list[str]:
    """Runs ``code`` in another process, which begins with ``take_over``, once it has said what it
    is. ConfigurationError where there is no Python to run it."""
    return [interpreter(), *_flags(), "-c", f"{_TAKE_PATH}; {code}", *arguments]


def interpreter() -> str:
    """The Python to start. ConfigurationError where ``sys.executable`` is none: started as Python
    is, a frozen or embedding program would run itself again, without an end."""
    candidates = [] if getattr(sys, "frozen", False) else [sys.executable]
    set_by_program: Any = getattr(sys.modules.get("multiprocessing.spawn"), "_python_exe", None)
    if set_by_program:
        candidates.append(os.fsdecode(set_by_program))
    for each in candidates:
        if each and _is_python(each):
            return each
    what = "a frozen application" if getattr(sys, "frozen", False) else "no Python"
    raise ConfigurationError(
        f"sys.executable is {sys.executable!r}, {what}: other processes (isolation='process', "
        "--processes) can't be started with it, it would run the program again. Name an "
        "interpreter that has the program's modules with multiprocessing.set_executable(...) "
        "before the start, or run the handlers in threads"
    )


def _is_python(path: str) -> bool:
    if _NAMED_LIKE_PYTHON.fullmatch(os.path.basename(path)):
        return True
    prefixes = (f"{prefix}/bin" for prefix in (sys.prefix, sys.base_prefix))
    for folder in filter(None, (sysconfig.get_config_var("BINDIR"), *prefixes)):
        for name in ("python3", "python", f"python{sysconfig.get_python_version()}"):
            with suppress(OSError):
                if os.path.samefile(path, os.path.join(folder, name)):
                    return True
    return False


def _flags() -> list[str]:
    """-O, -X and the like, as this interpreter was given; multiprocessing asks it, too."""
    flags: Callable[[], list[str]] = getattr(subprocess, "_args_from_interpreter_flags", list)
    return flags()


def _entries() -> list[str]:
    return [each if isinstance(each, str) else os.fsdecode(each) for each in sys.path]


def _resolved(entry: str) -> list[str]:
    """What isn't there is no folder: an import hook's own mark, say."""
    if entry == "":
        return [each for each in dict.fromkeys((working_directory(), _FOLDER)) if each]
    if os.path.isabs(entry):
        return [entry]
    # What was imported from it has shown what it meant, also if that was before a chdir.
    found = getattr(sys.path_importer_cache.get(entry), "path", entry)
    return [os.path.abspath(found) if os.path.exists(found) else entry]


def hooks() -> Hooks:
    """Those that another interpreter may not have. What can't be pickled stays here."""
    finders, before = [], True
    for finder in sys.meta_path:
        if getattr(finder, "__name__", "") == "PathFinder":
            before = False
        elif (data := _pickled(finder)) is not None:
            finders.append((data, before))
    path_hooks = [data for hook in sys.path_hooks if (data := _pickled(hook)) is not None]
    return Hooks(finders, path_hooks)


def _pickled(hook: object) -> bytes | None:
    try:
        data = pickle.dumps(hook)
    except Exception:  # whatever it raises when it is pickled
        return None
    return None if len(data) > _MOST or b"__main__" in data else data


def main_module() -> Main | None:
    """The program's main module; None in an interactive session."""
    main = sys.modules["__main__"]
    name = getattr(getattr(main, "__spec__", None), "name", None)
    path = getattr(main, "__file__", None)
    if name == "__main__":  # a directory or an archive with a __main__.py
        name, path = None, sys.path[0]
    if name is None and (path is None or not os.path.exists(path)):
        return None
    return Main(name, os.path.abspath(path) if path and not name else None)


def _packed(found: Hooks) -> str:
    return base64.b85encode(msgspec.msgpack.encode(found)).decode()


# --- there --------------------------------------------------------------------------------------


def take_over() -> None:
    """Install the import hooks of the process that started this one."""
    packed = os.environ.pop(HOOKS, None)
    if packed is None:
        return
    found = msgspec.msgpack.decode(base64.b85decode(packed), type=Hooks)
    finders: list[Any] = sys.meta_path
    first: list[Any] = []
    for data, before in found.finders:
        for finder in _loaded(data, finders):
            (first if before else finders).append(finder)
    finders[:0] = first
    for data in found.path_hooks:
        sys.path_hooks.extend(_loaded(data, sys.path_hooks))
    sys.path_importer_cache.clear()


def _loaded(data: bytes, there: Iterable[Any]) -> list[Any]:
    try:
        hook = pickle.loads(data)  # noqa: S301 (the program's own)
    except Exception:  # its module isn't here, or is another: what it would import says so
        return []
    return [] if any(_same(hook, each) for each in there) else [hook]


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, type) or isinstance(other, type) or hasattr(one, "__func__"):
        return bool(one == other)
    return type(one) is type(other) and (not callable(one) or bool(one == other))


def load_main(main: Main) -> None:
    """Import the program's main module under another name, for what is defined there. (What stands
    under ``if __name__ == "__main__"`` doesn't run.)"""
    if main.name is not None:
        # `python -m package` has __main__ of the package as its main module.
        found = runpy.run_module(main.name, run_name=MAIN, alter_sys=True)
    else:
        assert main.path is not None
        found = runpy.run_path(main.path, run_name=MAIN)
    module = types.ModuleType(MAIN)
    module.__dict__.update(found)
    sys.modules["__main__"] = sys.modules[MAIN] = module
