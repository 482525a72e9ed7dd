"""``swf-worker``: arguments in, exit code out. argparse only: it is a production entry point and
runs without extras."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from typing import Any, NoReturn

from .. import __version__
from ..errors import SwfWorkerError
from ..exit_codes import ExitCode
from ..runtime.process.recorded import recorded, say_line
from ..runtime.process.streams import hold_standard_descriptors
from ..runtime.threads.clock import for_at_most
from ..text import safe_str
from . import at_work, before_deploy
from .settings import (
    Setting,
    UsageError,
    add_settings,
    check_environment,
    settled,
    switch,
    wants_records,
)

Command = Callable[[argparse.Namespace], int]

_SAYING = 1.0
"""Seconds for the last line."""

LOG_SETTINGS = (
    Setting("log-format", str, "console or json", choices=("console", "json")),
    Setting(
        "log-level",
        str,
        "debug, info, warning or error",
        default="info",
        choices=("debug", "info", "warning", "error"),
    ),
)
_REACH = (
    Setting("region", str, "the AWS region"),
    Setting("endpoint-url", str, "another endpoint, the local SWF's say"),
)
_HEALTH_PORT = Setting(
    "health-port", int, "serve probes, metrics and a page here (0: any free port)"
)
RUN_SETTINGS = (
    Setting("domain", str, "the domain to poll"),
    Setting("task-list", str, "the task list to poll"),
    *_REACH,
    Setting("identity", str, "what histories call this worker (default: host:pid)"),
    Setting("max-concurrent-activities", int, "tasks at once (default: 10)"),
    Setting("max-concurrent-polls", int, "the most open polls"),
    Setting("drain-timeout", float, "seconds running tasks get at a stop (default: 60)"),
    Setting("cancel-grace", float, "seconds handlers get when they are then asked (default: 5)"),
    Setting(
        "on-drain-timeout",
        str,
        "fail or abandon: what still runs then is answered Failed WorkerShutdown (the default), "
        "or nothing",
        choices=("fail", "abandon"),
    ),
    _HEALTH_PORT,
    Setting("health-host", str, "the address of that port (default: 127.0.0.1)"),
    Setting("journal", str, "keep answers in this file until SWF has accepted them"),
    Setting("processes", int, "supervise so many processes of it, each with the limits above"),
    *LOG_SETTINGS,
)
_TOKEN = Setting("token", str, "the task token")
_DETAILS = Setting("details", str, "text, as it is to go out")
TASK_ACTIONS: dict[str, tuple[str, tuple[Setting, ...]]] = {
    "heartbeat": ("keep the task alive; prints whether its cancellation is requested", (_DETAILS,)),
    "complete": ("answer Completed", (Setting("result", str, "text, as it is to go out"),)),
    "cancel": ("answer Canceled, if a heartbeat reports the request", (_DETAILS,)),
    "fail": ("answer Failed", (Setting("reason", str, "the reason"), _DETAILS)),
}
SCHEDULE_SETTINGS = (
    Setting("input", str, "the input, as JSON"),
    Setting("domain", str, "the domain; registered where it is missing"),
    Setting("task-list", str, "the worker's task list"),
    *_REACH,
)
DEV_SETTINGS = (
    Setting("port", int, "the port to listen on (default: 8765; 0: any free one)", default=8765),
    Setting("poll-hold", float, "seconds an empty poll is held (default: 60)", default=60.0),
    Setting(
        "shuffle",
        int,
        "hand waiting tasks out in another order, the same for the same seed: SWF promises none",
    ),
    Setting(
        "throttle",
        switch,
        "hold SWF's quotas (Rate exceeded); what the calls did to them is printed at the end, and "
        "answered to GET",
    ),
)

DEMO_SETTINGS = (_HEALTH_PORT,)
JOURNAL_SETTINGS = (
    Setting(
        "drop", str, "remove the answer of this activity, by its id or WORKFLOW_ID/ACTIVITY_ID"
    ),
    *_REACH,
)

PAYLOAD_SETTINGS = (
    Setting("codecs", str, "MODULE:ATTRIBUTE of a list of codecs, or of a worker that has them"),
)

SETTINGS = (
    *RUN_SETTINGS,
    *DEV_SETTINGS,
    *JOURNAL_SETTINGS,
    *SCHEDULE_SETTINGS,
    *PAYLOAD_SETTINGS,
    *before_deploy.SETTINGS,
    _TOKEN,
    *(setting for _, settings in TASK_ACTIONS.values() for setting in settings),
)
"""Every flag of every command."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    hold_standard_descriptors()
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] != ["run"]:
        return _command(given)
    from .process import Process

    # Before anything else: a stop may come at once.
    process = Process(as_records=wants_records(given, os.environ))
    return process.run(lambda: _command(given, process=process))


