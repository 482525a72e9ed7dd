"""What a missing extra is called, and the command that installs it."""

from __future__ import annotations

import re

_FOR_AN_EXTRA = re.compile(r"(?P<what>[^;]+);.*\bextra\s*==\s*['\"](?P<extra>[\w-]+)['\"]")


def missing(what: str, *extras: str) -> str:
    """One line: what ``what`` needs of these extras, and how to install that. The command names
    the packages themselves: it works wherever this package came from, a checkout or an index."""
    from importlib.metadata import PackageNotFoundError, requires  # a third of our own imports

    try:
        stated = requires("swf_worker") or []
    except PackageNotFoundError:  # a copy of the source, on a path
        stated = []
    matches = filter(None, map(_FOR_AN_EXTRA.match, stated))
    needs = [found["what"].strip() for found in matches if found["extra"] in extras]
    names = [re.split(r"[^\w.-]", need)[0] for need in needs]
    needed = " and ".join(names) or f"the packages of the extra [{','.join(extras)}]"
    command = " ".join(f"'{need}'" for need in needs) or f"'swf_worker[{','.join(extras)}]'"
    return f"{what} needs {needed}: pip install {command}"
