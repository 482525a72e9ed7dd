"""What lists have in common: pages, and the tokens that lead from one to the next."""

from __future__ import annotations

import json
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from .request import Request

MAX_PAGE = 1_000
T = TypeVar("T")


def page(
    request: Request,
    member: str,
    found: Iterable[T],
    tell: Callable[[T], dict[str, Any]],
    *,
    key: Callable[[T], list[Any]],
    descending: bool,
) -> dict[str, Any]:
    """The page that is asked for of what was found, under ``member``, in the order of its keys.

    A token is good for the same question alone. It names the last one that was told: what came or
    went since (a client terminates what a page told it, and asks for the next) shifts nothing.
    """
    given, pages = request.given, request.backend.pages
    question = {name: value for name, value in given.items() if name != "nextPageToken"}
    subject = json.dumps([request.operation, question], sort_keys=True)
    token = given.get("nextPageToken")
    last = pages.read(token, subject) if token else None
    size = min(given.get("maximumPageSize") or MAX_PAGE, MAX_PAGE)
    ordered = sorted(found, key=key)
    if descending:
        end = len(ordered) if last is None else bisect_left(ordered, last, key=key)
        start = max(0, end - size)
        shown, more = ordered[start:end][::-1], start > 0
    else:
        start = 0 if last is None else bisect_right(ordered, last, key=key)
        shown, more = ordered[start : start + size], start + size < len(ordered)
    answer: dict[str, Any] = {member: [tell(each) for each in shown]}
    if more:
        answer["nextPageToken"] = pages.make(subject, *key(shown[-1]))
    return answer
