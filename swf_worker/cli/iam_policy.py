"""``swf-worker iam-policy MODULE:ATTRIBUTE …``: the workers' least privilege, as JSON."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Sequence

from ..errors import ConfigurationError
from ..exit_codes import ExitCode
from ..service.clients import region_of
from ..service.regions import meant, partition_of
from ..worker import ActivityWorker
from .policy import ANY, Scope, policy
from .run import load_quietly
from .settings import UsageError

MOST = 6_144
"""Characters of a managed policy, without white space."""


def iam_policy(given: argparse.Namespace) -> int:
    """Print it."""
    account = given.account or ANY
    if account != ANY and not re.fullmatch(r"[0-9]{12}", account):
        raise UsageError(f"--account is {account!r}: 12 digits, without dashes")
    scopes = scopes_of(load_quietly(given), account)
    made = policy(scopes, register=given.register)
    print(json.dumps(made, indent=2))
    if (characters := len(json.dumps(made, separators=(",", ":")))) > MOST:
        print(
            f"(It has {characters:,} characters, and a managed policy of IAM's may have {MOST:,}: "
            "put its statements into several policies.)",
            file=sys.stderr,
        )
    wide = [name for name in ("region", "account") if any(getattr(s, name) == ANY for s in scopes)]
    if wide:
        flags = " and ".join(f"--{name}" for name in wide)
        print(f"(It is for any {' and any '.join(wide)}: {flags} narrows it.)", file=sys.stderr)
    return ExitCode.DONE


def scopes_of(workers: Sequence[ActivityWorker], account: str) -> list[Scope]:
    """One for each domain of each region."""
    grouped: dict[tuple[str, str], list[ActivityWorker]] = {}
    for worker in workers:
        grouped.setdefault((region_of(worker) or ANY, worker.domain), []).append(worker)
    return [
        Scope(
            partition=_partition(region, workers),
            region=region,
            account=account,
            domain=domain,
            task_lists=tuple(worker.task_list for worker in workers),
            types=tuple(each.type for worker in workers for each in worker.definitions),
        )
        for (region, domain), workers in grouped.items()
    ]


def _partition(region: str, workers: Sequence[ActivityWorker]) -> str:
    if region == ANY:
        return "aws"
    partition = partition_of(region)
    if partition is None and not any(worker.endpoint_url for worker in workers):
        raise ConfigurationError(f"boto3 knows no region {region!r} with SWF{meant(region)}")
    return partition or "aws"