def _command(arguments: list[str], **parts: Any) -> int:
    parser = _parser()
    try:
        given, unknown = parser.parse_known_args(arguments, argparse.Namespace(**parts))
    except UsageError as error:
        return _say(error, ExitCode.USAGE)
    if unknown:
        return _say(
            UsageError(_unknown(unknown[0], getattr(given, "settings", SETTINGS))), ExitCode.USAGE
        )
    given.arguments = arguments
    command: Command | None = getattr(given, "command", None)
    if command is None:
        parser.print_help(sys.stderr)
        return ExitCode.USAGE
    try:
        at_work()
        check_environment(os.environ, SETTINGS)
        settled(given, getattr(given, "settings", ()))
        return command(given)
    except UsageError as error:
        return _say(error, ExitCode.USAGE)
    except SwfWorkerError as error:
        return _say(error, ExitCode.FATAL)
    except KeyboardInterrupt:
        if command in (_run, _dev, _demo):
            return ExitCode.DONE
        return ExitCode.FATAL if command is _task else ExitCode.INTERRUPTED  # `task`: not accepted
    except BrokenPipeError:
        _silence_stdout()
        return ExitCode.DONE


def _unknown(argument: str, settings: Sequence[Setting]) -> str:
    name, _, _ = argument.partition("=")
    flags = [f"--{setting.name}" for setting in settings]
    close = get_close_matches(name.replace("_", "-"), flags, n=1)
    hint = f"; did you mean {close[0]}?" if name.startswith("-") and close else ""
    return f"unrecognized arguments: {argument}{hint or ' (--help lists them)'}"


def _say(error: Exception, code: int) -> int:
    def say() -> None:
        text = " ".join(safe_str(error).split())
        say_line(f"swf-worker: {text}", text, exit_code=code)

    for_at_most(_SAYING, say)
    return code


def _silence_stdout() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """One record, where all lines are; else with the usage, as argparse does it."""
        if recorded(2) is None:
            super().error(message)
        raise UsageError(message)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="swf-worker",
        description="The activity worker for Amazon SWF.",
        epilog="Every flag can also be set in the environment: --task-list as "
        "SWF_WORKER_TASK_LIST. A flag beats the environment, which beats the code.",
    )
    parser.add_argument("--version", action="version", version=f"swf_worker {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")

    run = commands.add_parser(
        "run",
        help="run workers",
        description="Run workers until they are stopped. Exit codes: 0 every task taken was "
        "answered, handed over or closed by SWF; 1 fatal; 2 usage; 3 tasks were abandoned.",
    )
    run.add_argument(
        "targets",
        nargs="+",
        metavar="MODULE:ATTRIBUTE",
        help="a worker instance, an ActivityWorker subclass, a function that makes a worker, or a "
        "list of activities; the current directory is first on the path. Several run, and stop, "
        "together",
    )
    add_settings(run, RUN_SETTINGS)
    run.set_defaults(command=_run, settings=RUN_SETTINGS)

    dev = commands.add_parser(
        "dev",
        help="run a local SWF",
        description="Run a local SWF on 127.0.0.1. Needs no account, region or credentials.",
    )
    add_settings(dev, DEV_SETTINGS)
    dev.set_defaults(command=_dev, settings=DEV_SETTINGS)

    before_deploy.add_commands(commands, RUN_SETTINGS)
    _add_schedule(commands)
    _add_task(commands)
    _add_payload(commands)
    _add_journal(commands)

    demo = commands.add_parser(
        "demo",
        help="watch a worker archive real folders on a local SWF",
        description="Start a local SWF and a worker, archive folders of this machine into "
        ".tar.gz files, cancel one of them midway, and show what SWF's histories say.",
    )
    demo.add_argument(
        "--into", metavar="FOLDER", default="demo-archives", help="where the archives go"
    )
    add_settings(demo, DEMO_SETTINGS)
    demo.set_defaults(command=_demo, settings=DEMO_SETTINGS)
    return parser


