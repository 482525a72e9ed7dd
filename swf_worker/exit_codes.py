"""What exit codes say: those of ``swf-worker``, of ``run()`` and of ``run_workers()``."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """The exit codes of ``swf-worker``. ``run()`` and ``run_workers()`` return ``DONE`` or
    ``ABANDONED``."""

    DONE = 0
    """Every task taken was answered, handed over, or closed by SWF. Of other commands: it is done;
    of ``schedule --wait``: Completed."""
    FATAL = 1
    """It can't work: options, region, credentials, permission, domain, or what the command was to
    do. The last line on stderr names the fix."""
    USAGE = 2
    """The command line itself is wrong: an unknown module or attribute, a bad value of a flag."""
    ABANDONED = 3
    """A task or a poll was abandoned: SWF's timeouts decide. Of ``schedule --wait``: any outcome
    but Completed."""
    OTHER_OUTCOME = ABANDONED
    INTERRUPTED = 130
    """Ctrl-C, of a command that serves nothing. Of ``schedule``: the second one, or a no to its
    question; the workflow, if it was started, is left open."""
