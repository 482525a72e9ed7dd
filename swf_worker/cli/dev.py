"""``swf-worker dev``: the local SWF as a server."""

from __future__ import annotations

import argparse
from contextlib import suppress
from typing import TYPE_CHECKING

from ..checks import check_number, check_whole
from ..errors import ConfigurationError
from ..exit_codes import ExitCode
from ..runtime.stopping.signals import StoppedEarly, signal_inbox
from .settings import UsageError

if TYPE_CHECKING:
    from ..local import LocalSwf, QuotaUse


def dev(given: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT. The address is the first line on stdout."""
    try:
        check_whole("--port", given.port, 0, 65_535)
        check_number("--poll-hold", given.poll_hold, 0, 3_600)
    except ConfigurationError as error:
        raise UsageError(str(error)) from None
    with suppress(StoppedEarly), signal_inbox(starting=True) as inbox:
        local_swf = load_local_swf()  # takes a second
        with local_swf(
            poll_hold=given.poll_hold,
            port=given.port,
            shuffle=given.shuffle,
            throttle=bool(given.throttle),
        ) as swf:
            print(f"local SWF listens at {swf.endpoint_url}", flush=True)
            inbox.starting = False
            if not inbox.stopped:
                next(iter(inbox))
            if given.throttle:
                print(_used(swf.quota), flush=True)
    return ExitCode.DONE


def _used(quota: dict[str, QuotaUse]) -> str:
    """A line an operation."""
    lines = [f"{'operation':30}{'calls':>10}{'throttled':>11}   the bucket: least held of its size"]
    for name, use in quota.items():
        bucket = "none here"
        if use.size is not None:
            bucket = f"{use.lowest:,.0f} of {use.size:,}, {use.refill:,} more a second"
        lines.append(f"{name:30}{use.calls:>10,}{use.throttled:>11,}   {bucket}")
    return "\n".join(lines)


def load_local_swf() -> type[LocalSwf]:
    """LocalSwf, or an error that names the pip command."""
    try:
        from ..local import LocalSwf
    except ImportError as error:
        raise ConfigurationError(str(error)) from None
    return LocalSwf
