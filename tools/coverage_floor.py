"""Holds the coverage: all branches of core/, at least 90% of the whole."""

import io
import sys

import coverage

FLOORS = {"core": ("swf_worker/core/*", 100.0), "whole": ("swf_worker/*", 90.0)}


def main(names: list[str]) -> int:
    data = coverage.Coverage()
    data.load()
    code = 0
    for name in names:
        pattern, floor = FLOORS[name]
        text = io.StringIO()
        reached = data.report(include=pattern, file=text, show_missing=True, skip_covered=True)
        print(f"coverage of {pattern}: {reached:.1f}% (at least {floor:.0f}%)")
        if reached < floor:
            print(text.getvalue())
            code = 1
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
