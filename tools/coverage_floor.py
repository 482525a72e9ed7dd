"""Holds the coverage: all branches of core/, at least 90% of the whole."""

import io
import sys

import coverage

FLOORS = {"swf_worker/core/*": 100.0, "swf_worker/*": 90.0}


def main() -> int:
    data = coverage.Coverage()
    data.load()
    code = 0
    for pattern, floor in FLOORS.items():
        text = io.StringIO()
        reached = data.report(include=pattern, file=text, show_missing=True, skip_covered=True)
        print(f"coverage of {pattern}: {reached:.1f}% (at least {floor:.0f}%)")
        if reached < floor:
            print(text.getvalue())
            code = 1
    return code


if __name__ == "__main__":
    sys.exit(main())
