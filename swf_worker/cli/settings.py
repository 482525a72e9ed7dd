"""Flags that can also be set in the environment: flag beats environment beats code."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

PREFIX = "SWF_WORKER_"
"""Of every variable that is ours."""


class UsageError(Exception):
    """What the command line itself gets wrong: exit code 2."""


def switch(text: str) -> bool:
    """A flag that has no value; in the environment it has: "true" or "false", 1 or 0."""
    values = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    try:
        return values[text.lower()]
    except KeyError:
        raise ValueError(text) from None


@dataclass(frozen=True, slots=True)
class Setting:
    """One flag."""

    name: str
    type: Callable[[str], Any]
    help: str
    default: Any = None
    choices: tuple[str, ...] | None = None

    @property
    def variable(self) -> str:
        """Its environment variable."""
        return f"{PREFIX}{self.name.upper().replace('-', '_')}"

    @property
    def attribute(self) -> str:
        """Its attribute of the parsed arguments."""
        return self.name.replace("-", "_")

    def parse(self, text: str, source: str) -> Any:
        """The value of ``text``; UsageError names where it came from."""
        try:
            value = self.type(text)
        except ValueError:
            kind = _KINDS.get(self.type, "valid")
            raise UsageError(f"{source} is {text!r}: it must be {kind}") from None
        if self.choices and value not in self.choices:
            raise UsageError(f"{source} is {text!r}: allowed are {', '.join(self.choices)}")
        return value


def add_settings(parser: argparse.ArgumentParser, settings: Sequence[Setting]) -> None:
    """Add the flags; their values are checked in ``settled``, as the environment's are."""
    for setting in settings:
        told = f"{setting.help} [{setting.variable}]"
        if setting.type is switch:
            parser.add_argument(f"--{setting.name}", action="store_const", const="true", help=told)
            continue
        metavar = "|".join(setting.choices) if setting.choices else setting.name.upper()
        parser.add_argument(f"--{setting.name}", metavar=metavar, help=told)


_KINDS: dict[Any, str] = {int: "a whole number", float: "a number", switch: "true or false"}


_LINK = re.compile(r"(tcp|udp|sctp)://")


def given_by(environ: Mapping[str, str], variable: str) -> str | None:
    """What a person has set a variable to. Kubernetes and Docker make variables of the names of
    services: one that is called swf-worker sets SWF_WORKER_PORT=tcp://10.0.0.7:80 in every
    container of its namespace."""
    value = environ.get(variable)
    made = value is not None and variable.endswith("_PORT") and _LINK.match(value)
    return None if made else value


_NEAR = 0.8


def check_environment(environ: Mapping[str, str], known: Iterable[Setting]) -> None:
    """UsageError for a variable that is nearly one of ours: it would do nothing. (One that
    resembles none is somebody else's.)"""
    names = {setting.variable.removeprefix(PREFIX) for setting in known}
    for variable in environ:
        name = variable.removeprefix(PREFIX)
        if name == variable or name in names or given_by(environ, variable) is None:
            continue
        for meant in get_close_matches(name, sorted(names), n=1, cutoff=_NEAR):
            raise UsageError(f"{variable} does nothing; did you mean {PREFIX}{meant}?")


def settled(given: argparse.Namespace, settings: Sequence[Setting]) -> None:
    """Fill each setting in: the flag, else the environment, else the default."""
    for setting in settings:
        flag = getattr(given, setting.attribute)
        variable = given_by(os.environ, setting.variable)
        if flag is not None:
            value = setting.parse(flag, f"--{setting.name}")
        elif variable:
            value = setting.parse(variable, setting.variable)
        else:
            value = setting.default
        setattr(given, setting.attribute, value)


def wants_records(arguments: Sequence[str], environ: Mapping[str, str]) -> bool:
    """Whether ``--log-format json`` is among the arguments, or in the environment: then every line
    is a record, also what argparse says. A person who asks for help reads it as it is."""
    if not {"-h", "--help"}.isdisjoint(arguments):
        return False
    parser = argparse.ArgumentParser(add_help=False, exit_on_error=False)
    parser.add_argument("--log-format")
    try:
        given = parser.parse_known_args(arguments)[0].log_format
    except (argparse.ArgumentError, SystemExit):
        given = None  # without a value
    return (given or given_by(environ, f"{PREFIX}LOG_FORMAT")) == "json"


def whole(name: str, value: int, low: int, high: int) -> int:
    """A flag's value, if it is within these; UsageError."""
    if not low <= value <= high:
        raise UsageError(f"--{name} is {value}: a whole number from {low} to {high:,} is allowed")
    return value
