"""What a check found: how it stands, about what, and what mends it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How it stands."""

    OK = "ok"
    WARNING = "warning"
    """It works, and not as somebody may think."""
    ERROR = "error"
    """It would stop the worker, or keep tasks from it."""
    UNKNOWN = "unknown"
    """It could not be told."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line."""

    check: str
    level: Level
    subject: str
    message: str
    fix: str = ""

    def __str__(self) -> str:
        subject = f"{self.subject}: " if self.subject else ""
        said = " ".join(f"{subject}{self.message}".split())
        if self.fix:
            said += f"{'' if said.endswith('?') else '.'} Fix: {self.fix}"
        return f"{self.level:<8} {self.check:<11} {said}"


def not_checked(check: str, subject: str, why: str) -> Finding:
    """Something else must be mended first."""
    return Finding(check, Level.UNKNOWN, subject, f"not checked: {why}")


def counted(findings: Iterable[Finding]) -> str:
    """How many stand how: "2 errors, 1 warning, 9 ok"."""
    counts = Counter(finding.level for finding in findings)
    words = {
        Level.ERROR: "errors",
        Level.WARNING: "warnings",
        Level.UNKNOWN: "unknown",
        Level.OK: "ok",
    }
    return ", ".join(
        f"{counts[level]} {word.removesuffix('s') if counts[level] == 1 else word}"
        for level, word in words.items()
        if counts[level]
    )