def _add_schedule(commands: Any) -> None:
    schedule = commands.add_parser(
        "schedule",
        help="schedule one activity, with no decider of your own",
        description="Start a workflow of one activity, and decide for it. What is missing is "
        "registered: in AWS after a question. With --wait, Ctrl-C requests the cancellation and "
        "waits on. Exit codes: 0 scheduled, or with --wait Completed; 3 any other outcome; 130 "
        "left; 1 fatal; 2 usage.",
    )
    schedule.add_argument("name", metavar="NAME", help="of the activity type")
    schedule.add_argument("version", metavar="VERSION", help="of the activity type")
    schedule.add_argument("--wait", action="store_true", help="wait for its outcome, and print it")
    schedule.add_argument("--yes", action="store_true", help="register without asking")
    add_settings(schedule, SCHEDULE_SETTINGS)
    schedule.set_defaults(command=_schedule, settings=SCHEDULE_SETTINGS)


def _add_task(commands: Any) -> None:
    task = commands.add_parser(
        "task",
        help="heartbeat or answer a task by its token",
        description="One call for a task whose token was handed over (manual_completion). It is "
        "tried again until SWF accepts it. Exit codes: 0 accepted; 1 the task is closed, or the "
        "call is not permitted; 2 usage.",
    )
    actions = task.add_subparsers(title="actions", metavar="ACTION", required=True)
    for name, (what, settings) in TASK_ACTIONS.items():
        action = actions.add_parser(name, help=what, description=f"{what.capitalize()}.")
        every = (_TOKEN, *settings, *_REACH, *LOG_SETTINGS)
        add_settings(action, every)
        action.set_defaults(command=_task, settings=every, action=name)


def _add_payload(commands: Any) -> None:
    payload = commands.add_parser("payload", help="read what codecs have written")
    actions = payload.add_subparsers(title="actions", metavar="ACTION", required=True)
    decode = actions.add_parser(
        "decode",
        help="print a payload as it was before its codecs",
        description="Undo what codecs did to one payload, an input or a result of a history, and "
        "print it; JSON indented. What is compressed can be read as it is; what is encrypted or in "
        "S3 needs --codecs. Exit codes: 0 printed; 1 it can't be read; 2 usage.",
    )
    decode.add_argument(
        "text", nargs="?", default="-", metavar="TEXT", help="the payload; -, or none: from stdin"
    )
    add_settings(decode, PAYLOAD_SETTINGS)
    decode.set_defaults(command=_payload, settings=PAYLOAD_SETTINGS)


def _add_journal(commands: Any) -> None:
    journal = commands.add_parser(
        "journal",
        help="list, send or drop the answers that lie in a journal",
        description="A line for each answer that SWF has not accepted yet. With --send, those "
        "whose worker has ended are sent as it would have sent them, each for a minute at most. "
        "Exit codes: 0 listed, dropped, or all that were sent are accepted; 1 not there, or not "
        "all accepted; 2 usage.",
    )
    journal.add_argument("path", metavar="PATH", help="the file that --journal names")
    journal.add_argument("--send", action="store_true", help="send them, without a worker")
    add_settings(journal, JOURNAL_SETTINGS)
    journal.set_defaults(command=_journal, settings=JOURNAL_SETTINGS)


# The commands import their own parts: `run` must not pay for the local SWF.


def _run(given: argparse.Namespace) -> int:
    from .run import run

    return run(given, given.process)


def _dev(given: argparse.Namespace) -> int:
    from .dev import dev

    return dev(given)


def _schedule(given: argparse.Namespace) -> int:
    from .schedule import schedule

    return schedule(given)


def _task(given: argparse.Namespace) -> int:
    from .task import task

    return task(given)


def _payload(given: argparse.Namespace) -> int:
    from .payload import decode

    return decode(given)


def _journal(given: argparse.Namespace) -> int:
    from .journal import journal

    return journal(given)


def _demo(given: argparse.Namespace) -> int:
    from .demo.show import demo

    return demo(given)
