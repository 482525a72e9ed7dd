"""The commands before a deployment, ``check``, ``register`` and ``iam-policy``: their flags."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from .settings import Setting, add_settings, switch

_REACH = ("domain", "task-list", "region", "endpoint-url")
_CHECK = (
    Setting("fleet-size", int, "processes of the whole fleet (default: those of --processes)"),
    Setting("format", str, "text or json", default="text", choices=("text", "json")),
)
_REGISTER = (
    Setting("dry-run", switch, "say what would be registered, and register nothing"),
    Setting("create-domain", switch, "register the domain, too, where it is missing"),
    Setting(
        "retention-days",
        int,
        "of a domain that is created: days that closed workflows are kept, 0 to 90 (default: 30)",
        default=30,
    ),
)
_IAM_POLICY = (
    Setting("register", switch, "also what `swf-worker register` calls (without --create-domain)"),
    Setting("account", str, "the AWS account, 12 digits (default: any)"),
)
SETTINGS = (*_CHECK, *_REGISTER, *_IAM_POLICY)
"""Flags that only these commands have."""
_TARGETS = "what `swf-worker run` takes"


def add_commands(commands: Any, run_settings: Sequence[Setting]) -> None:
    """Add them. ``run_settings``: the flags of ``run``; what it honours, ``check`` judges."""
    reach = tuple(setting for setting in run_settings if setting.name in _REACH)
    judged = tuple(s for s in run_settings if s.name.partition("-")[0] not in ("log", "health"))
    _add(
        commands,
        "check",
        _check,
        (*judged, *_CHECK),
        help="see whether workers could work, without taking a task",
        description="Check credentials, region, endpoint, clock, domain, task list, types, "
        "heartbeats, deadlines, pools, quotas and permissions; a line each, with what mends it. "
        "Takes no task and changes nothing; 15 seconds at most. Exit codes: 0 nothing would stop "
        "or starve the workers; 1 something would; 2 usage.",
    )
    _add(
        commands,
        "register",
        _register,
        (*reach, *_REGISTER),
        help="register what is missing",
        description="Print what is to be registered, and register it: activity types with the "
        "defaults of the code, and with --create-domain the domain. Exit codes: 0 everything is "
        "registered (with --dry-run: could be); 1 a type is registered otherwise than the code "
        "says, which only a new version mends, or the domain is missing, or SWF refused; 2 usage.",
    )
    _add(
        commands,
        "iam-policy",
        _iam_policy,
        (*reach, *_IAM_POLICY),
        help="print the least privilege that workers need",
        description="Print an IAM policy as JSON: what workers call, on their domains and task "
        "lists, and nothing else. Calls nothing. Exit codes: 0 printed; 1 it can't be; 2 usage.",
    )


def _add(commands: Any, name: str, act: Any, settings: Sequence[Setting], **said: str) -> None:
    parser = commands.add_parser(name, **said)
    parser.add_argument("targets", nargs="+", metavar="MODULE:ATTRIBUTE", help=_TARGETS)
    add_settings(parser, settings)
    parser.set_defaults(command=act, settings=settings)


# Each imports its own parts.


def _check(given: argparse.Namespace) -> int:
    from .check import check

    return check(given)


def _register(given: argparse.Namespace) -> int:
    from .register import register

    return register(given)


def _iam_policy(given: argparse.Namespace) -> int:
    from .iam_policy import iam_policy

    return iam_policy(given)
