"""The command: ``python -m swf_worker.local.conformance``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from .contract import CONTRACT
from .questions import QUESTIONS
from .run import NAME, Differs, Run

if TYPE_CHECKING:
    from types_boto3_swf import SWFClient


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it from the command line."""
    given = _parser().parse_args(arguments)
    session = boto3.Session(region_name=given.region)

    def connect(config: Config) -> SWFClient:
        return session.client("swf", endpoint_url=given.endpoint_url, config=config)

    client = connect(Config(read_timeout=75, retries={"total_max_attempts": 1}))
    where = client.meta.endpoint_url
    print(f"endpoint {where}, domain {given.domain}")
    if not _is_local(where) and not given.yes and not _said_yes(given.domain):
        print("nothing was created")
        return 2
    run = Run(client, given.domain, given.patience, connect)
    created = run.prepare()
    print(f"created: {', '.join(created) or 'nothing'}")
    try:
        return check(run)
    finally:
        run.clean_up(created)
        print("cleaned up: executions terminated; what was created is deprecated")
        client.close()


def check(run: Run) -> int:
    """Check the contract, then ask the questions. 0 if nothing differs."""
    differing = 0
    for part in CONTRACT:
        try:
            said = part(run)
            print(f"ok       {part.__doc__}: {said}")
        except (Differs, ClientError, BotoCoreError) as error:
            differing += 1
            print(f"DIFFERS  {part.__doc__}: {error}")
    for question in QUESTIONS:
        try:
            print(f"told     {question.__doc__}: {question(run)}")
        except (Differs, ClientError, BotoCoreError) as error:
            print(f"unclear  {question.__doc__}: {error}")
    print(f"{len(CONTRACT) - differing} of {len(CONTRACT)} as expected")
    return 1 if differing else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m swf_worker.local.conformance",
        description="Check SWF's activity contract against any endpoint.",
    )
    parser.add_argument("--domain", required=True, help="created if it isn't there")
    parser.add_argument("--region")
    parser.add_argument("--endpoint-url", help="a local SWF, say; AWS by default")
    parser.add_argument("--yes", action="store_true", help="don't ask before creating anything")
    parser.add_argument(
        "--patience", type=float, default=30.0, help="seconds to wait for an event (30)"
    )
    return parser


def _is_local(url: str) -> bool:
    return urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1")


def _said_yes(domain: str) -> bool:
    print(
        f"This is AWS. It registers the domain {domain!r} (which can be deprecated, never deleted) "
        f"and types named {NAME!r} where they are missing, and runs about 30 short executions."
    )
    try:
        return input("Go on? [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        return False


if __name__ == "__main__":
    sys.exit(main())
