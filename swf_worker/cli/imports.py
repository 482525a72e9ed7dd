"""How the command line imports what a target names."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from types import ModuleType

from ..errors import ConfigurationError, SwfWorkerError
from ..runtime.process.interpreter import working_directory
from ..runtime.stopping.signals import StoppedEarly
from ..text import safe_str
from .settings import UsageError

_OURS = str(Path(__file__).resolve().parent.parent) + os.sep


def import_target(name: str) -> ModuleType:
    """The module; the current directory is first on the path. UsageError says why it can't be."""
    here = working_directory()
    if not {"", here} & set(sys.path):
        sys.path.insert(0, here)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if name == missing or name.startswith(f"{missing}."):
            hint = f"; did you mean {name[:-3]!r}?" if name.endswith(".py") else ""
            raise UsageError(
                f"there is no module {missing!r} in this directory or on the path{hint}"
            ) from None
        raise UsageError(f"module {name!r} needs {missing!r}, which is not installed") from None
    except (TypeError, ValueError) as error:
        if name.startswith("."):
            raise UsageError(f"{name!r} is a relative name: name the module in full") from None
        raise _broken(name, error) from error
    except StoppedEarly:
        raise
    except SystemExit as error:
        raise UsageError(f"module {name!r} ends the program when it is imported") from error
    except SyntaxError as error:
        raise UsageError(f"module {name!r} can't be imported: {safe_str(error)}") from None
    except Exception as error:  # whatever the user's module raises when it is imported
        if isinstance(error, SwfWorkerError):
            raise placed(error) from error
        raise _broken(name, error) from error


def _broken(name: str, error: BaseException) -> UsageError:
    said = f"{type(error).__name__}: {safe_str(error)}{line_of(error)}"
    return UsageError(f"module {name!r} can't be imported: {said}")


def line_of(error: BaseException) -> str:
    """The last line of the user's that led to it."""
    trace, last = error.__traceback__, None
    while trace is not None:
        code = trace.tb_frame.f_code.co_filename
        if not code.startswith((_OURS, "<")):
            last = f" ({code}, line {trace.tb_lineno})"
        trace = trace.tb_next
    return last or ""


def placed(error: SwfWorkerError) -> SwfWorkerError:
    """An error of ours that the user's code led to, with the place."""
    if not isinstance(error, ConfigurationError):
        return error
    return ConfigurationError(f"{safe_str(error)}{line_of(error)}")
