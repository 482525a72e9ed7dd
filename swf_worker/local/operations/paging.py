"""What lists have in common: pages, and the tokens that lead from one to the next."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from .request import Request

MAX_PAGE = 1_000
T = TypeVar("T")


def page(
    request: Request, member: str, found: Sequence[T], tell: Callable[[T], dict[str, Any]]
) -> dict[str, Any]:
    """The page of ``found`` that is asked for, under ``member``. A token is good for the same
    question alone."""
    given, pages = request.given, request.backend.pages
    question = {name: value for name, value in given.items() if name != "nextPageToken"}
    subject = json.dumps([request.operation, question], sort_keys=True)
    token = given.get("nextPageToken")
    start = pages.read(token, subject)[0] if token else 0
    end = start + min(given.get("maximumPageSize") or MAX_PAGE, MAX_PAGE)
    answer: dict[str, Any] = {member: [tell(each) for each in found[start:end]]}
    if end < len(found):
        answer["nextPageToken"] = pages.make(subject, end)
    return answer
