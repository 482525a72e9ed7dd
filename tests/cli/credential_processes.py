"""A ``credential_process``, which does what a file says: one word a call, the last one again."""

from __future__ import annotations

import json
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

SHORT = timedelta(minutes=15, seconds=3)
"""botocore refreshes what is valid for less than 15 minutes."""


def main(folder: Path) -> None:
    with open(folder / "calls", "a") as calls:
        calls.write("x")
    words = (folder / "words").read_text().split()
    number = len((folder / "calls").read_text())
    word = words[min(number, len(words)) - 1]
    if word.startswith("slow"):
        time.sleep(float(word.removeprefix("slow")))
    elif word == "fails":
        sys.exit("the vault is sealed")
    elif word == "babbles":
        print("<html>")
        return
    lasts = timedelta(days=1) if word == "long" else SHORT
    print(
        json.dumps(
            {
                "Version": 1,
                "AccessKeyId": f"key-{number}",
                "SecretAccessKey": "secret",
                "SessionToken": "token",
                "Expiration": (datetime.now(UTC) + lasts).isoformat(),
            }
        )
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
