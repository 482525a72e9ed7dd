"""The regions that have SWF, as boto3 knows them."""

from __future__ import annotations

from difflib import get_close_matches

import boto3


def known_regions(session: boto3.Session) -> set[str]:
    """All of them."""
    return {
        region
        for partition in session.get_available_partitions()
        for region in session.get_available_regions("swf", partition_name=partition)
    }


def partition_of(region: str) -> str | None:
    """Which AWS it is of: "aws", "aws-cn", …; None for a region that boto3 doesn't know."""
    session = boto3.Session()
    for partition in session.get_available_partitions():
        if region in session.get_available_regions("swf", partition_name=partition):
            return partition
    return None


def meant(region: str) -> str:
    """ "; did you mean us-east-1?", where a known region is like it."""
    close = get_close_matches(region, sorted(known_regions(boto3.Session())), n=3)
    return f"; did you mean {' or '.join(close)}?" if close else ""
