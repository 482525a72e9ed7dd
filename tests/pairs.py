"""Pairwise choices of a matrix: every two values of two dimensions meet in some case."""

from __future__ import annotations

import itertools
from typing import Any


def pairwise(*dimensions: list[Any]) -> list[tuple[Any, ...]]:
    """A few cases of the whole product in which every pair of values occurs. Deterministic."""
    cases = list(itertools.product(*dimensions))
    pairs = {case: set(_pairs(case)) for case in cases}
    missing = set().union(*pairs.values())
    chosen = []
    while missing:
        best = max(cases, key=lambda case: len(pairs[case] & missing))
        chosen.append(best)
        missing -= pairs[best]
    return chosen


def _pairs(case: tuple[Any, ...]) -> itertools.combinations:
    return itertools.combinations(enumerate(case), 2)
